"""Addresses of mappings; a page of a file keeps its colour where caches have aliases (arch/arm/mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.gaps cimport VmUnmappedAreaInfo, vm_unmapped_area
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport find_vma, vm_start_gap


cdef int64_t arch_mmap_check(uint32_t addr, uint32_t flags) noexcept:
    # Source: arch/arm/include/uapi/asm/mman.h: nothing may be where low vectors would lie
    return -EINVAL if flags & MAP_FIXED and addr < FIRST_USER_ADDRESS else 0


cdef int64_t arch_get_unmapped_area(UserMm mm, bint filp, uint32_t addr, uint32_t length, uint32_t pgoff,
                                    uint32_t flags) noexcept:
    """Choose an address for a mapping of `length` bytes: the one asked for if it is free, or -errno.

    Source: arch/arm/mm/mmap.c arch_get_unmapped_area(), arch_get_unmapped_area_topdown()
    """
    cdef uint32_t colour = mm.processes.colour_mask
    cdef VmAreaStruct vma
    cdef VmUnmappedAreaInfo info
    cdef int64_t found
    if length > mm.task_size:
        return -ENOMEM
    if flags & MAP_FIXED:
        if colour and flags & MAP_SHARED and (addr - (pgoff << PAGE_SHIFT)) & colour:
            return -EINVAL
        return addr
    if not (filp or flags & MAP_SHARED):
        colour = 0
    if addr:
        addr = page_align(addr)
        if colour:
            addr = ((addr + colour) & ~colour) + ((pgoff << PAGE_SHIFT) & colour)
        vma = find_vma(mm, addr)
        if mm.task_size - length >= addr and (vma is None or <uint32_t>(addr + length) <= vm_start_gap(vma)):
            return addr
    info.topdown = mm.topdown
    info.length, info.align_mask, info.align_offset = length, colour & PAGE_MASK, pgoff << PAGE_SHIFT
    if mm.topdown:
        info.low_limit, info.high_limit = FIRST_USER_ADDRESS, mm.mmap_base
        found = vm_unmapped_area(mm, &info)
        if found >= 0:
            return found
        info.topdown = False
    info.low_limit, info.high_limit = mm.mmap_base, mm.task_size
    return vm_unmapped_area(mm, &info)
