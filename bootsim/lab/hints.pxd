# Compaction's hints to pass a pageblock by, as far as a recording tells of them, for the replay of pages.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport CompactControl, Pgdat, Zone


cdef class SkipHints:
    cdef Pgdat *g
    cdef set guessed        # pageblocks whose hint rests on what no record tells
    cdef set starts_unknown     # those of which the first pageblock with pages on LRU lists is not known
    cdef set looked_again   # zones whose hints were since kswapd woke up
    cdef readonly Py_ssize_t untold
    cdef readonly Py_ssize_t shown_wrong
    cdef readonly Py_ssize_t resets

    cdef int found_nothing(self, uint32_t pfn) except -1
    cdef int found_a_page(self, uint32_t pfn) except -1
    cdef int first_page(self, CompactControl *cc, uint32_t pfn) except -1
    cdef int look_again(self, Zone *zone) except -1
    cdef int begins(self, CompactControl *cc, int prio) except -1
    cdef int ends(self, CompactControl *cc, int prio, int result) except -1
    cdef int answered(self, uint32_t pfn, uint32_t order) except -1
    cdef int tries_to_sleep(self, Zone *zone) except -1
    cdef int kswapd(self, Zone *zone, uint32_t stat_threshold) except -1
