"""What the allocators looked like when a replay first gave another answer than the recorded kernel.

    found = around(recording, build, record, recorded, here)

A second replay goes up to that record, so that what is told is the state before it, in whose lists both answers lay. It
is plain data, for text and for JSON.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from bootsim.lab import kinds
from bootsim.lab.replay import NO_PAGE, PageReplay
from bootsim.linux.include.linux.mm_types import migratetype_names
from bootsim.linux.mm import page_alloc as pa
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.build import KernelBuild
    from bootsim.lab.recording import Recording

SHOWN = 8  # entries of a list; the count tells how many there are
# What a record of the kind asks, and which words answer it with frames or with addresses.
_ASKED = {
    kinds.MOVED: "page {words[1]:#x} moved by compaction",
    kinds.CMA_ALLOC: "cma_alloc() of {words[1]} pages",
    kinds.CMA_RELEASE: "cma_release() of {words[2]} pages at {words[1]:#x}",
    kinds.GET: "an object of cache {cache}, {gfp3}",
    kinds.KMALLOC: "kmalloc() of {words[1]} bytes",
    kinds.CREATED: "kmem_cache_create()",
    kinds.GIVEN_BACK: "an empty slab of cache {cache} given back",
    kinds.NEW_SLAB: "a new slab of cache {cache}",
    kinds.RANGE: "an area of kernel addresses",
    kinds.PCPU_AREAS: "areas of per-cpu memory",
    kinds.VMALLOC: "vmalloc() of {words[1]} bytes",
    kinds.KMAP: "kmap() of page {words[1]:#x}",
    kinds.KUNMAP: "kunmap() of page {words[1]:#x}",
    kinds.KMAP_ATOMIC: "kmap_atomic() of page {words[1]:#x}",
    kinds.IOREMAPPED: "ioremap()",
    kinds.IOUNMAP: "iounmap() of {words[1]:#x}",
    kinds.MODULE: "module_alloc() of {words[1]} bytes",
    kinds.MAPPED: "pages mapped at {words[1]:#x}",
}
_FRAMES = {kinds.REQUEST: (3,), kinds.MOVED: (2,), kinds.CMA_ALLOC: (3,), kinds.GIVEN_BACK: (2,), kinds.NEW_SLAB: (2,)}
_OBJECTS = {kinds.GET: 2, kinds.KMALLOC: 3, kinds.CREATED: 1}
_OF_CACHE = (kinds.GET, kinds.GIVEN_BACK, kinds.NEW_SLAB)
_ADDRESSES = {kinds.RANGE: 3, kinds.PCPU_AREAS: 1, kinds.VMALLOC: 3, kinds.KMAP: 2, kinds.KUNMAP: 2,
              kinds.KMAP_ATOMIC: 2, kinds.IOREMAPPED: 2, kinds.MODULE: 2, kinds.MAPPED: 1}  # fmt: skip


def around(
    recording: Recording, build: KernelBuild, record: int, recorded: list[int], here: list[int]
) -> dict[str, Any]:
    """Return the state before a record: its words in the recording and here; zones, pageblocks, cache or addresses."""
    replay = PageReplay(recording, build)
    replay.run(_before(replay.records, record))
    kind = recorded[0]
    zones = _Zones(replay)
    found: dict[str, Any] = {
        "record": record, "state_at": replay.at, "asked": _words(replay, recorded),
        "recorded": recorded, "here": here,
        "pages": [{"whose": whose, **zones.page(words[word])} for word in _FRAMES.get(kind, ())
                  for whose, words in (("recorded", recorded), ("here", here))],
        "zones": zones.shown,
    }  # fmt: skip
    if kind in _OBJECTS or kind in _OF_CACHE:
        found |= _objects(replay, recorded, here)
    if kind in _ADDRESSES:
        word = _ADDRESSES[kind]
        found["addresses"] = _addresses(replay, {recorded[word], here[word]})
    return found


def _before(records: Any, record: int) -> int:
    # the steps of a compaction are one record's business, that of its beginning
    if records[record, 0] != kinds.MOVED:
        return record
    for i in range(record, -1, -1):
        if records[i, 0] == kinds.COMPACT and records[i, 3] & kinds.COMPACT_ENTERED:
            return i
    return record


def _words(replay: PageReplay, words: list[int]) -> str:
    cache = replay.objects.allocator.cache_at.get(words[1])
    text = _ASKED.get(words[0], f"a record of kind {words[0]}")
    if words[0] == kinds.REQUEST:
        return f"a page request of order {words[2]}, {pa.format_gfp_flags(words[1])}"
    return text.format(words=words, cache=f"{words[1]:#x}" if cache is None else cache.name,
                       gfp3=pa.format_gfp_flags(words[3]))


class _Zones:
    # where pages are, by the lists of all zones

    def __init__(self, replay: PageReplay) -> None:
        self.k = replay.k
        self.zones = pa.zones_snapshot(self.k)
        self.names = migratetype_names(len(self.zones[0]["free_area"][0]["lists"]))
        self.shown = [self._zone(zone) for zone in self.zones if zone["present"]]

    def _zone(self, zone: dict[str, Any]) -> dict[str, Any]:
        return {
            **{key: zone[key] for key in ("name", "nr_free_pages", "watermark", "lowmem_reserve")},
            "free_area": [{"order": order, "migratetype": self.names[mt], "count": len(pfns), "first": pfns[:SHOWN]}
                          for order, area in enumerate(zone["free_area"]) for mt, pfns in enumerate(area["lists"])
                          if pfns],
            "pcp": [{**{key: pcp[key] for key in ("count", "high", "batch")},
                     "lists": [{"migratetype": self.names[mt], "count": len(pfns), "first": pfns[:SHOWN]}
                               for mt, pfns in enumerate(pcp["lists"]) if pfns]} for pcp in zone["pcp"]],
        }

    def page(self, pfn: int) -> dict[str, Any]:
        """Where a page is: on which list at which place, or in use; and its pageblock."""
        if pfn == NO_PAGE:
            return {"pfn": None, "where": "no page"}
        try:
            info = pa.page_info(self.k, pfn)
        except pa.PageFrameError:
            return {"pfn": pfn, "where": "outside the memory map"}
        on = next(chain(self._free(pfn), self._cached(pfn)), None)
        used = "reserved" if info["reserved"] else f"in use, {info['refcount']} references, flags {info['flags']:#x}"
        return {"pfn": pfn, "where": on or used, "zone": info["zone"], "pageblock": self._pageblock(pfn)}

    def _free(self, pfn: int) -> Iterator[str]:
        for zone in self.zones:
            for order, area in enumerate(zone["free_area"]):
                for mt, pfns in enumerate(area["lists"]):
                    for place, first in enumerate(pfns, 1):
                        if first <= pfn < first + (1 << order):
                            yield (f"free: block {first:#x} of order {order}, {place} of {len(pfns)} on "
                                   f"{zone['name']}'s list {self.names[mt]}")

    def _cached(self, pfn: int) -> Iterator[str]:
        for zone in self.zones:
            for cpu, pcp in enumerate(zone["pcp"]):
                for mt, pfns in enumerate(pcp["lists"]):
                    if pfn in pfns:
                        yield (f"free: {pfns.index(pfn) + 1} of {len(pfns)} on {zone['name']}'s list {self.names[mt]} "
                               f"of cpu {cpu}")

    def _pageblock(self, pfn: int) -> dict[str, Any]:
        pages = 1 << self.k.mm.pageblock_order
        first = pfn & -pages
        free = sum(min(1 << order, pages) for zone in self.zones for order, area in enumerate(zone["free_area"])
                   for pfns in area["lists"] for pfn in pfns
                   if pfn < first + pages and pfn + (1 << order) > first)  # fmt: skip
        return {"first_pfn": first, "pages": pages, "free": free,
                "migratetype": self.names[pa.get_pageblock_migratetype(self.k, pfn)]}


def _objects(replay: PageReplay, recorded: list[int], here: list[int]) -> dict[str, Any]:
    # the cache as objects.json has it, or SLOB's lists; and whose the two addresses are
    allocator, kind = replay.objects.allocator, recorded[0]
    state = allocator.snapshot()
    word = _OBJECTS.get(kind)
    objects = [] if word is None else [
        {"whose": whose, "va": words[word], "where": allocator.owner_of(words[word]) or "no object"}
        for whose, words in (("recorded", recorded), ("here", here)) if words[word] >> PAGE_SHIFT]
    if isinstance(state, dict):
        lists = {name: [{"pfn": page["pfn"], "units": page["units"]} for page in pages[:SHOWN]]
                 for name, pages in state["lists"].items()}
        return {"objects": objects, "slob": lists}
    cache = allocator.cache_at.get(recorded[1]) if kind in _OF_CACHE else None
    rows = [row for row in state if cache is not None and row["addr"] == cache.va]
    return {"objects": objects, "cache": _short(rows[0]) if rows else None}


def _short(value: Any) -> Any:
    # lists cut to what is shown; how long they were stands at their end
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [*map(_short, value[:SHOWN]), *([f"... of {len(value)}"] if len(value) > SHOWN else [])]
    return value


def _addresses(replay: PageReplay, wanted: set[int]) -> list[dict[str, Any]]:
    # the areas of kernel addresses beside each of them
    areas = sorted((start, end, kind) for kind in ("busy", "free", "purge")
                   for start, end in (tuple(row[:2]) for row in replay.mappings.snapshot()["vmap"][kind]))
    found = []
    for va in sorted(wanted):
        at = next((i for i, (_, end, _) in enumerate(areas) if end > va), len(areas))
        near = [{"start": start, "end": end, "state": kind} for start, end, kind in areas[max(at - 2, 0):at + 3]]
        found.append({"va": va, "near": near})
    return found
