# Shapes and bits of the two-level tables (arch/arm/include/asm/pgtable-2level.h, pgtable-2level-hwdef.h, pgalloc.h).
from libc.stdint cimport uint32_t

from bootsim.page cimport *

cpdef enum:
    PMD_SHIFT = 21
    PMD_SIZE = 1 << 21
    PMD_MASK = ~(PMD_SIZE - 1)
    SECTION_SHIFT = 20
    SECTION_SIZE = 1 << 20
    SUPERSECTION_SIZE = 1 << 24
    PTRS_PER_PTE = 512
    PTRS_PER_PGD = 2048
    PTE_HWTABLE_OFF = 2048
    PTE_HWTABLE_SIZE = 2048

    # the hardware's first-level descriptors
    PMD_TYPE_MASK = 3
    PMD_TYPE_TABLE = 1
    PMD_TYPE_SECT = 2
    PMD_PXNTABLE = 1 << 2
    PMD_BIT4 = 1 << 4
    PMD_PROTECTION = 1 << 9
    PMD_SECT_BUFFERABLE = 1 << 2
    PMD_SECT_CACHEABLE = 1 << 3
    PMD_SECT_XN = 1 << 4
    PMD_SECT_AP_WRITE = 1 << 10
    PMD_SECT_AP_READ = 1 << 11
    PMD_SECT_TEX_1 = 1 << 12
    PMD_SECT_APX = 1 << 15
    PMD_SECT_S = 1 << 16
    PMD_SECT_nG = 1 << 17
    PMD_SECT_SUPER = 1 << 18
    PMD_SECT_AF = 0
    PMD_SECT_UNCACHED = 0
    PMD_SECT_BUFFERED = 1 << 2
    PMD_SECT_WT = 1 << 3
    PMD_SECT_WB = 1 << 3 | 1 << 2
    PMD_SECT_MINICACHE = 1 << 12 | 1 << 3
    PMD_SECT_WBWA = 1 << 12 | 1 << 3 | 1 << 2
    PMD_SECT_CACHE_MASK = 1 << 12 | 1 << 3 | 1 << 2

    # the hardware's second-level descriptors
    PTE_TYPE_MASK = 3
    PTE_TYPE_SMALL = 2
    PTE_EXT_XN = 1 << 0
    PTE_EXT_AP0 = 1 << 4
    PTE_EXT_AP1 = 1 << 5
    PTE_EXT_TEX_1 = 1 << 6
    PTE_EXT_APX = 1 << 9
    PTE_EXT_SHARED = 1 << 10
    PTE_EXT_NG = 1 << 11

    # Linux's own copy of a second-level entry
    L_PTE_VALID = 1 << 0
    L_PTE_PRESENT = 1 << 0
    L_PTE_YOUNG = 1 << 1
    L_PTE_DIRTY = 1 << 6
    L_PTE_RDONLY = 1 << 7
    L_PTE_USER = 1 << 8
    L_PTE_XN = 1 << 9
    L_PTE_SHARED = 1 << 10
    L_PTE_NONE = 1 << 11
    L_PTE_MT_UNCACHED = 0x00 << 2
    L_PTE_MT_BUFFERABLE = 0x01 << 2
    L_PTE_MT_WRITETHROUGH = 0x02 << 2
    L_PTE_MT_WRITEBACK = 0x03 << 2
    L_PTE_MT_DEV_SHARED = 0x04 << 2
    L_PTE_MT_MINICACHE = 0x06 << 2
    L_PTE_MT_WRITEALLOC = 0x07 << 2
    L_PTE_MT_DEV_WC = 0x09 << 2
    L_PTE_MT_DEV_CACHED = 0x0B << 2
    L_PTE_MT_DEV_NONSHARED = 0x0C << 2
    L_PTE_MT_VECTORS = 0x0F << 2
    L_PTE_MT_MASK = 0x0F << 2


cdef inline uint32_t pmd_in(uint32_t pgd_pa, uint32_t va) noexcept nogil:
    # The pair of first-level words that one Linux PMD is: 2 MiB.
    return pgd_pa + (va >> PMD_SHIFT) * 8


cdef inline uint32_t pte_index(uint32_t va) noexcept nogil:
    return va >> PAGE_SHIFT & (PTRS_PER_PTE - 1)


cdef inline uint32_t pmd_page_pa(uint32_t pmd) noexcept nogil:
    # The page that holds both copies of the entries a table descriptor points into.
    return pmd & ~<uint32_t>(PAGE_SIZE - 1)
