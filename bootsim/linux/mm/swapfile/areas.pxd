# All swap areas of a machine.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport UserMm, UserPages
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.swapfile.info cimport SwapInfo
from bootsim.linux.mm.swapfile.scan cimport SwapScan


cdef class SwapAreas(SwapScan):
    cdef object k
    cdef Pglist pglist
    cdef UserPages user_pages
    cdef readonly list swap_info        # by type; those that are off stay
    cdef readonly list mmlist           # address spaces that may have entries: init_mm.mmlist
    cdef readonly list shmem_swaplist   # files of tmpfs that may (PageCache)
    cdef readonly int least_priority
    cdef public int nr_rotate_swap      # areas on devices whose seeks are dear

    cdef int enter_mmlist(self, UserMm mm, UserMm after) except -1
    cdef int leave_mmlist(self, UserMm mm) except -1
    cdef SwapInfo swp_swap_info(self, uint32_t entry)
    cdef SwapInfo bad(self, func, what, uint32_t entry)
    cdef int free_locked(self, SwapInfo si, uint32_t offset, unsigned char usage) noexcept
    cdef SwapInfo get_swap_device(self, uint32_t entry)
    cdef SwapInfo swap_info_get(self, uint32_t entry)
    cdef int put_swap_page(self, uint32_t entry) except -1
    cdef int free_swap_slot(self, uint32_t entry) except -1
    cdef int swapcache_free_entries(self, uint32_t *entries, int n) except -1
    cdef int swap_entry_free(self, SwapInfo si, uint32_t entry) except? -1
    cdef int duplicate(self, uint32_t entry, unsigned char usage) except? -1
    cdef int swap_duplicate(self, uint32_t entry) except? -1
    cdef int swapcache_prepare(self, uint32_t entry) except? -1
    cdef int swap_shmem_alloc(self, uint32_t entry) except? -1
    cdef int add_swap_count_continuation(self, uint32_t entry, uint32_t gfp_mask) except? -1
    cdef int swap_free(self, uint32_t entry) except -1
    cdef int free_swap_and_cache(self, uint32_t entry) except? -1
    cdef bint reuse_swap_page(self, uint32_t pfn, int *total_map_swapcount) except? -1
    cdef bint try_to_free_swap(self, uint32_t pfn) except? -1
    cdef int page_swapcount(self, uint32_t pfn) except? -1
    cdef int swap_count(self, uint32_t entry) except? -1
    cdef int64_t swp_swapcount(self, uint32_t entry) except? -1
    cdef uint32_t cached_page(self, uint32_t entry)
    cdef int delete_from_swap_cache(self, uint32_t pfn) except -1
