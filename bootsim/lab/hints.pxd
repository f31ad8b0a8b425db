# Compaction's hints to pass a pageblock by, as far as a recording tells of them, for the replay of pages.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Pgdat


cdef class SkipHints:
    cdef Pgdat *g
    cdef set guessed        # pageblocks whose hint rests on what no record tells
    cdef readonly Py_ssize_t untold
    cdef readonly Py_ssize_t shown_wrong

    cdef int found_nothing(self, uint32_t pfn) except -1
    cdef int found_a_page(self, uint32_t pfn) except -1
