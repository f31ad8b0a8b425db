"""Running cases on all processors of this machine, so that nothing one case does can end the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from typing import TYPE_CHECKING, TypeVar

from bootsim.sweep.worker import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

_QUEUED_PER_JOB = 4
_LOOK_S = 0.1


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[T], R], items: Sequence[T], *, jobs: int, crashed: Callable[[T], R]
) -> Iterator[tuple[int, R]]:
    """Yield (index, function(item)) as the items get done, in any order, on `jobs` processes.

    `function` and the items are pickled. An item whose process dies gives `crashed(item)`; the others go on. When the
    caller stops early (or is interrupted), items that have not begun are dropped.
    """
    if len(items) <= 1:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    todo = deque(range(len(items)))
    with _interrupts() as interrupted:
        while todo:
            suspects = yield from _until_broken(function, items, todo, max(jobs, 1), interrupted)
            for index in suspects:  # one of these killed its process: each alone tells which
                yield index, _alone(function, items[index], crashed)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    # Ctrl-C is noted and acted upon between two results: inside the executor it could be lost, or leave a lock held.
    # A second one does not wait.
    noted: list[int] = []

    def note(number: int, _frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    both = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, note) for number in both}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until_broken(
    function: Callable[[T], R], items: Sequence[T], todo: deque[int], jobs: int, interrupted: list[int]
) -> Generator[tuple[int, R], None, list[int]]:
    # returns the indices in flight when a process died, none when all is done
    pool = _pool(jobs)
    flying: dict[Future[R], int] = {}
    try:
        while todo or flying:
            while todo and len(flying) < jobs * _QUEUED_PER_JOB:
                flying[pool.submit(function, items[todo[0]])] = todo[0]
                todo.popleft()
            done, _ = wait(flying, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            if interrupted:
                raise KeyboardInterrupt
            for future in done:
                result = future.result()
                yield flying.pop(future), result
    except BrokenProcessPool:
        return sorted(flying.values())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return []


def _alone(function: Callable[[T], R], item: T, crashed: Callable[[T], R]) -> R:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return crashed(item)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Forked workers start at once and share what is loaded; a process with threads must not fork.
    method = "fork" if threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)


def _begin() -> None:
    # Ctrl-C goes to every process of the terminal; only the first decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    settle()


def _end_with(sentinel: int) -> None:
    # a worker whose sweep was killed has nobody to work for
    wait_for([sentinel])
    os._exit(1)
