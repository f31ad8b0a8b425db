# Pages that reclaim has taken off their lists.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.page_alloc.structs cimport Pgdat
from bootsim.linux.mm.swap cimport LruVec
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.vmscan.control cimport Reclaimer, ReclaimStat, ScanControl

cdef enum:
    RECLAIM_MAX = 512       # pages that are reclaimed together: of one second-level table
    PAGEREF_RECLAIM = 0
    PAGEREF_RECLAIM_CLEAN = 1
    PAGEREF_KEEP = 2
    PAGEREF_ACTIVATE = 3
    KEEP = 0                # what becomes of a page: it goes back,
    ACTIVATE = 1            # as an active one,
    FREE = 2                # or it is free
    PAGE_KEEP = 0           # pageout_t
    PAGE_ACTIVATE = 1
    PAGE_SUCCESS = 2


cdef class PageReclaim(Reclaimer):
    cdef TablePages pages
    cdef Pgdat *g
    cdef LruVec lru

    cdef SwapSpace swapspace(self)
    cdef int page_check_references(self, uint32_t pfn) except -1
    cdef bint add_to_swap(self, uint32_t pfn) except -1
    cdef bint shmem_writepage(self, uint32_t pfn) except -1
    cdef int pageout(self, uint32_t pfn) except -1
    cdef bint __remove_mapping(self, uint32_t pfn) except -1
    cdef int shrink_page(self, uint32_t pfn, ScanControl *sc, ReclaimStat *stat, bint ignore_references) except -1
    cdef uint32_t shrink_page_list(self, uint32_t *page_list, uint32_t *nr, ScanControl *sc, ReclaimStat *stat,
                                   bint ignore_references) except? 0xFFFFFFFF
    cdef list reclaim_clean_pages_from_list(self, list page_list)
    cdef int wakeup_flusher_threads(self) except -1
