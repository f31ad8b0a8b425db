"""What a comparison sees of a boot: every part of its state under a name that other boots share.

    items   (part, what, stage) -> value    numbers, regions by their purpose, free lists
    maps    (part, what, stage) -> ranges   what lies where: page tables, memory, reserved memory without known owners
    log     step -> text                    against the steps of one boot, the reference
    facts   name -> values                  every value that a boot recorded, the last one last

A name never holds an address that another boot could have elsewhere: reservations are told apart by purpose, and among
those of one purpose by the order in time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.linux.arch.arm.asm.memory import AREAS
from bootsim.state.logdiff import from_start, steps_against, up_to
from bootsim.state.quantities import Quantities, UnknownQuantityError
from bootsim.state.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.linux import Kernel
    from bootsim.state.logdiff import Line
    from bootsim.state.side import Side

Key = tuple[str, str, str]
MIGRATE_TYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate")
_NUMBERS = ("start_pfn", "spanned", "present", "managed", "nr_free_pages", "watermark", "lowmem_reserve",
            "batch", "high")  # fmt: skip
_EARLY_NUMBERS = ("watermark", "lowmem_reserve")
_SETTLED = ("memblock_free_all", "mem_init")  # later a real kernel has allocated pages that a replay has not
_LIMITS = ("phys_offset", "atags", "lowmem_limit", "high_memory", "min_low_pfn", "max_low_pfn", "max_pfn")
# Where a stage has what a part shows; of the layout each number stands for itself.
_FIELDS = {"memblock": "memblock", "tables": "tables", "zones": "zones", "lists": "zones", "cma": "areas"}
# What people ask of a boot first.
PRINCIPAL = ("memory", "lowmem", "highmem", "vmalloc.size", "cma", "cma.default.base", "reserved", "free_pages")


class View(NamedTuple):
    """How two boots are looked at.

    `real` when a real kernel is one of them, `owned` when both know who reserved what, `plain` when the log of one is a
    captured one, `whole` when neither is a console's, which leaves out what is not important; `start` and `end` are the
    forms of the lines that logs are compared from and to, "" for the first and the last. `until` is the stage that one
    boot was stopped at, whose log has nothing behind `end`.
    """

    real: bool = False
    owned: bool = True
    plain: bool = False
    whole: bool = True
    start: str = ""
    end: str = ""
    until: str = ""


class Seen:
    """What a comparison sees of one boot. `dead` are the kernel's last words, "" when it lived.

    `reference` are the lines against which steps are named.
    """

    def __init__(self, side: Side, view: View, reference: list[Line]) -> None:
        self.name = side.name
        self.dead = side.panicked
        self.stages = frozenset(side.stages)
        self._fields = {stage: frozenset(fields) for stage, fields in side.stages.items()}
        self.items: dict[Key, Any] = {}
        self.maps: dict[Key, list[Range]] = {}
        for stage, fields in side.stages.items():
            for part, what, value in _items(side, view, stage, fields):
                self.items[part, what, stage] = value
            for part, what, ranges in _maps(side, view, stage, fields):
                self.maps[part, what, stage] = ranges
        self.facts: dict[str, tuple[Any, ...]] = {}
        self.units: dict[str, str] = {}
        facts = side.twin.facts if side.twin is not None else None
        if facts is not None:
            self.units = {fact.name: fact.unit for fact in facts}
            self.facts = {fact.name: tuple(f.value for f in facts.history(fact.name)) for fact in facts}
            for name, span in _layout(self.facts):
                self.items["layout", name, ""] = span
        lines = from_start(side.log_lines(plain=view.plain, whole=view.whole), view.start)
        self.lines = lines if side.until == view.until else up_to(lines, view.end)
        self.log = steps_against(reference, self.lines)
        self.quantities: Mapping[str, int | str] = side.quantities
        self.complaints: tuple[str, ...] = side.complaints


    def shows(self, part: str, what: str, stage: str) -> bool:
        """Whether the boot tells of such a thing at a stage at all; "" is the layout, which facts tell of."""
        if not stage:
            return bool(self.facts)
        return _FIELDS.get(part, what) in self._fields.get(stage, ())


def principal(k: Kernel) -> dict[str, int | str]:
    """The quantities that people ask of a boot first, those that it has."""
    known = Quantities(k)
    found = {}
    for name in PRINCIPAL:
        try:
            found[name] = known.value(name)
        except UnknownQuantityError:
            continue
    return found


# ---------------------------------------------------------------- numbers and names


def _items(side: Side, view: View, stage: str, fields: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    if "memblock" in fields:
        yield "memblock", "current_limit", f"{fields['memblock']['current_limit']:#x}"
        if view.owned:
            yield from _by_purpose(side, stage)
    for key in _LIMITS:
        if key in fields:
            yield "layout", key, f"{fields[key]:#x}"
    if "totalram_pages" in fields and (stage in _SETTLED or not view.real):
        yield "zones", "totalram_pages", str(fields["totalram_pages"])
    if "tables" in fields:
        yield "tables", "swapper_pg_dir at", f"{fields['tables']['swapper_pg_dir']:#010x}"
        pages = " ".join(f"{pa:#010x}" for pa in fields["tables"]["l2_pages"])
        if not _drifts(view, stage):
            yield "tables", "second-level tables at", pages or "none"
    if "zones" in fields:
        yield from _zones(fields["zones"], settled=stage in _SETTLED or not view.real)
    if "areas" in fields:
        yield from _areas(fields["areas"])


def _by_purpose(side: Side, stage: str) -> Iterator[tuple[str, str, str]]:
    counts: Counter[str] = Counter()
    for purpose, base, end in side.held(stage):
        counts[purpose] += 1
        name = purpose if counts[purpose] == 1 else f"{purpose} #{counts[purpose]}"
        yield "memblock", f"reserved for {name}", f"{base:#010x}-{end - 1:#010x}"


def _zones(zones: list[dict[str, Any]], *, settled: bool) -> Iterator[tuple[str, str, Any]]:
    for zone in zones:
        if not zone["spanned"]:
            continue
        name = zone["name"]
        for key in _NUMBERS if settled else _EARLY_NUMBERS:
            if key in zone:
                yield "zones", f"{name}.{key}", f"{zone[key]:#x}" if key == "start_pfn" else str(zone[key])
        if settled and "free_area" in zone:
            for order, area in enumerate(zone["free_area"]):
                for kind, blocks in enumerate(area["lists"]):
                    if blocks:
                        what = f"{name} order {order} {MIGRATE_TYPES[kind] if kind < len(MIGRATE_TYPES) else kind}"
                        yield "lists", what, tuple(blocks)


def _areas(areas: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    counts: Counter[str] = Counter()
    for area in areas:
        name = area["name"]
        counts[name] += 1
        base = area["base_pfn"] << 12
        what = name if counts[name] == 1 else f"{name} #{counts[name]}"
        yield "cma", f"area {what}", f"{base:#010x}-{base + (area['count'] << 12) - 1:#010x}"


def _layout(facts: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
    for name, (low, high) in AREAS.items():
        ends = [facts[end][-1] for end in (low, high) if end in facts]
        if len(ends) == 2 and all(isinstance(end, int) for end in ends):
            yield name, f"{ends[0]:#010x}-{ends[1] - 1:#010x}"


# ---------------------------------------------------------------- what lies where


def _maps(side: Side, view: View, stage: str, fields: dict[str, Any]) -> Iterator[tuple[str, str, list[Range]]]:
    if "memblock" in fields:
        yield "memblock", "memory", _regions(fields["memblock"]["memory"])
        if not view.owned:
            yield "memblock", "reserved", _regions(fields["memblock"]["reserved"])
    if "tables" in fields and not _drifts(view, stage):
        yield "tables", "", side.ranges(stage)


def _drifts(view: View, stage: str) -> bool:
    # a real kernel's page tables have gone on by then
    return view.real and stage == "free_initmem"


def _regions(regions: list[list[int]]) -> list[Range]:
    flags = {0: "", 1: "hotplug", 2: "mirror", 4: "no-map"}
    return [Range(base, base + size, base, "", flags.get(rest[0] if rest else 0, f"flags {rest}"))
            for base, size, *rest in regions if size]  # fmt: skip
