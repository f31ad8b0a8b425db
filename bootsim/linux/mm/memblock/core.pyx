# cython: boundscheck=True, nonecheck=True
"""memblock's regions, the ways to walk over them, and what changes them (mm/memblock.c, include/linux/memblock.h).

Physical addresses are 32-bit, as in a kernel without LPAE: `PHYS_ADDR_MAX` is the last byte of the address space and no
range ever reaches past it. Ranges are half-open [base, base + size).

       base        base+size
        |--region--|            regions are sorted, disjoint, and neighbours with equal flags are merged
"""

from copy import deepcopy
from importlib import import_module

from bootsim.errno cimport ENOMEM

from bootsim.causes import ArrayFull, Shortage
from bootsim.errors import KernelPanic
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

# `include` is a keyword of Cython
Err = import_module("bootsim.linux.include.linux.err").Err

PHYS_ADDR_MAX = 0xFFFFFFFF
MEMBLOCK_ALLOC_ACCESSIBLE = 0
MEMBLOCK_ALLOC_KASAN = 1
MEMBLOCK_ALLOC_ANYWHERE = PHYS_ADDR_MAX
NUMA_NO_NODE = -1
INIT_MEMBLOCK_REGIONS = 128

cdef long long _END = PHYS_ADDR_MAX
cdef long long _PAGE_BYTES = PAGE_SIZE

cdef enum:
    HOTPLUG = 1
    MIRROR = 2
    NOMAP = 4

MEMBLOCK_NONE, MEMBLOCK_HOTPLUG, MEMBLOCK_MIRROR, MEMBLOCK_NOMAP = 0, HOTPLUG, MIRROR, NOMAP


# Where a walk over free memory is: the memory region, and the gap before a reserved region; the range found there.
cdef struct FreeWalk:
    Py_ssize_t memory
    Py_ssize_t gap
    long long start
    long long end


cdef class MemblockRegion:
    """One range of physical memory: base and size in bytes, flags MEMBLOCK_*."""

    cdef public long long base
    cdef public long long size
    cdef public unsigned int flags

    def __init__(self, long long base, long long size, unsigned int flags=MEMBLOCK_NONE):
        self.base = base
        self.size = size
        self.flags = flags

    def __deepcopy__(self, memo):
        cdef MemblockRegion new = MemblockRegion(self.base, self.size, self.flags)
        memo[id(self)] = new
        return new

    def __repr__(self):
        return f"MemblockRegion(base={self.base:#x}, size={self.size:#x}, flags={self.flags:#x})"


cdef class MemblockType:
    """An array of regions. An empty array holds one dummy region of size 0, as in the kernel.

    `max` is the array's capacity in regions; `array_pa` is where a doubled array lies, None for the static one.
    """

    cdef public str name
    cdef public list regions
    cdef public long long max
    cdef public long long total_size
    cdef public object array_pa

    def __init__(self, name):
        self.name = name
        self.regions = [MemblockRegion(0, 0)]
        self.max = INIT_MEMBLOCK_REGIONS
        self.total_size = 0

    def __deepcopy__(self, memo):
        cdef MemblockType new = MemblockType(self.name)
        memo[id(self)] = new
        new.regions = deepcopy(self.regions, memo)
        new.max, new.total_size, new.array_pa = self.max, self.total_size, self.array_pa
        return new

    def __repr__(self):
        return f"<MemblockType {self.name}: {self.regions}>"


def _silent(level, template, /, **fields):
    """The log of a memblock that belongs to no kernel."""


def _nobody(op, base, size, caller, purpose, flag=0, /):
    """The listener of a memblock that nobody listens to."""


class Memblock:
    """struct memblock: the memory there is, and what of it is reserved.

    `printk(level, template, **fields)` takes its messages, `zero(pa, bytes, what)` clears memory allocated for `what`,
    `region_bytes` is sizeof(struct memblock_region) of the build. `listener` hears every change once it is made, as
    Owners.hear() does.
    """

    def __init__(self, printk=_silent, zero=lambda pa, size, what: None, region_bytes=12, listener=_nobody,
                 debug=False):
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

    def __repr__(self):
        return f"<Memblock: {self.memory}, {self.reserved}>"


