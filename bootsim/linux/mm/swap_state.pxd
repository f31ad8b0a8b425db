# The swap cache: what the rest of the kernel uses of swap.
from libc.stdint cimport int64_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.mm.mmap.structs cimport UserMm, VmAreaStruct
from bootsim.linux.mm.swap_slots cimport SwapSlots

cdef enum:
    SHADOW = 0x80000000U        # in SwapInfo.cached: not a page but a shadow, a value of an XArray, of 31 bits


cdef class SwapSpace(SwapSlots):
    cdef PhysicalMemory ram
    cdef public int64_t nrpages         # total_swapcache_pages()
    cdef readonly int64_t add_total     # swap_cache_info
    cdef readonly int64_t del_total
    cdef readonly int64_t find_success
    cdef readonly int64_t find_total
    cdef public int swapin_readahead_hits
    cdef uint32_t prev_offset           # of readahead by slots: where it was last without a hit, and how far
    cdef int last_readahead_pages

    cdef int add_to_swap_cache(self, uint32_t pfn, uint32_t entry) except -1
    cdef int remove_from_swap_cache(self, uint32_t pfn, uint32_t entry, uint32_t shadow) except -1
    cdef int replace_page(self, uint32_t old, uint32_t new) except -1
    cdef uint32_t get_shadow_from_swap_cache(self, uint32_t entry)
    cdef uint32_t lookup_swap_cache(self, uint32_t entry, VmAreaStruct vma, uint32_t addr) except? 1
    cdef uint32_t page_from_cache(self, uint32_t entry, uint32_t gfp_mask, bint *allocated) except? 1
    cdef uint32_t read_swap_cache_async(self, uint32_t entry, uint32_t gfp_mask) except? 1
    cdef int read_ahead(self, uint32_t entry, uint32_t gfp_mask, bint wanted) except -1
    cdef uint32_t swapin_nr_pages(self, uint32_t offset) except 0
    cdef uint32_t swap_cluster_readahead(self, uint32_t entry, uint32_t gfp_mask) except? 1
    cdef uint32_t swap_ra_info(self, VmAreaStruct vma, uint32_t addr, uint32_t *start, uint32_t *end) noexcept
    cdef uint32_t swap_vma_readahead(self, uint32_t entry, uint32_t gfp_mask, VmAreaStruct vma,
                                     uint32_t addr) except? 1
    cdef uint32_t swapin_readahead(self, uint32_t entry, uint32_t gfp_mask, VmAreaStruct vma, uint32_t addr) except? 1
    cdef bint swap_use_vma_readahead(self) noexcept
    cdef int write_page(self, uint32_t entry, uint32_t pfn) except -1
    cdef int read_page(self, uint32_t entry, uint32_t pfn) except -1


cdef int64_t get_nr_swap_pages(k) except -1
