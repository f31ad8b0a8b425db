# The LRU lists as reclaim walks them.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.swap cimport NR_LRU_LISTS
from bootsim.linux.mm.vmscan.control cimport ScanControl
from bootsim.linux.mm.vmscan.pages cimport PageReclaim


cdef struct Batch:          # isolated pages: SWAP_CLUSTER_MAX at most
    uint32_t nr
    uint32_t pages[32]


cdef class ListReclaim(PageReclaim):
    cdef uint32_t isolate_lru_pages(self, uint32_t nr_to_scan, Batch *taken, uint32_t *nr_scanned, ScanControl *sc,
                                    int lru) except? 0xFFFFFFFF
    cdef uint32_t move_pages_to_lru(self, Batch *batch) except? 0xFFFFFFFF
    cdef uint32_t shrink_inactive_list(self, uint32_t nr_to_scan, ScanControl *sc, int lru) except? 0xFFFFFFFF
    cdef int shrink_active_list(self, uint32_t nr_to_scan, ScanControl *sc, int lru) except -1
    cdef uint32_t shrink_list(self, int lru, uint32_t nr_to_scan, ScanControl *sc) except? 0xFFFFFFFF
    cdef bint inactive_is_low(self, int lru) noexcept
    cdef int get_scan_count(self, ScanControl *sc, int64_t *nr) except -1
    cdef int shrink_lruvec(self, ScanControl *sc) except -1
    cdef int may_deactivate(self, ScanControl *sc) except -1
    cdef bint should_continue_reclaim(self, int64_t nr_reclaimed, ScanControl *sc) except -1