cdef bint _skipped(mb, MemblockRegion r, unsigned int flags) except -1:
    # should_skip_region() for a region of memory
    if r.flags & HOTPLUG and not flags & HOTPLUG and mb.movable_node:
        return True
    if flags & MIRROR and not r.flags & MIRROR:
        return True
    return r.flags & NOMAP != 0 and not flags & NOMAP


def for_each_mem_range(mb, unsigned int flags=MEMBLOCK_NONE):
    """Yield (base, end) (pa) of each region of memory that is mapped; the regions may change while iterating.

    Source: include/linux/memblock.h for_each_mem_range()
    """
    cdef MemblockRegion r
    i = 0
    while i < len(mb.memory.regions):
        r = mb.memory.regions[i]
        i += 1
        if not _skipped(mb, r, flags):
            yield r.base, r.base + r.size


def for_each_reserved_mem_range(mb):
    """Yield (base, end) (pa) of each reserved region.

    Source: include/linux/memblock.h for_each_reserved_mem_range()
    """
    cdef MemblockRegion r
    for r in mb.reserved.regions:
        yield r.base, r.base + r.size


def for_each_mem_pfn_range(mb):
    """Yield (start, end) (pfn) of the whole pages of each region of memory, NOMAP ones too.

    Source: mm/memblock.c __next_mem_pfn_range()
    """
    for r in mb.memory.regions:
        start, end = -(-r.base >> PAGE_SHIFT), (r.base + r.size) >> PAGE_SHIFT
        if start < end:
            yield start, end


cdef FreeWalk walk_up() noexcept:
    # before the first free range
    return FreeWalk(0, 0, 0, 0)


cdef FreeWalk walk_down(mb) noexcept:
    # behind the last free range
    return FreeWalk(len(mb.memory.regions) - 1, len(mb.reserved.regions), 0, 0)


cdef bint next_mem_range(FreeWalk *walk, mb, unsigned int flags) except -1:
    """Go on to the next range of memory, ascending, that is not reserved; whether there is one.

    Source: mm/memblock.c __next_mem_range()
    """
    cdef list memory = (<MemblockType?>mb.memory).regions
    cdef list reserved = (<MemblockType?>mb.reserved).regions
    cdef MemblockRegion m
    cdef long long gap_start, gap_end
    while walk.memory < len(memory):
        m = memory[walk.memory]
        while not _skipped(mb, m, flags) and walk.gap <= len(reserved):
            _gap(reserved, walk.gap, &gap_start, &gap_end)
            if gap_start >= m.base + m.size:
                break
            if m.base < gap_end:
                walk.start, walk.end = max(m.base, gap_start), min(m.base + m.size, gap_end)
                if m.base + m.size <= gap_end:
                    walk.memory += 1
                else:
                    walk.gap += 1
                return True
            walk.gap += 1
        walk.memory += 1
    return False


cdef bint next_mem_range_rev(FreeWalk *walk, mb, unsigned int flags) except -1:
    """Go on to the next range of memory, descending, that is not reserved; whether there is one.

    Source: mm/memblock.c __next_mem_range_rev()
    """
    cdef list memory = (<MemblockType?>mb.memory).regions
    cdef list reserved = (<MemblockType?>mb.reserved).regions
    cdef MemblockRegion m
    cdef long long gap_start, gap_end
    while walk.memory >= 0:
        m = memory[walk.memory]
        while not _skipped(mb, m, flags) and walk.gap >= 0:
            _gap(reserved, walk.gap, &gap_start, &gap_end)
            if gap_end <= m.base:
                break
            if m.base + m.size > gap_start:
                walk.start, walk.end = max(m.base, gap_start), min(m.base + m.size, gap_end)
                if m.base >= gap_start:
                    walk.memory -= 1
                else:
                    walk.gap -= 1
                return True
            walk.gap -= 1
        walk.memory -= 1
    return False


cdef int _gap(list reserved, Py_ssize_t i, long long *start, long long *end) except -1:
    # what lies between the reserved regions i - 1 and i
    cdef MemblockRegion r
    start[0] = 0
    end[0] = _END
    if i > 0:
        r = reserved[i - 1]
        start[0] = r.base + r.size
    if i < len(reserved):
        r = reserved[i]
        end[0] = r.base
    return 0


