# The size of a page for Cython modules: page.py's, as constants of C (arch/arm/include/asm/page.h).
from libc.stdint cimport uint32_t

cdef enum:
    PAGE_SHIFT = 12
    PAGE_SIZE = 1 << PAGE_SHIFT
    PAGE_MASK = ~(PAGE_SIZE - 1)


cdef inline uint32_t page_align(uint32_t addr) noexcept nogil:
    return (addr + PAGE_SIZE - 1) & PAGE_MASK
