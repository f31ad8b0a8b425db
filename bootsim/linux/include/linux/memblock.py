"""memblock's structures and the ways to walk over them (include/linux/memblock.h).

Physical addresses are 32-bit, as in a kernel without LPAE: `PHYS_ADDR_MAX` is the last byte of the address space and no
range ever reaches past it. Ranges are half-open [base, base + size).

       base        base+size
        |--region--|            regions are sorted, disjoint, and neighbours with equal flags are merged
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.owners import Purpose

PHYS_ADDR_MAX = 0xFFFFFFFF
MEMBLOCK_ALLOC_ACCESSIBLE = 0
MEMBLOCK_ALLOC_KASAN = 1
MEMBLOCK_ALLOC_ANYWHERE = PHYS_ADDR_MAX
NUMA_NO_NODE = -1
INIT_MEMBLOCK_REGIONS = 128

MEMBLOCK_NONE, MEMBLOCK_HOTPLUG, MEMBLOCK_MIRROR, MEMBLOCK_NOMAP = 0, 1, 2, 4


# Not dataclasses: generating the code of one takes half a millisecond, at every start.
class MemblockRegion:
    """One range of physical memory: base and size in bytes, flags MEMBLOCK_*."""

    __slots__ = ("base", "flags", "size")

    def __init__(self, base: int, size: int, flags: int = MEMBLOCK_NONE) -> None:
        self.base = base
        self.size = size
        self.flags = flags

    def __repr__(self) -> str:
        return f"MemblockRegion(base={self.base:#x}, size={self.size:#x}, flags={self.flags:#x})"


class MemblockType:
    """An array of regions. An empty array holds one dummy region of size 0, as in the kernel.

    `max` is the array's capacity in regions; `array_pa` is where a doubled array lies, None for the static one.
    """

    __slots__ = ("array_pa", "max", "name", "regions", "total_size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.regions = [MemblockRegion(0, 0)]
        self.max = INIT_MEMBLOCK_REGIONS
        self.total_size = 0
        self.array_pa: int | None = None

    def __repr__(self) -> str:
        return f"<MemblockType {self.name}: {self.regions}>"


def _silent(level: int, template: str, /, **fields: Any) -> None:
    """The log of a memblock that belongs to no kernel."""


def _nobody(op: str, base: int, size: int, caller: str, purpose: Purpose, flag: int = 0, /) -> None:
    """The listener of a memblock that nobody listens to."""


class Memblock:
    """struct memblock: the memory there is, and what of it is reserved.

    `printk(level, template, **fields)` takes its messages, `zero(pa, bytes, what)` clears memory allocated for `what`,
    `region_bytes` is sizeof(struct memblock_region) of the build. `listener` hears every change once it is made, as
    Owners.hear() does.
    """

    def __init__(self, printk: Callable[..., None] = _silent,
                 zero: Callable[[int, int, str], None] = lambda pa, size, what: None, region_bytes: int = 12,
                 listener: Callable[..., None] = _nobody, debug: bool = False) -> None:
        self.printk = printk
        self.zero = zero
        self.region_bytes = region_bytes
        self.listener = listener
        self.memory = MemblockType("memory")
        self.reserved = MemblockType("reserved")
        self.bottom_up = False
        self.current_limit = MEMBLOCK_ALLOC_ANYWHERE
        self.debug = debug
        self.can_resize = False
        self.movable_node = False

    def __repr__(self) -> str:
        return f"<Memblock: {self.memory}, {self.reserved}>"


def _skipped(mb: Memblock, r: MemblockRegion, flags: int) -> bool:
    # should_skip_region() for a region of memory
    if mb.movable_node and r.flags & MEMBLOCK_HOTPLUG and not flags & MEMBLOCK_HOTPLUG:
        return True
    if flags & MEMBLOCK_MIRROR and not r.flags & MEMBLOCK_MIRROR:
        return True
    return bool(not flags & MEMBLOCK_NOMAP and r.flags & MEMBLOCK_NOMAP)


def for_each_mem_range(mb: Memblock, flags: int = MEMBLOCK_NONE) -> Iterator[tuple[int, int]]:
    """Yield (base, end) (pa) of each region of memory that is mapped; the regions may change while iterating.

    Source: include/linux/memblock.h for_each_mem_range()
    """
    i = 0
    while i < len(mb.memory.regions):
        r = mb.memory.regions[i]
        i += 1
        if not _skipped(mb, r, flags):
            yield r.base, r.base + r.size


def for_each_reserved_mem_range(mb: Memblock) -> Iterator[tuple[int, int]]:
    """Yield (base, end) (pa) of each reserved region.

    Source: include/linux/memblock.h for_each_reserved_mem_range()
    """
    for r in mb.reserved.regions:
        yield r.base, r.base + r.size


def for_each_mem_pfn_range(mb: Memblock) -> Iterator[tuple[int, int]]:
    """Yield (start, end) (pfn) of the whole pages of each region of memory, NOMAP ones too.

    Source: mm/memblock.c __next_mem_pfn_range()
    """
    for r in mb.memory.regions:
        start, end = -(-r.base >> PAGE_SHIFT), (r.base + r.size) >> PAGE_SHIFT
        if start < end:
            yield start, end


def for_each_free_mem_range(mb: Memblock, flags: int = MEMBLOCK_NONE) -> Iterator[tuple[int, int]]:
    """Yield (base, end) (pa), ascending, of memory that is not reserved.

    Source: mm/memblock.c __next_mem_range()
    """
    reserved = mb.reserved.regions
    for m in mb.memory.regions:
        if _skipped(mb, m, flags):
            continue
        start, m_end = m.base, m.base + m.size
        for r in reserved:
            if r.base + r.size <= start:
                continue
            if r.base >= m_end:
                break
            if r.base > start:
                yield start, r.base
            start = r.base + r.size
        if start < m_end:
            yield start, m_end


def for_each_free_mem_range_reverse(mb: Memblock, flags: int = MEMBLOCK_NONE) -> Iterator[tuple[int, int]]:
    """Yield (base, end) (pa), descending, of memory that is not reserved.

    Source: mm/memblock.c __next_mem_range_rev()
    """
    for m in reversed(mb.memory.regions):
        if _skipped(mb, m, flags):
            continue
        end = m.base + m.size
        for r in reversed(mb.reserved.regions):
            if r.base >= end:
                continue
            r_end = r.base + r.size
            if r_end <= m.base:
                break
            if r_end < end:
                yield r_end, end
            end = r.base
        if m.base < end:
            yield m.base, end
