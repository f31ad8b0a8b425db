"""Who reserved what: every change to memblock of a replay, with the kernel function that asked for it.

memblock tells its changes only with memblock=debug. The trace replays the boot a second time on a machine of its own,
with memblock speaking, and keeps each call's numbers; the boot that a person looks at stays as it is.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import KernelPanic
from bootsim.hw.machine import Machine
from bootsim.hw.mmu import Cp15

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from bootsim.linux import Kernel


class Reservation(NamedTuple):
    """[base, end) (pa) as one caller reserved it."""

    base: int
    end: int
    caller: str


class Reservations:
    """What became of memblock.reserved, call by call; `at(stage)` answers who holds what there."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, int, int, str]] = []
        self._marks: dict[str, int] = {}
        self._allocating = ""

    def hear(self, func: str, fields: dict[str, Any], caller: str) -> None:
        """Keep one call of memblock_reserve() or memblock_free(), made by `caller`; others are passed over.

        An allocation announces who asks for it, and reserves its memory next.
        """
        if func in ("memblock_reserve", "memblock_free"):
            base = fields["base"]
            size = (fields["end"] - base + 1) & 0xFFFFFFFF
            if size:
                self._calls.append((func, base, base + size, self._allocating or caller))
            self._allocating = ""
        else:
            self._allocating = fields["caller"]

    def mark(self, stage: str) -> None:
        """The boot has reached `stage`."""
        self._marks[stage] = len(self._calls)

    def at(self, stage: str | None = None) -> list[Reservation]:
        """Every reservation that stands at a stage (None: at the end), by address."""
        held: list[Reservation] = []
        for func, base, end, caller in self._calls[: self._marks.get(stage or "", len(self._calls))]:
            if func == "memblock_free":
                held = [part for r in held for part in _without(r, base, end)]
            else:  # bytes reserved twice belong to whoever came first
                held += _uncovered(Reservation(base, end, caller), held)
        return sorted(held)

    def owners(self, base: int, end: int, stage: str | None = None) -> list[Reservation]:
        """The reservations that meet [base, end) (pa) at a stage, by address."""
        return [r for r in self.at(stage) if r.base < end and base < r.end]


def trace(k: Kernel, blob: bytes) -> Reservations:
    """Replay the boot of `k` again, from the tree `blob` (as the bootloader left it), and return who reserved what.

    `k` is not touched, and may have run already.
    """
    from bootsim import linux

    again = linux.Kernel(k.build, _same_machine(k.machine, blob), where=k.where)
    found = Reservations()

    def heard(_level: int, _template: str, /, **fields: Any) -> None:
        if "caller" in fields and fields["func"] not in ("memblock_add", "memblock_remove"):
            found.hear(fields["func"], fields, _calling_function())

    def observer(stage: str, _k: Kernel) -> None:
        found.mark(stage)
        # nobody reads this boot's console, so it cannot die of writing to one that is not mapped
        again.log.console_loglevel, again.log.ignore_loglevel = 0, False

    again.mm.memblock.printk, again.mm.memblock.debug, again.observer = heard, True, observer
    with contextlib.suppress(KernelPanic):  # it dies where the first boot died; what it reserved until then is known
        linux.boot(again)
    return found


# The kernel's function that called into memblock: the innermost replayed one outside of mm/memblock.c.
def _calling_function() -> str:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  as printk() does
    while frame is not None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith("bootsim.linux.") and not module.endswith(".memblock") and not name.startswith("_"):
            return name
        frame = frame.f_back
    return ""


def _same_machine(machine: Machine, blob: bytes) -> Machine:
    # the machine as the bootloader left it, with RAM of its own
    cpu = machine.cpu
    same = Machine(
        cpu=cpu,
        cpus=machine.cpus,
        banks=list(machine.banks),
        dtb_pa=machine.dtb_pa,
        kernel_pa=machine.kernel_pa,
        initrd_pa=machine.initrd_pa,
        initrd_bytes=machine.initrd_bytes,
        cp15=Cp15(sctlr=cpu.sctlr, id_mmfr0=cpu.id_mmfr0),
    )
    same.ram.write(machine.dtb_pa, blob)
    return same


def _without(r: Reservation, base: int, end: int) -> Iterator[Reservation]:
    # what is left of `r` when [base, end) is taken out
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
