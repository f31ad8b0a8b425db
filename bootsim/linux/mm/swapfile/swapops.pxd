# Swap entries: a number in the kernel's own form, and as what stands in a page table (include/linux/swapops.h,
# include/linux/swap.h, arch/arm/include/asm/pgtable.h). Cython reserves the word `include`, so the file stands here.
#
#     swp_entry_t        type (5 bits) | offset (26 bits)          bit 31 is 0: a value of an XArray has 31 bits
#     in a page table    offset (25 bits) | type (5 bits) | 0 0    the zeros: not present
#
# ARM has neither MEMORY_FAILURE nor DEVICE_PRIVATE with 32-bit page tables, so that SWP_HWPOISON_NUM and SWP_DEVICE_NUM
# are 0, and the two highest types of the 32 are migration's where there is any (COMPACTION or CMA): MAX_SWAPFILES.
from libc.stdint cimport uint32_t

cdef enum:
    MAX_SWAPFILES_SHIFT = 5
    SWP_TYPE_SHIFT = 26
    SWP_OFFSET_MASK = (1 << 26) - 1
    SWP_MIGRATION_NUM = 2
    MAX_SWAPFILES = (1 << 5) - SWP_MIGRATION_NUM
    SWP_MIGRATION_READ = MAX_SWAPFILES
    SWP_MIGRATION_WRITE = MAX_SWAPFILES + 1
    __SWP_TYPE_SHIFT = 2
    __SWP_TYPE_MASK = (1 << 5) - 1
    __SWP_OFFSET_SHIFT = 7
    MAX_SWAPFILE_PAGES = 1 << 25        # generic_max_swapfile_size(): what a page table's entry can name


cdef inline uint32_t swp_entry(uint32_t type_, uint32_t offset) noexcept nogil:
    return type_ << SWP_TYPE_SHIFT | (offset & SWP_OFFSET_MASK)


cdef inline uint32_t swp_type(uint32_t entry) noexcept nogil:
    return entry >> SWP_TYPE_SHIFT


cdef inline uint32_t swp_offset(uint32_t entry) noexcept nogil:
    return entry & SWP_OFFSET_MASK


cdef inline uint32_t pte_to_swp_entry(uint32_t pte) noexcept nogil:
    return swp_entry(pte >> __SWP_TYPE_SHIFT & __SWP_TYPE_MASK, pte >> __SWP_OFFSET_SHIFT)


cdef inline uint32_t swp_entry_to_pte(uint32_t entry) noexcept nogil:
    return swp_type(entry) << __SWP_TYPE_SHIFT | swp_offset(entry) << __SWP_OFFSET_SHIFT


cdef inline bint is_swap_pte(uint32_t pte) noexcept nogil:
    # not empty, and neither of L_PTE_VALID nor L_PTE_PRESENT, which are one bit with two levels
    return pte != 0 and not pte & 1


cdef inline bint non_swap_entry(uint32_t entry) noexcept nogil:
    return swp_type(entry) >= MAX_SWAPFILES


cdef inline uint32_t make_migration_entry(uint32_t pfn, bint write) noexcept nogil:
    return swp_entry(SWP_MIGRATION_WRITE if write else SWP_MIGRATION_READ, pfn)


cdef inline bint is_migration_entry(uint32_t entry) noexcept nogil:
    return swp_type(entry) == SWP_MIGRATION_READ or swp_type(entry) == SWP_MIGRATION_WRITE


cdef inline bint is_write_migration_entry(uint32_t entry) noexcept nogil:
    return swp_type(entry) == SWP_MIGRATION_WRITE


cdef inline uint32_t migration_entry_to_pfn(uint32_t entry) noexcept nogil:
    return swp_offset(entry)


cdef inline uint32_t make_migration_entry_read(uint32_t entry) noexcept nogil:
    return swp_entry(SWP_MIGRATION_READ, swp_offset(entry))
