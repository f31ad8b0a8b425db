"""What differs in the state of two boots, stage by stage; a difference that stays is told once, with its stages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.state.governs import ALLOCATED, FUNCTIONS, MEMORY, PAGES, RESERVED, SECTIONS, TABLE_BITS, Index
from bootsim.state.ranges import RangeChange, range_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bootsim.owners import Holding
    from bootsim.state.side import Side

MIGRATE_TYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate")
_NUMBERS = ("start_pfn", "spanned", "present", "managed", "nr_free_pages", "watermark", "lowmem_reserve",
            "batch", "high")  # fmt: skip
_ADDRESS = re.compile(r" (of|at) 0x[0-9a-f]+")
_SETTLED = ("memblock_free_all", "mem_init")  # later a real kernel has allocated pages that a replay has not


class Change(NamedTuple):
    """One difference: the part of the state, what it is, how it is in either boot ("" where it is not).

    `stages` are those at which it holds. `because` names the facts and roots that explain it, the nearest first.
    """

    part: str
    what: str
    a: str
    b: str
    because: tuple[str, ...]
    stages: tuple[str, ...] = ()

    def shown(self) -> str:
        """One line, without stages."""
        head = f"{self.what} " if self.what else ""
        if not self.b:
            return f"{head}{self.a} -> gone".strip()
        if not self.a:
            return f"{head}new: {self.b}".strip()
        return f"{head}{self.a} -> {self.b}".strip()


class _Found(NamedTuple):
    # a difference at one stage, with the names (or patterns) that it may rest on
    part: str
    what: str
    a: str
    b: str
    names: tuple[str, ...]


def _found(part: str, what: str, shown: Sequence[str], names: tuple[str, ...]) -> _Found:
    return _Found(part, what, shown[0], shown[1], names)


def state_changes(a: Side, b: Side, index: Index | None) -> list[Change]:
    """Compare every part that both boots show at a stage. `index` tells what explains it; None leaves that out."""
    where: dict[tuple[str, str, str, str], list[str]] = {}
    names: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for stage in a.stages:
        if stage in b.stages:
            for found in _at_stage(a, b, stage, index):
                where.setdefault(found[:4], []).append(stage)
                names.setdefault(found[:4], {}).update(dict.fromkeys(found.names))
    for found in _layout(a, b):
        where.setdefault(found[:4], []).append("layout")
        names.setdefault(found[:4], {}).update(dict.fromkeys(found.names))
    return [
        Change(*key, because=() if index is None else tuple(index.explaining(names[key])), stages=tuple(stages))
        for key, stages in where.items()
    ]


def _at_stage(a: Side, b: Side, stage: str, index: Index | None) -> Iterator[_Found]:
    one, other = a.stages[stage], b.stages[stage]
    if "memblock" in one and "memblock" in other:
        yield from _memory(one["memblock"], other["memblock"])
        yield from _reserved(a, b, stage)
    yield from _limits(one, other)
    if "tables" in one and "tables" in other and not (stage == "free_initmem" and (a.captured or b.captured)):
        yield from _tables(a, b, stage, index)
    if "zones" in one and "zones" in other:
        settled = stage in _SETTLED or not (a.captured or b.captured)
        yield from _zones(one["zones"], other["zones"], settled=settled)
    if "areas" in one and "areas" in other:
        yield from _areas(one["areas"], other["areas"])


# ---------------------------------------------------------------- memblock


def _span(region: Iterable[int]) -> str:
    base, size, *flags = region
    names = {1: "hotplug", 2: "mirror", 4: "no-map"}
    told = " ".join(names.get(flag, f"flags {flag:#x}") for flag in flags if flag)
    return f"{base:#010x}-{base + size - 1:#010x}{f' {told}' if told else ''}"


def _memory(one: dict[str, Any], other: dict[str, Any]) -> Iterator[_Found]:
    rest = ("arm_lowmem_limit", *MEMORY, *RESERVED)
    for x, y in _paired(one["memory"], other["memory"]):
        yield _Found("memblock.memory", "", _span(x) if x else "", _span(y) if y else "", rest)
    if one["current_limit"] != other["current_limit"]:
        yield _Found("memblock", "current_limit", f"{one['current_limit']:#x}", f"{other['current_limit']:#x}",
                     ("memblock.current_limit", "arm_lowmem_limit"))  # fmt: skip


# Regions that only one boot has, paired where they share an end or overlap.
def _paired(one: list[list[int]], other: list[list[int]]) -> Iterator[tuple[list[int] | None, list[int] | None]]:
    left = [r for r in one if r not in other and r[1]]
    right = [r for r in other if r not in one and r[1]]
    for x in left:
        near = next((y for y in right if _near(x, y)), None)
        if near is not None:
            right.remove(near)
        yield x, near
    yield from ((None, y) for y in right)


def _near(x: list[int], y: list[int]) -> bool:
    return x[0] == y[0] or x[0] + x[1] == y[0] + y[1] or (x[0] < y[0] + y[1] and y[0] < x[0] + x[1])


# With owners known, each reservation is compared with the same owner's in the other boot; without, plain regions are.
def _reserved(a: Side, b: Side, stage: str) -> Iterator[_Found]:
    if a.owners is None or b.owners is None or a.captured != b.captured:
        one, other = a.stages[stage]["memblock"], b.stages[stage]["memblock"]
        for x, y in _paired(one["reserved"], other["reserved"]):
            yield _Found("memblock.reserved", "", _span(x) if x else "", _span(y) if y else "", (*RESERVED, *ALLOCATED))
        return
    left, right = _by_owner(a.owners.reserved(stage)), _by_owner(b.owners.reserved(stage))
    for owner in dict.fromkeys((*left, *right)):
        mine, theirs = left.get(owner), right.get(owner)
        if mine is None or theirs is None or mine[:2] != theirs[:2]:
            name, n = owner
            func = (mine or theirs).caller  # type: ignore[union-attr]  # one of them is there
            rest = (f"@{func}", *FUNCTIONS.get(func, ()), *ALLOCATED, *RESERVED)
            what = name if n == 0 else f"{name} #{n + 1}"
            yield _Found("memblock.reserved", what, mine.span() if mine else "", theirs.span() if theirs else "", rest)


# Reservations by what they are for, addresses left out, and of those for the same by their order in time.
def _by_owner(held: list[Holding]) -> dict[tuple[str, int], Holding]:
    counts: dict[str, int] = {}
    found = {}
    for r in sorted(held, key=lambda h: (h.serial, h.base)):
        what = _ADDRESS.sub("", r.purpose.what)
        n = counts[what] = counts.get(what, -1) + 1
        found[what, n] = r
    return found


def _limits(one: dict[str, Any], other: dict[str, Any]) -> Iterator[_Found]:
    facts = {"lowmem_limit": "arm_lowmem_limit", "phys_offset": "PHYS_OFFSET", "atags": "dtb.base"}
    for key in ("phys_offset", "atags", "lowmem_limit", "high_memory", "min_low_pfn", "max_low_pfn", "max_pfn"):
        if key in one and key in other and one[key] != other[key]:
            yield _Found("limits", key, f"{one[key]:#x}", f"{other[key]:#x}", (facts.get(key, key), "option:dtb-addr"))
    if "totalram_pages" in one and "totalram_pages" in other and one["totalram_pages"] != other["totalram_pages"]:
        yield _Found("limits", "totalram_pages", str(one["totalram_pages"]), str(other["totalram_pages"]), PAGES)


# ---------------------------------------------------------------- page tables


def _tables(a: Side, b: Side, stage: str, index: Index | None) -> Iterator[_Found]:
    one, other = a.tables(stage), b.tables(stage)
    if one is None or other is None:
        return
    where = [side.stages[stage]["tables"]["swapper_pg_dir"] for side in (a, b)]
    if where[0] != where[1]:
        yield _Found("tables", "swapper_pg_dir at", f"{where[0]:#010x}", f"{where[1]:#010x}", ("swapper_pg_dir",))
    if one == other:
        return
    pages = [sorted(tables[1]) for tables in (one, other)]
    if pages[0] != pages[1]:
        shown = [" ".join(f"{pa:#010x}" for pa in p) or "none" for p in pages]
        yield _found("tables", "second-level tables at", shown, (*ALLOCATED, *RESERVED, *SECTIONS, "CONFIG_HIGHMEM"))
    for change in range_changes(a.ranges(stage), b.ranges(stage)):
        yield _range(change, index)


def _range(change: RangeChange, index: Index | None) -> _Found:
    what = f"{change.start_va:#010x}-{change.end_va - 1:#010x}:"
    exact = [] if index is None else _exact(change, index)
    rest = (*exact, "PAGE_OFFSET", "PHYS_OFFSET", "high_memory", "arm_lowmem_limit", "memblock.current_limit",
            "dtb.base", "option:dtb-addr", "kernel.*", *SECTIONS, "CONFIG_HIGHMEM", *MEMORY, "cma*",
            *TABLE_BITS)  # fmt: skip
    shown = ["" if side is None else side.shown() for side in (change.a, change.b)]
    return _found("tables", what, shown, rest)


def _exact(change: RangeChange, index: Index) -> list[str]:
    borders = (change.start_va, change.end_va)
    found = [*index.by_value(0, borders), *index.by_value(1, borders)]
    if change.a is not None and change.b is not None:
        found += index.by_values([change.a.pa], [change.b.pa])
    return found


# ---------------------------------------------------------------- zones, free lists, areas, layout


def _zones(one: list[dict[str, Any]], other: list[dict[str, Any]], *, settled: bool) -> Iterator[_Found]:
    left, right = ({zone["name"]: zone for zone in zones if zone["spanned"]} for zones in (one, other))
    for name in dict.fromkeys((*left, *right)):
        x, y = left.get(name), right.get(name)
        if x is None or y is None:
            shown = ["" if zone is None else _zone_shown(zone) for zone in (x, y)]
            yield _found("zones", f"zone {name}", shown, (f"zone.{name}.*", "zone.*", *PAGES))
            continue
        for key in _NUMBERS:
            if key in x and key in y and x[key] != y[key] and (settled or key in ("watermark", "lowmem_reserve")):
                shown = [_number(key, zone[key]) for zone in (x, y)]
                yield _found("zones", f"{name}.{key}", shown, _zone_rests(name, key))
        if "free_area" in x and "free_area" in y and settled:
            yield from _free_lists(name, x["free_area"], y["free_area"])


def _zone_shown(zone: Mapping[str, Any]) -> str:
    start = zone["start_pfn"]
    return (f"[{start << 12:#010x}-{(start + zone['spanned'] << 12) - 1:#010x}] {zone['present']} pages present, "
            f"{zone['managed']} managed, {zone['nr_free_pages']} free")  # fmt: skip


def _number(key: str, value: Any) -> str:
    return f"{value:#x}" if key == "start_pfn" else str(value)


def _zone_rests(name: str, key: str) -> tuple[str, ...]:
    facts = {"start_pfn": "start_pfn", "spanned": "end_pfn", "present": "present_pages", "watermark": "watermark.*"}
    return (f"zone.{name}.{facts.get(key, 'present_pages')}", f"zone.{name}.*", *PAGES)


def _free_lists(name: str, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> Iterator[_Found]:
    empty: dict[str, Any] = {"lists": []}
    for order in range(max(len(one), len(other))):
        x, y = (areas[order]["lists"] if order < len(areas) else empty["lists"] for areas in (one, other))
        for kind in range(max(len(x), len(y))):
            left, right = (lists[kind] if kind < len(lists) else [] for lists in (x, y))
            if left != right:
                what = f"{name} order {order} {MIGRATE_TYPES[kind] if kind < len(MIGRATE_TYPES) else kind}"
                yield _found("free lists", what, _blocks(left, right), PAGES)


def _blocks(left: list[int], right: list[int]) -> tuple[str, str]:
    if len(left) != len(right):
        return f"{len(left)} blocks", f"{len(right)} blocks"
    if sorted(left) == sorted(right):
        return f"{len(left)} blocks", f"{len(right)} blocks, the same in another order"
    moved = len(set(right) - set(left))
    return f"{len(left)} blocks", f"{len(right)} blocks, {moved} at other addresses"


def _areas(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> Iterator[_Found]:
    for n in range(max(len(one), len(other))):
        x, y = (areas[n] if n < len(areas) else None for areas in (one, other))
        if x != y:
            shown = ["" if area is None else _area_shown(area) for area in (x, y)]
            yield _found("cma", f"area {n}", shown, (f"cma{n}.*", "cma*", *MEMORY, "cmdline:cma"))


def _area_shown(area: Mapping[str, Any]) -> str:
    base = area["base_pfn"] << 12
    return f"{area['name']} {base:#010x}-{base + (area['count'] << 12) - 1:#010x}"


_LAYOUT = {
    "lowmem": ("PAGE_OFFSET", "high_memory"),
    "vmalloc": ("VMALLOC_START", "VMALLOC_END"),
    "modules": ("MODULES_VADDR", "MODULES_END"),
    "pkmap": ("PKMAP_BASE", "PAGE_OFFSET"),
}


def _layout(a: Side, b: Side) -> Iterator[_Found]:
    for name, ends in _LAYOUT.items():
        shown = []
        for side in (a, b):
            facts = [side.facts.get(end) if side.facts is not None else None for end in ends]
            values = [fact.value for fact in facts if fact is not None and isinstance(fact.value, int)]
            shown.append(f"{values[0]:#010x}-{values[1] - 1:#010x}" if len(values) == 2 else "")
        if shown[0] != shown[1]:
            yield _found("layout", name, shown, ends)
