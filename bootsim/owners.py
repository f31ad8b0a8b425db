"""Who holds what of memory: every change to memblock, kept as it is made, with who asked for it and what for.

    memblock_reserve(..., purpose)  ->  Owners.hear(...)  ->  changes, in order
                                                              |
                          reserved(stage)  banks(stage)  no_map(stage)  removed(stage)  withheld(stage)  twice()

Nothing is worked out while a boot runs: a change costs one tuple. All addresses are physical; ranges are half-open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ADD, REMOVE, RESERVE, FREE, MARK, CLEAR, DOUBLE = "add", "remove", "reserve", "free", "mark", "clear", "double"
_NOMAP = 4  # MEMBLOCK_NOMAP


class Purpose(NamedTuple):
    """What memory is for: the kind of owner, the owner in words, and the input that asks for it ("" for none).

    `root` is a root as facts name them: "dtb:/reserved-memory/dsp:reg", "cmdline:cma", "CONFIG_CMA_SIZE_MBYTES".
    """

    kind: str
    what: str
    root: str = ""


# The kinds of owner, with what a summary calls them.
KINDS = {
    "cma": "CMA areas",
    "node": "reserved-memory",
    "image": "kernel image",
    "tables": "page tables",
    "memmap": "struct pages",
    "hash": "hash tables",
    "percpu": "per-cpu areas",
    "log": "log buffer",
    "tree": "unflattened device tree",
    "dtb": "device tree blob",
    "initrd": "initial RAM disk",
    "bank": "RAM",
    "machine": "the machine's own",
    "other": "other early allocations",
}
NOBODY = Purpose("other", "nobody named")


class Change(NamedTuple):
    """One change to memblock: `op` is one of the constants above; `flag` is the MEMBLOCK_ bit of MARK and CLEAR.

    `caller` is the function of the kernel that asked. DOUBLE tells where a full region array went; its memory is also
    reserved, in a change of its own.
    """

    op: str
    base: int
    end: int
    caller: str
    purpose: Purpose
    flag: int = 0

    def __deepcopy__(self, memo: dict[int, object]) -> Change:
        return self  # as Shared; a NamedTuple takes no other base


class Holding(NamedTuple):
    """[base, end) as one owner holds it. `serial` is the number of the change that gave it."""

    base: int
    end: int
    caller: str
    purpose: Purpose
    serial: int

    def span(self) -> str:
        """The range with its last byte, as the kernel's messages show ranges."""
        return f"{self.base:#010x}-{self.end - 1:#010x}"


class Twice(NamedTuple):
    """[base, end), given to two owners."""

    base: int
    end: int
    first: Holding
    second: Holding


