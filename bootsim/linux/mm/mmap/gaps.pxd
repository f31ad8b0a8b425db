# Where there is room for a mapping.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport UserMm

cdef struct VmUnmappedAreaInfo:
    bint topdown
    uint32_t length
    uint32_t low_limit
    uint32_t high_limit
    uint32_t align_mask
    uint32_t align_offset

cdef int64_t vm_unmapped_area(UserMm mm, VmUnmappedAreaInfo *info) noexcept
