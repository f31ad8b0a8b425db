# Where ARM puts mappings.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport UserMm

cdef int64_t arch_mmap_check(uint32_t addr, uint32_t flags) noexcept
cdef int64_t arch_get_unmapped_area(UserMm mm, bint filp, uint32_t addr, uint32_t length, uint32_t pgoff,
                                    uint32_t flags) noexcept
