"""Who reserved what: every change to memblock of a replay, with the kernel function that asked for it.

memblock tells its changes only with memblock=debug. The trace listens without that option: it stands in for the log of
memblock alone, keeps each call's numbers, and passes a message on only once the kernel itself has turned debugging on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel


class Reservation(NamedTuple):
    """[base, end) (pa) as one caller reserved it."""

    base: int
    end: int
    caller: str


class Reservations:
    """Listens to a kernel's memblock; `at(stage)` answers who holds what there."""

    def __init__(self, k: Kernel) -> None:
        self._calls: list[tuple[str, int, int, str]] = []
        self._marks: dict[str, int] = {}
        listen(k, self._hear)

    def _hear(self, func: str, fields: dict[str, Any]) -> None:
        if func in ("memblock_reserve", "memblock_free"):
            base = fields["base"]
            size = (fields["end"] - base + 1) & 0xFFFFFFFF
            if size:
                self._calls.append((func, base, base + size, fields["caller"]))

    def mark(self, stage: str) -> None:
        """The boot has reached `stage`."""
        self._marks[stage] = len(self._calls)

    def at(self, stage: str | None = None) -> list[Reservation]:
        """Every reservation that stands at a stage (None: at the end), by address."""
        held: list[Reservation] = []
        for func, base, end, caller in self._calls[: self._marks.get(stage or "", len(self._calls))]:
            # a region has one owner: the one who reserved it first, until it is freed
            if func == "memblock_free":
                held = [part for r in held for part in _without(r, base, end)]
            else:
                held += _uncovered(Reservation(base, end, caller), held)
        return sorted(held)

    def owners(self, base: int, end: int, stage: str | None = None) -> list[Reservation]:
        """The reservations that meet [base, end) (pa) at a stage, by address."""
        return [r for r in self.at(stage) if r.base < end and base < r.end]


def listen(k: Kernel, hear: Callable[[str, dict[str, Any]], None]) -> None:
    """Call `hear(function, fields)` for every call that changes memblock, from now on. The log stays as it is."""
    mb, speak = k.memblock, k.memblock.printk
    wanted = "debug" in _memblock_option(k.boot_command_line)

    def printk(level: int, template: str, /, **fields: Any) -> None:
        func = fields.get("func", "")
        if func.startswith("memblock_") and "base" in fields and "caller" in fields:
            hear(func, fields)
        if wanted or _asked(k):
            speak(level, template, **fields)

    mb.printk = printk
    mb.debug = True


def _asked(k: Kernel) -> bool:
    # the kernel reads memblock=debug with its early parameters, and speaks from then on
    return k.early_params_done and "debug" in _memblock_option(k.boot_command_line)


def _memblock_option(command_line: str) -> str:
    words = [word.partition("=")[2] for word in command_line.split() if word.startswith("memblock=")]
    return " ".join(words)


def _without(r: Reservation, base: int, end: int) -> Iterator[Reservation]:
    if r.end <= base or end <= r.base:
        yield r
        return
    if r.base < base:
        yield r._replace(end=base)
    if end < r.end:
        yield r._replace(base=end)


def _uncovered(r: Reservation, held: list[Reservation]) -> list[Reservation]:
    parts = [r]
    for other in held:
        parts = [left for part in parts for left in _without(part, other.base, other.end)]
    return parts