def for_each_free_mem_range(mb, unsigned int flags=MEMBLOCK_NONE):
    """Yield (base, end) (pa), ascending, of memory that is not reserved.

    Source: include/linux/memblock.h for_each_free_mem_range()
    """
    cdef FreeWalk walk = walk_up()
    while next_mem_range(&walk, mb, flags):
        yield walk.start, walk.end


def for_each_free_mem_range_reverse(mb, unsigned int flags=MEMBLOCK_NONE):
    """Yield (base, end) (pa), descending, of memory that is not reserved.

    Source: include/linux/memblock.h for_each_free_mem_range_reverse()
    """
    cdef FreeWalk walk = walk_down(mb)
    while next_mem_range_rev(&walk, mb, flags):
        yield walk.start, walk.end


# ---------------------------------------------------------------- adding and removing


def _double_array(mb, type_, base, size):
    from bootsim.linux.mm.memblock import memblock_double_array  # stands on this module

    return memblock_double_array(mb, type_, base, size)


cpdef long long memblock_cap_size(long long base, long long size) except? -1:
    """Return `size` cut so that base + size stays below PHYS_ADDR_MAX (bytes, pa).

    Source: mm/memblock.c memblock_cap_size()
    """
    return min(size, _END - base)


def memblock_overlaps_region(MemblockType type_ not None, long long base, long long size):
    """Whether [base, base + size) (pa, bytes) meets any region.

    Source: mm/memblock.c memblock_overlaps_region()
    """
    cdef MemblockRegion r
    cdef long long end = base + memblock_cap_size(base, size)
    for r in type_.regions:
        if base < r.base + r.size and r.base < end:
            return True
    return False


cdef int _insert_region(MemblockType type_, Py_ssize_t idx, long long base, long long size,
                        unsigned int flags) except -1:
    # memblock_insert_region()
    if len(type_.regions) >= type_.max:
        raise KernelPanic(None, f"BUG in memblock_insert_region: memblock.{type_.name} is full")
    type_.regions.insert(idx, MemblockRegion(base, size, flags))
    type_.total_size += size
    return 0


cdef int _remove_region(MemblockType type_, Py_ssize_t idx) except -1:
    # memblock_remove_region(): an emptied array keeps one dummy region
    type_.total_size -= (<MemblockRegion?>type_.regions[idx]).size
    del type_.regions[idx]
    if not type_.regions:
        type_.regions.append(MemblockRegion(0, 0))
    return 0


cpdef int memblock_merge_regions(MemblockType type_) except -1:
    """Merge neighbours that touch and have equal flags.

    Source: mm/memblock.c memblock_merge_regions()
    """
    cdef list regions = type_.regions
    cdef MemblockRegion this, following
    cdef Py_ssize_t i = 0
    while i < len(regions) - 1:
        this, following = regions[i], regions[i + 1]
        if this.base + this.size != following.base or this.flags != following.flags:
            i += 1
            continue
        this.size += following.size
        del regions[i + 1]
    return 0


cpdef memblock_add_range(mb, MemblockType type_, long long base, long long size, unsigned int flags=0):
    """Add [base, base + size) (pa, bytes): the parts no region covers yet become regions. Returns 0, or -ENOMEM with
    an ArrayFull.

    Source: mm/memblock.c memblock_add_range()
    """
    cdef long long end
    cdef list gaps
    size = memblock_cap_size(base, size)
    end = base + size
    if not size:
        return 0
    if (<MemblockRegion?>type_.regions[0]).size == 0:
        type_.regions[0] = MemblockRegion(base, size, flags)
        type_.total_size = size
        return 0
    gaps = _uncovered(type_, base, end)
    if not gaps:
        return 0
    while len(type_.regions) + len(gaps) > type_.max:
        if _double_array(mb, type_, base, size) < 0:
            return Err(-ENOMEM, ArrayFull(type_.name, len(type_.regions), type_.max, mb.can_resize))
        # the new array was itself reserved, perhaps in this very type: look again
        gaps = _uncovered(type_, base, end)
    for n, (idx, start, stop) in enumerate(gaps):
        _insert_region(type_, idx + n, start, stop - start, flags)
    memblock_merge_regions(type_)
    return 0


