"""Who owns an address, stage by stage: bank, reservation and by whom, zone and page, mappings and descriptors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.page import PAGE_SHIFT
from bootsim.stages import STAGES
from bootsim.state.ranges import Range, mapped_ranges, page_attributes, section_attributes
from bootsim.state.seen import MIGRATE_TYPES
from bootsim.state.snapshot import page_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.owners import Holding, Owners, Purpose



class Place(NamedTuple):
    """An address at one stage. A physical one has a bank and maybe a page; a virtual one has a descriptor."""

    stage: str
    facts: tuple[tuple[str, str], ...]


class Watcher:
    """Callable as an observer's `watch(stage, k)`: keeps what each stage knows of an address."""

    def __init__(self, address: int) -> None:
        self._address = address
        self._seen: dict[str, _Seen] = {}

    def __call__(self, stage: str, k: Kernel) -> None:
        """Look at the kernel at `stage`."""
        if stage in STAGES:
            _, l1, pages = page_tables(k)
            ram = {pa: bytes(k.machine.ram.read(pa, 4096)) for pa in _second_level(l1)}
            zones = k.zones if hasattr(k.mm, "pgdat") else []
            memory = [(r.base, r.size, r.flags) for r in k.mm.memblock.memory.regions if r.size]
            self._seen[stage] = _Seen(memory, l1, ram, zones, _page(k, self._address >> PAGE_SHIFT), bool(pages),
                                      k.cpus[0].cp15.sctlr)

    def physical(self, owners: Owners, named: Callable[[Purpose], str]) -> Iterator[Place]:
        """Yield what owns the physical address at each stage; `named` puts an owner in words."""
        for stage, seen in self._seen.items():
            yield Place(stage, tuple(_physical(self._address, stage, seen, owners, named)))

    def virtual(self) -> Iterator[Place]:
        """Yield what the virtual address is mapped to at each stage."""
        for stage, seen in self._seen.items():
            yield Place(stage, tuple(_virtual(self._address, seen)))


class _Seen(NamedTuple):
    memory: list[tuple[int, int, int]]
    l1: bytes
    l2: dict[int, bytes]
    zones: list[dict[str, Any]]
    page: dict[str, Any] | None
    mapped: bool
    cr: int


def _second_level(l1: bytes) -> list[int]:
    return sorted({word & ~0xFFF for word in struct.unpack("<4096I", l1) if word & 3 == 1})


def _page(k: Kernel, pfn: int) -> dict[str, Any] | None:
    from bootsim.linux.mm.page_alloc import PageFrameError, page_info

    if not hasattr(k.mm, "pgdat"):
        return None
    try:
        return dict(page_info(k, pfn))
    except PageFrameError:
        return None


def _physical(
    pa: int, stage: str, seen: _Seen, owners: Owners, named: Callable[[Purpose], str]
) -> Iterator[tuple[str, str]]:
    bank = next((r for r in seen.memory if r[0] <= pa < r[0] + r[1]), None)
    if bank is None:
        gone = _at(owners.removed(stage), pa)
        why = "" if gone is None else f"; {gone.span()} was taken out by {gone.caller}(), {named(gone.purpose)}"
        yield "bank", f"none: no memory that the kernel knows{why}"
    else:
        told = _at(owners.banks(stage), pa)
        by = "" if told is None else f", {named(told.purpose)}"
        yield "bank", f"{bank[0]:#010x}-{bank[0] + bank[1] - 1:#010x}{by}"
    no_map = _at(owners.no_map(stage), pa)
    if no_map is not None:
        yield "no-map", f"{no_map.span()}: {named(no_map.purpose)}"
    held = _at(owners.reserved(stage), pa)
    if held is not None:
        yield "reserved", f"{held.span()}: {named(held.purpose)}, by {held.caller}()"
    elif bank is not None:
        yield "reserved", "no"
    if seen.zones:
        yield from _of_page(pa >> PAGE_SHIFT, seen)
    for mapping in _mappings(pa, seen):
        va = mapping.start_va + pa - mapping.pa
        yield "mapped", f"at {va:#010x}, of {mapping.shown()}"


def _at(held: list[Holding], pa: int) -> Holding | None:
    return next((h for h in held if h.base <= pa < h.end), None)


def _mappings(pa: int, seen: _Seen) -> list[Range]:
    return [r for r in mapped_ranges(seen.l1, seen.l2, seen.cr) if r.pa <= pa < r.pa + r.end_va - r.start_va]


def _of_page(pfn: int, seen: _Seen) -> Iterator[tuple[str, str]]:
    zone = next((z for z in seen.zones if z["start_pfn"] <= pfn < z["start_pfn"] + z["spanned"]), None)
    if zone is None:
        return
    yield "zone", zone["name"]
    block = _free_block(pfn, zone)
    page = seen.page
    if block is not None:
        order, kind, start = block
        yield "page", f"pfn {pfn:#x}: free, in the block of order {order} at pfn {start:#x}, {MIGRATE_TYPES[kind]}"
    elif page is not None:
        what = "reserved" if page["reserved"] else f"in use or not given to the allocator, refcount {page['refcount']}"
        kind_name = MIGRATE_TYPES[page["migratetype"]] if page["migratetype"] < len(MIGRATE_TYPES) else "?"
        yield "page", f"pfn {pfn:#x}: {what}; pageblock {kind_name}"


def _free_block(pfn: int, zone: dict[str, Any]) -> tuple[int, int, int] | None:
    for order, area in enumerate(zone["free_area"]):
        start = pfn >> order << order
        for kind, blocks in enumerate(area["lists"]):
            if start in blocks:
                return order, kind, start
    return None


def _target(va: int, seen: _Seen) -> int | None:
    r = next((r for r in mapped_ranges(seen.l1, seen.l2, seen.cr) if r.start_va <= va < r.end_va), None)
    return None if r is None else r.pa + va - r.start_va


def _virtual(va: int, seen: _Seen) -> Iterator[tuple[str, str]]:
    (word,) = struct.unpack_from("<I", seen.l1, va >> 20 << 2)
    pa = _target(va, seen)
    if word & 3 == 1:
        yield "first level", f"{word:#010x}: table at {word & ~0x3FF:#010x}"
        page = seen.l2.get(word & ~0xFFF)
        if page is not None:
            (second,) = struct.unpack_from("<I", page, (word & 0xC00) + (va >> 12 & 0xFF) * 4)
            large = second & 3 == 1
            kind = "large page" if large else "page"
            told = f"{kind} {page_attributes(second, seen.cr, large=large)}" if second & 3 else "fault"
            yield "second level", f"{second:#010x}: {told}"
    elif word & 2:
        kind = "supersection" if word & 1 << 18 else "section"
        yield "first level", f"{word:#010x}: {kind} {section_attributes(word, seen.cr)}, domain {word >> 5 & 15}"
    else:
        yield "first level", f"{word:#010x}: fault"
    yield "physical", "not mapped" if pa is None else f"{pa:#010x}"


def merged(places: Iterator[Place]) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Return (first stage, last stage, what is known) with stages that know the same told once."""
    found: list[tuple[str, str, tuple[tuple[str, str], ...]]] = []
    for place in places:
        if found and found[-1][2] == place.facts:
            found[-1] = (found[-1][0], place.stage, place.facts)
        else:
            found.append((place.stage, place.stage, place.facts))
    return found
