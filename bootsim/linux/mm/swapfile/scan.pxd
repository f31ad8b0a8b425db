# Which slots are free, of which area.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat
from bootsim.linux.mm.swapfile.info cimport SwapInfo

cdef enum:
    TTRS_ANYWAY = 1
    TTRS_UNMAPPED = 2
    TTRS_FULL = 4


cdef struct Search:             # where a search is
    uint32_t offset
    uint32_t scan_base
    int latency
    bint scanned_many


cdef class SwapScan:
    cdef Pgdat *g
    cdef public int64_t nr_swap_pages   # free, and in no processor's store
    cdef public int64_t total_swap_pages
    cdef list avail                     # swap_avail_heads[0]: areas with free slots, by priority

    cdef bint vm_swap_full(self) noexcept
    cdef int try_to_reclaim_swap(self, SwapInfo si, uint32_t offset, int flags) except -1
    cdef SwapInfo after(self, SwapInfo si)
    cdef int check_slot(self, SwapInfo si, Search *at, int n_ret) except -1
    cdef int next_slot(self, SwapInfo si, Search *at) except -1
    cdef int scan(self, SwapInfo si, Search *at) except -1
    cdef bint of_use(self, SwapInfo si, Search *at) noexcept
    cdef bint ssd_cluster_conflict(self, SwapInfo si, uint32_t offset) noexcept
    cdef bint try_ssd_cluster(self, SwapInfo si, Search *at) noexcept
    cdef void set_cluster_next(self, SwapInfo si, uint32_t following) noexcept
    cdef int scan_swap_map_slots(self, SwapInfo si, unsigned char usage, int nr, uint32_t *slots) except -1
    cdef int get_swap_pages(self, int n_goal, uint32_t *entries) except -1
    cdef int add_to_avail_list(self, SwapInfo si) except -1
    cdef int del_from_avail_list(self, SwapInfo si) except -1
    cdef int swap_range_alloc(self, SwapInfo si, uint32_t offset) except -1
    cdef int swap_range_free(self, SwapInfo si, uint32_t offset) except -1

cdef int plist_add(list head, SwapInfo si) except -1
