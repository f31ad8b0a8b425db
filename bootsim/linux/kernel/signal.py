"""Signals that end a process (kernel/signal.c)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bootsim.linux.kernel.fork.dup import do_exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux.mm.mmap.structs import Task

SIGKILL = 9


def get_signal(task: Task) -> bool:
    """What a task meets on its way out of the kernel: it ends when it was sent SIGKILL. Whether it has ended.

    Source: kernel/signal.c get_signal()
    Differs: SIGKILL alone waits for a task; other signals are answers of the access that brought them about.
    """
    if task.fatal_signal_pending and task.mm is not None:
        do_exit(task, SIGKILL)
    return task.mm is None


@contextmanager
def system_call(task: Task) -> Iterator[None]:
    """What is below the `with` is a system call of a task: until it is over, nobody takes its memory away.

    Source: arch/arm/kernel/entry-common.S vector_swi, ret_fast_syscall
    """
    room = task.processes
    before, room.current = room.current, task
    task.in_kernel += 1
    try:
        yield
    finally:
        task.in_kernel -= 1
        room.current = before if before is not None and before.mm is not None else None
        if not task.in_kernel:
            get_signal(task)
