"""Where RAM went: every byte of it under one owner, now.

    RAM of the board --+-- not given to Linux: nobody told of it, or somebody took it out of memory
                       +-- no-map
                       +-- CMA areas
                       +-- free: in the buddy allocator; before there is one, in memblock
                       +-- reserved in memblock, by what for; the kernel image by its parts
                       +-- the rest of pages that are held in part

A byte is asked in that order, so it is counted once. What is free is read from the buddy allocator's lists and not
derived from memblock: the two are held against each other, and against the kernel's own "Memory:" line (`Table.sums`).
Addresses are physical, ranges half-open, sizes in bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP
from bootsim.owners import KINDS, Purpose
from bootsim.page import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.linux import Kernel
    from bootsim.owners import Holding

Range = tuple[int, int]

# The groups of the table, in its order; kinds of owners that are no group of their own are those of owners.KINDS.
GROUPS = {
    "free": "free",
    **{kind: name for kind, name in KINDS.items() if kind != "bank"},
    "slab": "slab caches",
    "rest": "rest of pages held in part",
    "lost": "in use, by nobody known",
    "gone": "not given to Linux",
}  # fmt: skip


class Row(NamedTuple):
    """What one owner holds: `group` is one of GROUPS. `since` is the first stage that shows it, `caller` who asked.

    `root` is the input that asked ("" for none), as facts name inputs, and `place` where it stands ("board.dts:41"), if
    it is a property of the tree. `counted` is where the "Memory:" line counts the pages: "available", "reserved",
    "cma", or "" for what is not in memory.
    """

    group: str
    owner: str
    size: int
    ranges: tuple[Range, ...]
    since: str
    caller: str
    root: str
    place: str
    counted: str


class Sum(NamedTuple):
    """A figure of the kernel's "Memory:" line beside what the table says: both in bytes; `line` None when not said."""

    name: str
    table: int
    line: int | None

    @property
    def agrees(self) -> bool:
        """Whether the kernel says the same, or nothing."""
        return self.line is None or self.line == self.table


class Table(NamedTuple):
    """All RAM of a board by owner, at a stage."""

    stage: str
    ram: tuple[Range, ...]
    rows: tuple[Row, ...]
    sums: tuple[Sum, ...]
    holes: tuple[Range, ...]
    absent: tuple[Range, ...]  # memory that Linux was told of, and that is no RAM
    uncounted_cma: int  # bytes of CMA areas outside memory or on one another, which the "Memory:" line counts

    @property
    def size(self) -> int:
        """Bytes of RAM."""
        return sum(end - start for start, end in self.ram)


class _Owner(NamedTuple):
    group: str
    what: str
    since: str
    caller: str = ""
    root: str = ""
    counted: str = ""


class _Layer:
    """Ranges that do not overlap, each with a value; `at(pa)` finds the one that holds an address."""

    def __init__(self, ranges: Iterable[tuple[int, int, Any]]) -> None:
        self._ranges = sorted(ranges, key=lambda each: each[:2])
        self._starts = [each[0] for each in self._ranges]

    def borders(self) -> Iterator[int]:
        """Yield every end of a range."""
        for start, end, _ in self._ranges:
            yield start
            yield end

    def at(self, pa: int) -> Any:
        """Return the value of the range that holds `pa`, or None."""
        i = bisect_right(self._starts, pa) - 1
        return self._ranges[i][2] if i >= 0 and pa < self._ranges[i][1] else None


def where(k: Kernel, stage: str = "end of boot") -> Table:
    """Return the table of a kernel as it stands now, `stage`."""
    ram = merged((base, base + size) for base, size in k.machine.banks)
    memory = merged((r.base, r.base + r.size) for r in k.mm.memblock.memory.regions if r.size)
    absent = list(_without(memory, ram))
    finder = _Finder(k)
    borders = sorted({*finder.borders(), *(pa for bounds in (*ram, *absent) for pa in bounds)})
    rows = [_row(k, owner, ranges) for owner, ranges in _owned(finder, borders, ram).items()]
    no_ram = [_row(k, owner, ranges) for owner, ranges in _owned(finder, borders, absent).items()]
    order = list(GROUPS)
    rows.sort(key=lambda row: (order.index(row.group), -row.size, row.ranges))
    holes = tuple((a[1], b[0]) for a, b in pairwise(ram))
    cma = (k.mm.totalcma_pages * PAGE_SIZE) - sum(row.size for row in (*rows, *no_ram) if row.counted == "cma")
    return Table(stage, tuple(ram), tuple(rows), _sums(k, [*rows, *no_ram], cma), holes, tuple(absent), cma)


def _owned(finder: _Finder, borders: list[int], within: list[Range]) -> dict[_Owner, list[Range]]:
    # every piece between two borders has one owner
    found: dict[_Owner, list[Range]] = {}
    for start, end in within:
        at = bisect_right(borders, start) - 1
        while borders[at] < end:
            found.setdefault(finder.owner(borders[at]), []).append((borders[at], borders[at + 1]))
            at += 1
    return found


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges by address, those that touch or overlap as one."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without(ranges: list[Range], taken: list[Range]) -> Iterator[Range]:
    for start, end in ranges:
        for a, b in taken:
            if b <= start or end <= a:
                continue
            if start < a:
                yield start, a
            start = b
        if start < end:
            yield start, end


