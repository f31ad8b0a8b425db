"""Signals that end a process (kernel/signal.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.fork.dup import do_exit

if TYPE_CHECKING:
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
