"""memblock, the boot-time memory allocator (mm/memblock.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import ENOMEM
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.linux.mm.memblock.core import (
    INIT_MEMBLOCK_REGIONS,
    MEMBLOCK_ALLOC_ACCESSIBLE,
    MEMBLOCK_ALLOC_ANYWHERE,
    MEMBLOCK_HOTPLUG,
    MEMBLOCK_NOMAP,
    MEMBLOCK_NONE,
    NUMA_NO_NODE,
    PHYS_ADDR_MAX,
    ArrayFullError,
    Memblock,
    MemblockRegion,
    MemblockType,
    for_each_free_mem_range,
    for_each_free_mem_range_reverse,
    for_each_mem_pfn_range,
    for_each_mem_range,
    for_each_reserved_mem_range,
    memblock_add_range,
    memblock_cap_size,
    memblock_find_in_range_node,
    memblock_isolate_range,
    memblock_merge_regions,
    memblock_overlaps_region,
    memblock_remove_range,
)
from bootsim.owners import ADD, CLEAR, DOUBLE, FREE, MARK, NOBODY, REMOVE, RESERVE, Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# what others take from here, though core.pyx defines it
__all__ = [
    "INIT_MEMBLOCK_REGIONS", "MEMBLOCK_ALLOC_ACCESSIBLE", "MEMBLOCK_ALLOC_ANYWHERE", "MEMBLOCK_HOTPLUG",
    "MEMBLOCK_NOMAP", "MEMBLOCK_NONE", "NUMA_NO_NODE", "PAGE_SHIFT", "PAGE_SIZE", "PHYS_ADDR_MAX", "Memblock",
    "MemblockRegion", "MemblockType", "for_each_free_mem_range", "for_each_free_mem_range_reverse",
    "for_each_mem_pfn_range", "for_each_mem_range", "for_each_reserved_mem_range", "memblock_add_range",
    "memblock_cap_size", "memblock_isolate_range", "memblock_merge_regions", "memblock_overlaps_region",
    "memblock_remove_range",
]  # fmt: skip
_KERN_ERR, _KERN_INFO = 3, 6


def _dbg(mb: Memblock, func: str, base: int, size: int, caller: str) -> None:
    # the "[first-last] caller" line of memblock=debug; the last byte wraps to the one before base when size is 0
    end = (base + size - 1) & PHYS_ADDR_MAX
    mb.printk(_KERN_INFO, "{func_}: [{base:#010x}-{end:#010x}] {caller}",
              func=func, func_=func, base=base, end=end, caller=caller)


def memblock_double_array(mb: Memblock, type_: MemblockType, new_area_start: int, new_area_size: int) -> int:
    """Double a full region array into newly found memory that avoids [start, start + size). Returns 0 or -1.

    Source: mm/memblock.c memblock_double_array()
    Differs: the regions themselves stay in this object; only the memory for the array is taken.
    """
    if not mb.can_resize:
        return -1
    old_bytes = type_.max * mb.region_bytes
    new_bytes = page_align(old_bytes * 2)
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
        memblock_free(mb, old_pa, page_align(old_bytes), "memblock_double_array", purpose)
    memblock_reserve(mb, addr, new_bytes, "memblock_double_array", purpose)
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