def _row(k: Kernel, owner: _Owner, ranges: list[Range]) -> Row:
    joined, place = tuple(merged(ranges)), ""
    if owner.root.startswith("dtb:") and k.where is not None:
        path, _, prop = owner.root.removeprefix("dtb:").rpartition(":")
        place = k.where(path, prop)
    return Row(owner.group, owner.what, sum(end - start for start, end in joined), joined, owner.since, owner.caller,
               owner.root, place, owner.counted)  # fmt: skip


class _Finder:
    """Answers who owns an address, from the layers of a kernel's memory."""

    def __init__(self, k: Kernel) -> None:
        self._k = k
        owners = k.owners
        self._shown: dict[int, str] = {}
        self._memory = _Layer((r.base, r.base + r.size, r.flags) for r in k.mm.memblock.memory.regions if r.size)
        # the kernel counts the whole pages of each region
        self._whole_pages = _Layer((page_align(r.base),
                                    (r.base + r.size) // PAGE_SIZE * PAGE_SIZE, True)
                                   for r in k.mm.memblock.memory.regions if r.size)  # fmt: skip
        self._removed = _Layer(_rows_of(owners.removed()))
        self._no_map = _Layer(_rows_of(owners.no_map()))
        self._reserved = _Layer(_rows_of(owners.reserved()))
        self._areas = _Layer(_areas(k))
        self._image = _Layer(_image_parts(k))
        self._has_buddy = owners.shown_at(0) is not None and owners.reached("memblock_free_all")
        self._free = _Layer(_free_blocks(k) if self._has_buddy else ())
        self._slabs = _Layer(_slabs(k))
        pfn, pages = k.mm.atomic_pool or (0, 0)
        self._pool = _Layer([(pfn * PAGE_SIZE, (pfn + pages) * PAGE_SIZE, True)] if pages else ())
        self._offset = _Layer([(0, k.mm.phys_offset, True)] if k.mm.phys_offset else ())
        self._held_pages = _Layer((start, end, True) for start, end in merged(
            (h.base // PAGE_SIZE * PAGE_SIZE, page_align(h.end))
            for h in (*owners.reserved(), *owners.no_map())))

    def borders(self) -> Iterator[int]:
        """Yield every address at which the owner may change."""
        for layer in (self._memory, self._whole_pages, self._removed, self._no_map, self._reserved, self._areas,
                      self._image, self._free, self._slabs, self._pool, self._offset, self._held_pages):  # fmt: skip
            yield from layer.borders()

    def owner(self, pa: int) -> _Owner:
        """Return who owns the byte at `pa`, which is RAM or memory."""
        found = self._owner(pa)
        return found if self._whole_pages.at(pa) else found._replace(counted="")

    def _owner(self, pa: int) -> _Owner:
        flags = self._memory.at(pa)
        if flags is None:
            return self._gone(pa)
        if flags & MEMBLOCK_NOMAP:
            return self._held(self._no_map.at(pa), " (no-map)")
        zone = self._free.at(pa)
        area = self._areas.at(pa)
        held = self._reserved.at(pa)
        if area is not None:
            return self._area(area, pa, held, free=zone is not None)
        if zone is not None:
            return self._free_page(zone, pa, held)
        if held is not None:
            return self._part_of_image(held, pa) if held.purpose.kind == "image" else self._held(held)
        if not self._has_buddy:
            return _Owner("free", "in memblock", "", counted="available")
        if self._held_pages.at(pa) or not self._whole_pages.at(pa):
            return _Owner("rest", "too little for a page", "memblock_free_all", counted="reserved")
        if self._pool.at(pa):
            return _Owner("other", "DMA's atomic pool", "free_initmem:entry", "atomic_pool_init", counted="available")
        cache = self._slabs.at(pa)
        if cache is not None:
            return _Owner("slab", cache, "mm_init", "kmem_cache_init", counted="available")
        return _Owner("lost", "taken from the buddy allocator", "", counted="available")

    def _gone(self, pa: int) -> _Owner:
        held: Holding | None = self._removed.at(pa)
        if held is not None:
            purpose = held.purpose
            return _Owner("gone", purpose.what, self._since(held), held.caller, purpose.root)
        if self._offset.at(pa):
            return _Owner("gone", "below PHYS_OFFSET, where the kernel was loaded", "", root="option:load-addr")
        return _Owner("gone", "not told of by the tree", "")

    def _held(self, held: Holding, more: str = "") -> _Owner:
        purpose = held.purpose
        group = "node" if purpose.kind == "bank" else purpose.kind
        return _Owner(group, purpose.what + more, self._since(held), held.caller, purpose.root, "reserved")

    def _part_of_image(self, held: Holding, pa: int) -> _Owner:
        name = self._image.at(pa) or "between its parts"
        return _Owner("image", name, self._since(held), held.caller, "", "reserved")

    def _area(self, area: Any, pa: int, held: Holding | None, *, free: bool) -> _Owner:
        purpose = held.purpose if held is not None else Purpose("cma", area.name)
        more = "" if free or not self._has_buddy else ", in use" if area.bitmap else ", not activated"
        since, caller = (self._since(held), held.caller) if held is not None else ("", "")
        if self._pool.at(pa):
            more, since, caller = ", DMA's atomic pool", "free_initmem:entry", "atomic_pool_init"
        # whole pages of an area that nobody has reserved were free already at mem_init()
        counted = "cma" if held is not None or self._held_pages.at(pa) else "available"
        return _Owner("cma", f"area {area.name}{more}", since, caller, purpose.root, counted)

    def _free_page(self, zone: str, pa: int, held: Holding | None) -> _Owner:
        if held is None:
            # a page that was held in part became free with what held it
            counted = "reserved" if self._held_pages.at(pa) else "available"
            return _Owner("free", f"zone {zone}", "memblock_free_all", counted=counted)
        was = held.purpose.what
        if held.purpose.kind == "image":
            was = f"kernel {self._image.at(pa) or 'image'}"
        return _Owner("free", f"zone {zone}, was {was}", "free_initmem", held.caller, held.purpose.root, "reserved")

    def _since(self, held: Holding) -> str:
        if held.serial not in self._shown:
            self._shown[held.serial] = self._k.owners.shown_at(held.serial) or ""
        return self._shown[held.serial]


def _rows_of(holdings: Iterable[Holding]) -> Iterator[tuple[int, int, Holding]]:
    return ((h.base, h.end, h) for h in holdings)


def _areas(k: Kernel) -> Iterator[tuple[int, int, Any]]:
    # areas that overlap are one in the table: the first one's
    taken: list[Range] = []
    for area in k.mm.cma_areas:
        bounds = (area.base_pfn * PAGE_SIZE, (area.base_pfn + area.count) * PAGE_SIZE)
        yield from ((start, end, area) for start, end in _without([bounds], sorted(taken)))
        taken = merged([*taken, bounds])


def _image_parts(k: Kernel) -> Iterator[tuple[int, int, str]]:
    s = k.build.symbols
    parts = [(".text", s.stext, s.etext), (".rodata", s.start_rodata, s.end_rodata),
             (".init", s.init_begin, s.init_end), (".data", s.sdata, s.edata), (".bss", s.bss_start, s.bss_stop)]
    taken: list[Range] = []
    for name, start, end in parts:
        if start < end:
            bounds = (k.virt_to_phys(start), k.virt_to_phys(end - 1) + 1)
            yield from ((a, b, name) for a, b in _without([bounds], sorted(taken)))
            taken = merged([*taken, bounds])


def _slabs(k: Kernel) -> Iterator[tuple[int, int, str]]:
    for pfn, pages, cache in k.mm.slab.slabs() if k.mm.slab is not None else ():
        yield pfn * PAGE_SIZE, (pfn + pages) * PAGE_SIZE, f"slabs of {cache}" if cache else "pages of SLOB"


def _free_blocks(k: Kernel) -> Iterator[tuple[int, int, str]]:
    for zone in k.zones:
        blocks = [(pfn, order) for order, area in enumerate(zone["free_area"])
                  for pfns in area["lists"] for pfn in pfns]  # fmt: skip
        blocks += [(pfn, 0) for pcp in zone["pcp"] for pfns in pcp["lists"] for pfn in pfns]
        free = merged((pfn * PAGE_SIZE, (pfn + (1 << order)) * PAGE_SIZE) for pfn, order in blocks)
        yield from ((start, end, zone["name"]) for start, end in free)


# What the table says of the figures of the "Memory:" line. That line was printed at mem_init(): what was freed since
# counts as reserved there, and memory that is no RAM counts as memory; reserved is what is left of memory.
def _sums(k: Kernel, rows: list[Row], uncounted_cma: int) -> tuple[Sum, ...]:
    said = next((r.fields for r in reversed(k.log.records) if r.func == "mem_init_print_info"), None)
    by: dict[str, int] = {}
    for row in rows:
        by[row.counted] = by.get(row.counted, 0) + row.size
    low_end = k.mm.max_low_pfn * PAGE_SIZE
    high = sum(max(0, end - max(start, low_end)) for row in rows if row.counted == "available"
               for start, end in row.ranges)  # fmt: skip
    figures = [("available", by.get("available", 0), "free"),
               ("reserved", by.get("reserved", 0) - uncounted_cma, "reserved"),
               ("cma-reserved", by.get("cma", 0) + uncounted_cma, "cma"), ("highmem", high, "highmem"),
               ("memory", sum(size for counted, size in by.items() if counted), "physical")]  # fmt: skip
    return tuple(Sum(name, table, None if said is None or key not in said else said[key] << 10)
                 for name, table, key in figures)  # fmt: skip