class Owners:
    """Every change to one memblock, and what stands of them at each stage of the boot.

    `told` are the pairs of owners of the same memory that the log has named already.
    """

    __slots__ = ("_marks", "changes", "told")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.told: set[tuple[Purpose, Purpose]] = set()
        self._marks: dict[str, int] = {}

    def hear(self, op: str, base: int, size: int, caller: str, purpose: Purpose, flag: int = 0) -> None:
        """Keep one change of [base, base + size); memblock calls this when the change is made."""
        self.changes.append(Change(op, base, base + size, caller, purpose, flag))

    def mark(self, stage: str) -> None:
        """The boot has reached `stage`."""
        self._marks[stage] = len(self.changes)

    def reached(self, stage: str) -> bool:
        """Whether the boot came to `stage`."""
        return stage in self._marks

    def shown_at(self, serial: int) -> str | None:
        """The first stage that shows a change; None when no stage followed."""
        return next((stage for stage, count in self._marks.items() if serial < count), None)

    def reserved(self, stage: str | None = None) -> list[Holding]:
        """What is reserved at a stage (None: now), by address. Bytes reserved twice belong to whoever came first."""
        return self._standing(stage, RESERVE, FREE)

    def claims(self) -> list[Holding]:
        """Every reservation that stands now, by address; those that lie on one another each whole."""
        return self._standing(None, RESERVE, FREE, every=True)

    def banks(self, stage: str | None = None) -> list[Holding]:
        """What is memory at a stage, by address, with the input that told of it first."""
        return self._standing(stage, ADD, REMOVE)

    def no_map(self, stage: str | None = None) -> list[Holding]:
        """What has the flag MEMBLOCK_NOMAP at a stage, by address."""
        return self._standing(stage, MARK, CLEAR, _NOMAP)

    def removed(self, stage: str | None = None) -> list[Holding]:
        """What was memory once and is not at a stage, by address, with who took it away."""
        return self._standing(stage, REMOVE, ADD)

    def withheld(self, stage: str | None = None) -> list[Holding]:
        """What Linux does not use at a stage, as an owner has it: no-map, or taken out of memory; by address."""
        gone = [h for h in self.removed(stage) if _is_for_an_owner(h.purpose)]
        return sorted([*self.no_map(stage), *gone])

    def above(self, base: int, end: int) -> tuple[str, ...]:
        """The inputs that took memory of [base, end) so far: what a search from the top down to `base` passed over."""
        taken = (change for change in self.changes if change.op in (RESERVE, MARK, REMOVE))
        return tuple(sorted({c.purpose.root for c in taken if c.purpose.root and c.base < end and base < c.end}))

    def _standing(
        self, stage: str | None, give: str, take: str, flag: int = 0, *, every: bool = False
    ) -> list[Holding]:
        held: list[Holding] = []
        count = len(self.changes) if stage is None else self._marks.get(stage, len(self.changes))
        for serial, change in enumerate(self.changes[:count]):
            if change.flag != flag or change.base >= change.end:
                continue
            if change.op == take:
                held = [part for h in held for part in without(h, change.base, change.end)]
            elif change.op == give:
                new = Holding(change.base, change.end, change.caller, change.purpose, serial)
                held += [new] if every else uncovered(new, held)
        return sorted(held)

    def twice(self) -> list[Twice]:
        """Every range that is reserved, no-map or taken out for two owners at once, in the order of the second.

        What the kernel itself marks no-map, for no owner, does not count.
        """
        found: list[Twice] = []
        held: list[Holding] = []
        for serial, change in enumerate(self.changes):
            if change.op == FREE:
                held = [part for h in held for part in without(h, change.base, change.end)]
            elif change.base < change.end and change.purpose.kind != "bank" and (
                change.op == RESERVE or (change.op == MARK and change.flag == _NOMAP)
                or (change.op == REMOVE and _is_for_an_owner(change.purpose))
            ):
                new = Holding(change.base, change.end, change.caller, change.purpose, serial)
                found += [Twice(max(h.base, new.base), min(h.end, new.end), h, new) for h in meeting(held, *new[:2])
                          if h.purpose != new.purpose]  # fmt: skip
                held += uncovered(new, held)
        return found


def _is_for_an_owner(purpose: Purpose) -> bool:
    # a node or the machine's code takes memory out to have it; mem= and UEFI's map say that there is none
    return purpose.kind == "node" or (purpose.kind == "machine" and not purpose.root)


def meeting(held: list[Holding], base: int, end: int) -> list[Holding]:
    """The holdings that meet [base, end)."""
    return [h for h in held if h.base < end and base < h.end]


def without(h: Holding, base: int, end: int) -> Iterator[Holding]:
    """Yield what is left of a holding when [base, end) is taken out."""
    if h.end <= base or end <= h.base:
        yield h
        return
    if h.base < base:
        yield h._replace(end=base)
    if end < h.end:
        yield h._replace(base=end)


def uncovered(h: Holding, held: list[Holding]) -> list[Holding]:
    """The parts of a holding that no other covers."""
    parts = [h]
    for other in meeting(held, h.base, h.end):
        parts = [left for part in parts for left in without(part, other.base, other.end)]
    return parts