cdef list _uncovered(MemblockType type_, long long base, long long end):
    # the first, counting pass of memblock_add_range(): (index to insert at, start, end) of each uncovered part
    cdef MemblockRegion r
    cdef list gaps = []
    cdef Py_ssize_t idx = 0
    for r in type_.regions:
        if r.base >= end:
            break
        if r.base + r.size > base:
            if r.base > base:
                gaps.append((idx, base, r.base))
            base = min(r.base + r.size, end)
        idx += 1
    if base < end:
        gaps.append((idx, base, end))
    return gaps


class ArrayFullError(Exception):
    """memblock_isolate_range() returned -ENOMEM; the argument is the ArrayFull."""


cpdef tuple memblock_isolate_range(mb, MemblockType type_, long long base, long long size):
    """Split regions that cross the ends of [base, base + size) (pa, bytes); return the index range inside it.

    Raises ArrayFullError where the kernel returns -ENOMEM (the region array is full and cannot grow).
    Source: mm/memblock.c memblock_isolate_range()
    """
    cdef MemblockRegion r
    cdef long long end, rbase, rend
    cdef Py_ssize_t start_rgn = 0, end_rgn = 0, idx = 0
    size = memblock_cap_size(base, size)
    end = base + size
    if not size:
        return 0, 0
    while len(type_.regions) + 2 > type_.max:
        if _double_array(mb, type_, base, size) < 0:
            raise ArrayFullError(ArrayFull(type_.name, len(type_.regions), type_.max, mb.can_resize))
    while idx < len(type_.regions):
        r = type_.regions[idx]
        rbase, rend = r.base, r.base + r.size
        if rbase >= end:
            break
        if rend <= base:
            pass
        elif rbase < base:
            r.base, r.size = base, r.size - (base - rbase)
            type_.total_size -= base - rbase
            _insert_region(type_, idx, rbase, base - rbase, r.flags)
        elif rend > end:
            r.base, r.size = end, r.size - (end - rbase)
            type_.total_size -= end - rbase
            _insert_region(type_, idx, rbase, end - rbase, r.flags)
            continue  # look at the new lower part, which now ends at `end`
        else:
            if not end_rgn:
                start_rgn = idx
            end_rgn = idx + 1
        idx += 1
    return start_rgn, end_rgn


cpdef memblock_remove_range(mb, MemblockType type_, long long base, long long size):
    """Take [base, base + size) (pa, bytes) out of `type_`. Returns 0, or -ENOMEM with an ArrayFull.

    Source: mm/memblock.c memblock_remove_range()
    """
    cdef Py_ssize_t i, start, end
    try:
        start, end = memblock_isolate_range(mb, type_, base, size)
    except ArrayFullError as full:
        return Err(-ENOMEM, full.args[0])
    for i in range(end - 1, start - 1, -1):
        _remove_region(type_, i)
    return 0


# ---------------------------------------------------------------- finding


cpdef memblock_find_in_range_node(mb, long long size, long long align, long long start, long long end,
                                  unsigned int flags):
    """Find `size` free bytes aligned to `align` within [start, end) (pa); return their pa, or 0 with a Shortage.

    Source: mm/memblock.c memblock_find_in_range_node(), __memblock_find_range_{top_down,bottom_up}()
    """
    cdef FreeWalk walk
    cdef long long this_start, this_end, cand
    if end in (MEMBLOCK_ALLOC_ACCESSIBLE, MEMBLOCK_ALLOC_KASAN):
        end = mb.current_limit
    start = max(start, _PAGE_BYTES)
    end = max(start, end)
    if mb.bottom_up:
        walk = walk_up()
        while next_mem_range(&walk, mb, flags):
            if walk.end - walk.start < size:
                continue
            this_start = min(max(walk.start, start), end)
            this_end = min(max(walk.end, start), end)
            cand = (this_start + align - 1) & ~(align - 1)
            if cand < this_end and this_end - cand >= size:
                return cand
        return Err(0, Shortage(size, align, start, end))
    walk = walk_down(mb)
    while next_mem_range_rev(&walk, mb, flags):
        if walk.end - walk.start < size:
            continue
        this_start = min(max(walk.start, start), end)
        this_end = min(max(walk.end, start), end)
        if this_end < size:
            continue
        cand = (this_end - size) & ~(align - 1)
        if cand >= this_start:
            return cand
    return Err(0, Shortage(size, align, start, end))
