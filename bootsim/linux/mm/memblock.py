"""memblock, the boot-time memory allocator (mm/memblock.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import ArrayFull, Shortage
from bootsim.errors import KernelPanic
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import ENOMEM
from bootsim.linux.include.linux.memblock import (
    INIT_MEMBLOCK_REGIONS,
    MEMBLOCK_ALLOC_ACCESSIBLE,
    MEMBLOCK_ALLOC_ANYWHERE,
    MEMBLOCK_ALLOC_KASAN,
    MEMBLOCK_HOTPLUG,
    MEMBLOCK_NOMAP,
    MEMBLOCK_NONE,
    NUMA_NO_NODE,
    PHYS_ADDR_MAX,
    Memblock,
    MemblockRegion,
    MemblockType,
    for_each_free_mem_range,
    for_each_free_mem_range_reverse,
    for_each_mem_pfn_range,
    for_each_mem_range,
    for_each_reserved_mem_range,
)
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.owners import ADD, CLEAR, DOUBLE, FREE, MARK, NOBODY, REMOVE, RESERVE, Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# what others take from here, though include/linux/memblock.py defines it
__all__ = [
    "INIT_MEMBLOCK_REGIONS", "MEMBLOCK_ALLOC_ACCESSIBLE", "MEMBLOCK_ALLOC_ANYWHERE", "MEMBLOCK_HOTPLUG",
    "MEMBLOCK_NOMAP", "MEMBLOCK_NONE", "NUMA_NO_NODE", "PAGE_SHIFT", "PAGE_SIZE", "PHYS_ADDR_MAX", "Memblock",
    "MemblockRegion", "MemblockType", "for_each_free_mem_range", "for_each_free_mem_range_reverse",
    "for_each_mem_pfn_range", "for_each_mem_range", "for_each_reserved_mem_range",
]  # fmt: skip
_KERN_ERR, _KERN_INFO = 3, 6


def _dbg(mb: Memblock, func: str, base: int, size: int, caller: str) -> None:
    # the "[first-last] caller" line of memblock=debug; the last byte wraps to the one before base when size is 0
    end = (base + size - 1) & PHYS_ADDR_MAX
    mb.printk(_KERN_INFO, "{func_}: [{base:#010x}-{end:#010x}] {caller}",
              func=func, func_=func, base=base, end=end, caller=caller)


def memblock_cap_size(base: int, size: int) -> int:
    """Return `size` cut so that base + size stays below PHYS_ADDR_MAX (bytes, pa).

    Source: mm/memblock.c memblock_cap_size()
    """
    return min(size, PHYS_ADDR_MAX - base)


def memblock_overlaps_region(type_: MemblockType, base: int, size: int) -> bool:
    """Whether [base, base + size) (pa, bytes) meets any region.

    Source: mm/memblock.c memblock_overlaps_region()
    """
    end = base + memblock_cap_size(base, size)
    return any(base < r.base + r.size and r.base < end for r in type_.regions)


# ---------------------------------------------------------------- adding and removing


def _insert_region(type_: MemblockType, idx: int, base: int, size: int, flags: int) -> None:
    # memblock_insert_region()
    if len(type_.regions) >= type_.max:
        raise KernelPanic(None, f"BUG in memblock_insert_region: memblock.{type_.name} is full")
    type_.regions.insert(idx, MemblockRegion(base, size, flags))
    type_.total_size += size


def _remove_region(type_: MemblockType, idx: int) -> None:
    # memblock_remove_region(): an emptied array keeps one dummy region
    type_.total_size -= type_.regions[idx].size
    del type_.regions[idx]
    if not type_.regions:
        type_.regions.append(MemblockRegion(0, 0))


def memblock_merge_regions(type_: MemblockType) -> None:
    """Merge neighbours that touch and have equal flags.

    Source: mm/memblock.c memblock_merge_regions()
    """
    merged: list[MemblockRegion] = []
    end, flags = -1, MEMBLOCK_NONE
    for r in type_.regions:
        if r.base == end and r.flags == flags:
            merged[-1].size += r.size
        else:
            merged.append(r)
            flags = r.flags
        end = r.base + r.size
    type_.regions[:] = merged


def memblock_add_range(mb: Memblock, type_: MemblockType, base: int, size: int, flags: int = MEMBLOCK_NONE) -> int:
    """Add [base, base + size) (pa, bytes): the parts no region covers yet become regions. Returns 0, or -ENOMEM with
    an ArrayFull.

    Source: mm/memblock.c memblock_add_range()
    """
    size = memblock_cap_size(base, size)
    end = base + size
    if not size:
        return 0
    if type_.regions[0].size == 0:
        type_.regions[0] = MemblockRegion(base, size, flags)
        type_.total_size = size
        return 0
    gaps = _uncovered(type_, base, end)
    if not gaps:
        return 0
    while len(type_.regions) + len(gaps) > type_.max:
        if memblock_double_array(mb, type_, base, size) < 0:
            return Err(-ENOMEM, ArrayFull(type_.name, len(type_.regions), type_.max, mb.can_resize))
        # the new array was itself reserved, perhaps in this very type: look again
        gaps = _uncovered(type_, base, end)
    for n, (idx, start, stop) in enumerate(gaps):
        _insert_region(type_, idx + n, start, stop - start, flags)
    memblock_merge_regions(type_)
    return 0


def _uncovered(type_: MemblockType, base: int, end: int) -> list[tuple[int, int, int]]:
    # the first, counting pass of memblock_add_range(): (index to insert at, start, end) of each uncovered part
    gaps = []
    idx = 0
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


def memblock_double_array(mb: Memblock, type_: MemblockType, new_area_start: int, new_area_size: int) -> int:
    """Double a full region array into newly found memory that avoids [start, start + size). Returns 0 or -1.

    Source: mm/memblock.c memblock_double_array()
    Differs: the regions themselves stay in this object; only the memory for the array is taken.
    """
    if not mb.can_resize:
        return -1
    old_bytes = type_.max * mb.region_bytes
    new_bytes = _page_align(old_bytes * 2)
    if type_ is not mb.reserved:
        new_area_start = new_area_size = 0
    addr = memblock_find_in_range(mb, new_area_start + new_area_size, mb.current_limit, new_bytes, PAGE_SIZE)
    if not addr and new_area_size:
        addr = memblock_find_in_range(mb, 0, min(new_area_start, mb.current_limit), new_bytes, PAGE_SIZE)
    if not addr:
        mb.printk(_KERN_ERR, "memblock: Failed to double {name} array from {max} to {max2} entries !",
                  func="memblock_double_array", name=type_.name, max=type_.max, max2=type_.max * 2)
        return -1
    if mb.debug:
        mb.printk(_KERN_INFO, "memblock: {name} is doubled to {max} at [{base:#010x}-{end:#010x}]",
                  func="memblock_double_array", name=type_.name, max=type_.max * 2, base=addr,
                  end=addr + old_bytes * 2 - 1)
    old_pa, type_.array_pa = type_.array_pa, addr
    type_.max *= 2
    purpose = Purpose("other", f"array of {type_.max} regions for memblock.{type_.name}")
    mb.zero(addr, old_bytes * 2, purpose.what)
    mb.listener(DOUBLE, addr, new_bytes, "memblock_double_array", purpose)
    if old_pa is not None:
        memblock_free(mb, old_pa, _page_align(old_bytes), "memblock_double_array", purpose)
    memblock_reserve(mb, addr, new_bytes, "memblock_double_array", purpose)
    return 0


def _page_align(size: int) -> int:
    return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)


class ArrayFullError(Exception):
    """memblock_isolate_range() returned -ENOMEM; the argument is the ArrayFull."""


def memblock_isolate_range(mb: Memblock, type_: MemblockType, base: int, size: int) -> tuple[int, int]:
    """Split regions that cross the ends of [base, base + size) (pa, bytes); return the index range inside it.

    Raises ArrayFullError where the kernel returns -ENOMEM (the region array is full and cannot grow).
    Source: mm/memblock.c memblock_isolate_range()
    """
    size = memblock_cap_size(base, size)
    end = base + size
    start_rgn = end_rgn = 0
    if not size:
        return 0, 0
    while len(type_.regions) + 2 > type_.max:
        if memblock_double_array(mb, type_, base, size) < 0:
            raise ArrayFullError(ArrayFull(type_.name, len(type_.regions), type_.max, mb.can_resize))
    idx = 0
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


def memblock_remove_range(mb: Memblock, type_: MemblockType, base: int, size: int) -> int:
    """Take [base, base + size) (pa, bytes) out of `type_`. Returns 0, or -ENOMEM with an ArrayFull.

    Source: mm/memblock.c memblock_remove_range()
    """
    try:
        start, end = memblock_isolate_range(mb, type_, base, size)
    except ArrayFullError as full:
        return Err(-ENOMEM, full.args[0])
    for i in range(end - 1, start - 1, -1):
        _remove_region(type_, i)
    return 0


# Tell the listener of a change that was made; returns what the change returned.
def _told(mb: Memblock, op: str, ret: int, base: int, size: int, caller: str, purpose: Purpose) -> int:
    if not ret:
        mb.listener(op, base, memblock_cap_size(base, size), caller, purpose)
    return ret


def memblock_add(mb: Memblock, base: int, size: int, caller: str = "early_init_dt_add_memory_arch",
                 purpose: Purpose = NOBODY) -> int:
    """Add [base, base + size) (pa, bytes) to memory; `purpose` names who told of it.

    Source: mm/memblock.c memblock_add()
    """
    if mb.debug:
        _dbg(mb, "memblock_add", base, size, caller)
    return _told(mb, ADD, memblock_add_range(mb, mb.memory, base, size), base, size, caller, purpose)


def memblock_remove(mb: Memblock, base: int, size: int, caller: str, purpose: Purpose = NOBODY) -> int:
    """Take [base, base + size) (pa, bytes) out of memory; `purpose` names who wants it.

    Source: mm/memblock.c memblock_remove()
    """
    if mb.debug:
        _dbg(mb, "memblock_remove", base, size, caller)
    return _told(mb, REMOVE, memblock_remove_range(mb, mb.memory, base, size), base, size, caller, purpose)


def memblock_free(mb: Memblock, base: int, size: int, caller: str, purpose: Purpose = NOBODY) -> int:
    """Take [base, base + size) (pa, bytes) out of reserved.

    Source: mm/memblock.c memblock_free()
    """
    if mb.debug:
        _dbg(mb, "memblock_free", base, size, caller)
    return _told(mb, FREE, memblock_remove_range(mb, mb.reserved, base, size), base, size, caller, purpose)


def memblock_reserve(mb: Memblock, base: int, size: int, caller: str, purpose: Purpose = NOBODY,
                     asked_by: str = "") -> int:
    """Reserve [base, base + size) (pa, bytes) for `purpose`. `asked_by` is who called the `caller` that messages show.

    Source: mm/memblock.c memblock_reserve()
    """
    if mb.debug:
        _dbg(mb, "memblock_reserve", base, size, caller)
    return _told(mb, RESERVE, memblock_add_range(mb, mb.reserved, base, size), base, size, asked_by or caller, purpose)


def _setclr_flag(mb: Memblock, base: int, size: int, set_: bool, flag: int, purpose: Purpose) -> int:
    # memblock_setclr_flag()
    try:
        start, end = memblock_isolate_range(mb, mb.memory, base, size)
    except ArrayFullError as full:
        return Err(-ENOMEM, full.args[0])
    for r in mb.memory.regions[start:end]:
        r.flags = r.flags | flag if set_ else r.flags & ~flag
    memblock_merge_regions(mb.memory)
    mb.listener(MARK if set_ else CLEAR, base, memblock_cap_size(base, size), "memblock_setclr_flag", purpose, flag)
    return 0


def memblock_mark_nomap(mb: Memblock, base: int, size: int, purpose: Purpose = NOBODY) -> int:
    """Give [base, base + size) (pa, bytes) of memory the flag MEMBLOCK_NOMAP.

    Source: mm/memblock.c memblock_mark_nomap()
    """
    return _setclr_flag(mb, base, size, True, MEMBLOCK_NOMAP, purpose)


def memblock_clear_nomap(mb: Memblock, base: int, size: int, purpose: Purpose = NOBODY) -> int:
    """Take the flag MEMBLOCK_NOMAP from [base, base + size) (pa, bytes) of memory.

    Source: mm/memblock.c memblock_clear_nomap()
    """
    return _setclr_flag(mb, base, size, False, MEMBLOCK_NOMAP, purpose)


def memblock_mark_hotplug(mb: Memblock, base: int, size: int, purpose: Purpose = NOBODY) -> int:
    """Give [base, base + size) (pa, bytes) of memory the flag MEMBLOCK_HOTPLUG.

    Source: mm/memblock.c memblock_mark_hotplug()
    """
    return _setclr_flag(mb, base, size, True, MEMBLOCK_HOTPLUG, purpose)


def memblock_clear_hotplug(mb: Memblock, base: int, size: int, purpose: Purpose = NOBODY) -> int:
    """Take the flag MEMBLOCK_HOTPLUG from [base, base + size) (pa, bytes) of memory.

    Source: mm/memblock.c memblock_clear_hotplug()
    """
    return _setclr_flag(mb, base, size, False, MEMBLOCK_HOTPLUG, purpose)


# ---------------------------------------------------------------- finding and allocating


def memblock_find_in_range_node(mb: Memblock, size: int, align: int, start: int, end: int, flags: int) -> int:
    """Find `size` free bytes aligned to `align` within [start, end) (pa); return their pa, or 0 with a Shortage.

    Source: mm/memblock.c memblock_find_in_range_node(), __memblock_find_range_{top_down,bottom_up}()
    """
    if end in (MEMBLOCK_ALLOC_ACCESSIBLE, MEMBLOCK_ALLOC_KASAN):
        end = mb.current_limit
    start = max(start, PAGE_SIZE)
    end = max(start, end)
    if mb.bottom_up:
        for this_start, this_end in for_each_free_mem_range(mb, flags):
            if this_end - this_start < size:
                continue
            this_start = min(max(this_start, start), end)
            this_end = min(max(this_end, start), end)
            cand = (this_start + align - 1) & ~(align - 1)
            if cand < this_end and this_end - cand >= size:
                return cand
        return Err(0, Shortage(size, align, start, end))
    for this_start, this_end in for_each_free_mem_range_reverse(mb, flags):
        if this_end - this_start < size:
            continue
        this_start = min(max(this_start, start), end)
        this_end = min(max(this_end, start), end)
        if this_end < size:
            continue
        cand = (this_end - size) & ~(align - 1)
        if cand >= this_start:
            return cand
    return Err(0, Shortage(size, align, start, end))


def memblock_find_in_range(mb: Memblock, start: int, end: int, size: int, align: int) -> int:
    """Find `size` free bytes aligned to `align` within [start, end) (pa) on any node; return their pa, or 0.

    Source: mm/memblock.c memblock_find_in_range()
    """
    return memblock_find_in_range_node(mb, size, align, start, end, MEMBLOCK_NONE)


def memblock_alloc_range_nid(mb: Memblock, size: int, align: int, start: int, end: int, caller: str,
                             purpose: Purpose = NOBODY) -> int:
    """Find and reserve `size` bytes aligned to `align` within [start, end) (pa) for `purpose`; return their pa, or 0.

    The 0 has why: a Shortage, or an ArrayFull.
    Source: mm/memblock.c memblock_alloc_range_nid()
    """
    found = memblock_find_in_range_node(mb, size, align, start, end, MEMBLOCK_NONE)
    if not found:
        return found
    ret = memblock_reserve(mb, found, size, "memblock_alloc_range_nid", purpose, asked_by=caller)
    return Err(0, ret.why) if isinstance(ret, Err) else found


def memblock_phys_alloc_range(mb: Memblock, size: int, align: int, start: int, end: int, caller: str,
                              purpose: Purpose = NOBODY) -> int:
    """Reserve `size` bytes within [start, end) (pa) for `purpose`, not cleared; return their pa, or 0 with why.

    Source: mm/memblock.c memblock_phys_alloc_range()
    """
    return memblock_alloc_range_nid(mb, size, align, start, end, caller, purpose)


def memblock_alloc_try_nid(mb: Memblock, size: int, align: int, min_addr: int = 0,
                           max_addr: int = MEMBLOCK_ALLOC_ACCESSIBLE, nid: int = NUMA_NO_NODE, *,
                           caller: str, purpose: Purpose = NOBODY, func: str = "memblock_alloc_try_nid") -> int:
    """Reserve and clear `size` bytes aligned to `align`, at or above min_addr (pa) if there is room; pa, or 0 with why.

    `func` is the member of the family that memblock=debug names.
    Source: mm/memblock.c memblock_alloc_try_nid(), memblock_alloc_internal()
    Differs: returns the physical address; the kernel returns the address in the linear mapping.
    """
    if mb.debug:
        mb.printk(_KERN_INFO, "{func_}: {size} bytes align={align:#x} nid={nid} from={min_addr:#010x} "
                  "max_addr={max_addr:#010x} {caller}", func=func, func_=func, size=size, align=align, nid=nid,
                  min_addr=min_addr, max_addr=max_addr, caller=caller)
    max_addr = min(max_addr, mb.current_limit)
    found = memblock_alloc_range_nid(mb, size, align, min_addr, max_addr, caller, purpose)
    if not found and min_addr:
        found = memblock_alloc_range_nid(mb, size, align, 0, max_addr, caller, purpose)
    if found:
        mb.zero(found, size, purpose.what)
    return found


def memblock_alloc(mb: Memblock, size: int, align: int, caller: str, purpose: Purpose = NOBODY) -> int:
    """Reserve and clear `size` bytes anywhere below the current limit for `purpose`; pa, or 0 with why.

    Source: include/linux/memblock.h memblock_alloc()
    """
    return memblock_alloc_try_nid(mb, size, align, caller=caller, purpose=purpose)


def memblock_alloc_node(mb: Memblock, size: int, align: int, nid: int, caller: str, purpose: Purpose = NOBODY) -> int:
    """Reserve and clear `size` bytes for node `nid` and `purpose`; pa, or 0 with why.

    Source: include/linux/memblock.h memblock_alloc_node()
    """
    return memblock_alloc_try_nid(mb, size, align, nid=nid, caller=caller, purpose=purpose)


# ---------------------------------------------------------------- queries


def memblock_start_of_DRAM(mb: Memblock) -> int:
    """The lowest address (pa) of memory.

    Source: mm/memblock.c memblock_start_of_DRAM()
    """
    return mb.memory.regions[0].base


def memblock_end_of_DRAM(mb: Memblock) -> int:
    """The end (pa, exclusive) of memory.

    Source: mm/memblock.c memblock_end_of_DRAM()
    """
    return mb.memory.regions[-1].base + mb.memory.regions[-1].size


def memblock_search(type_: MemblockType, addr: int) -> int:
    """Index of the region that holds `addr` (pa), or -1.

    Source: mm/memblock.c memblock_search()
    """
    for i, r in enumerate(type_.regions):
        if r.base <= addr < r.base + r.size:
            return i
    return -1


def memblock_is_memory(mb: Memblock, addr: int) -> bool:
    """Whether `addr` (pa) is memory.

    Source: mm/memblock.c memblock_is_memory()
    """
    return memblock_search(mb.memory, addr) != -1


def memblock_is_reserved(mb: Memblock, addr: int) -> bool:
    """Whether `addr` (pa) is reserved.

    Source: mm/memblock.c memblock_is_reserved()
    """
    return memblock_search(mb.reserved, addr) != -1


def memblock_is_map_memory(mb: Memblock, addr: int) -> bool:
    """Whether `addr` (pa) is memory without MEMBLOCK_NOMAP.

    Source: mm/memblock.c memblock_is_map_memory()
    """
    i = memblock_search(mb.memory, addr)
    return i != -1 and not mb.memory.regions[i].flags & MEMBLOCK_NOMAP


def memblock_is_region_memory(mb: Memblock, base: int, size: int) -> bool:
    """Whether one region of memory holds all of [base, base + size) (pa, bytes).

    Source: mm/memblock.c memblock_is_region_memory()
    """
    i = memblock_search(mb.memory, base)
    if i == -1:
        return False
    r = mb.memory.regions[i]
    return r.base + r.size >= base + memblock_cap_size(base, size)


def memblock_is_region_reserved(mb: Memblock, base: int, size: int) -> bool:
    """Whether any of [base, base + size) (pa, bytes) is reserved.

    Source: mm/memblock.c memblock_is_region_reserved()
    """
    return memblock_overlaps_region(mb.reserved, base, size)


def memblock_set_current_limit(mb: Memblock, limit: int) -> None:
    """Let allocations end below `limit` (pa).

    Source: mm/memblock.c memblock_set_current_limit()
    """
    mb.current_limit = limit


def memblock_allow_resize(mb: Memblock) -> None:
    """Let full region arrays be doubled from now on.

    Source: mm/memblock.c memblock_allow_resize()
    """
    mb.can_resize = True


def early_memblock(k: Kernel, arg: str | None) -> int:
    """memblock=debug: speak about every change. Returns 0.

    Source: mm/memblock.c early_memblock()
    """
    if arg is not None and "debug" in arg:
        k.mm.memblock.debug = True
    return 0


EARLY_PARAMS = (EarlyParam("memblock", early_memblock),)


def memblock_dump_all(mb: Memblock) -> None:
    """Log all regions when memblock=debug is given.

    Source: mm/memblock.c memblock_dump_all(), memblock_dump()
    """
    if not mb.debug:
        return
    func = "memblock_dump_all"
    mb.printk(_KERN_INFO, "MEMBLOCK configuration:", func=func)
    mb.printk(_KERN_INFO, " memory size = {memory_bytes:#010x} reserved size = {reserved_bytes:#010x}", func=func,
              memory_bytes=mb.memory.total_size, reserved_bytes=mb.reserved.total_size)
    for type_ in (mb.memory, mb.reserved):
        mb.printk(_KERN_INFO, " {name}.cnt  = {cnt:#x}", func=func, name=type_.name, cnt=len(type_.regions))
        for i, r in enumerate(type_.regions):
            # the last byte wraps to 0xffffffff for the dummy region of an empty array
            mb.printk(_KERN_INFO, " {name}[{idx:#x}]\t[{base:#010x}-{end:#010x}], {size:#010x} bytes flags: {flags:#x}",
                      func=func, name=type_.name, idx=i, base=r.base, end=(r.base + r.size - 1) & PHYS_ADDR_MAX,
                      size=r.size, flags=r.flags)


# ---------------------------------------------------------------- the hand-over to the buddy allocator


def memblock_free_all(k: Kernel) -> int:
    """Give all free lowmem to the buddy allocator; returns the number of pages.

    Source: mm/memblock.c memblock_free_all(), free_low_memory_core_early(), __free_memory_core()
    """
    from bootsim.linux.kernel.printk import step
    from bootsim.linux.mm.page_alloc import free_pages_memory, reserve_bootmem_region, reset_all_zones_managed_pages

    mb = k.mm.memblock
    reset_all_zones_managed_pages(k)
    memblock_clear_hotplug(mb, 0, PHYS_ADDR_MAX, Purpose("bank", "memory no longer marked hotpluggable"))
    for start, end in for_each_reserved_mem_range(mb):
        reserve_bootmem_region(k, start, end)
    pages = 0
    for start, end in for_each_free_mem_range(mb):
        start_pfn = (start + PAGE_SIZE - 1) >> PAGE_SHIFT
        end_pfn = min(end >> PAGE_SHIFT, k.mm.max_low_pfn)
        if start_pfn < end_pfn:
            free_pages_memory(k, start_pfn, end_pfn)
            pages += end_pfn - start_pfn
    k.mm.totalram_pages += pages
    step(k, "lowmem handed to the buddy allocator: {pages} pages", pages=pages)
    return pages
