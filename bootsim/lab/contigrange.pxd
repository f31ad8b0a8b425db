# A contiguous range that a recorded kernel takes, for the replay of pages.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Pgdat


cdef (uint32_t, uint32_t) isolated_for(const Pgdat *g, uint32_t start, uint32_t end) noexcept nogil


cdef ContigRange contig_range(Pgdat *g, uint32_t start, uint32_t end)


cdef class ContigRange:
    cdef Pgdat *g
    cdef readonly uint32_t start
    cdef readonly uint32_t end
    cdef readonly bint taken
    cdef readonly uint32_t cpu  # whose it is
    cdef bint undoing           # isolation ends
    cdef uint32_t isolated      # how many pageblocks are
    cdef set movable_in         # pageblocks in which a page was taken to be moved
    cdef uint32_t last_movable  # the last such page
    cdef uint32_t last_result   # of the last move

    cdef bint isolates(self, uint32_t pfn) noexcept
    cdef int take(self) except -1
    cdef int takes_block(self) except -1
    cdef int finds_movable(self, uint32_t pfn) except -1
    cdef int leave(self, uint32_t result) except -1
