# The replay of page traffic, for the replay of objects.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Pglist


cdef class PageTraffic:
    cdef Pglist p
    cdef object contig_now       # inside alloc_contig_range(): its entry of `contig`
    cdef list free_pages         # compaction's free pages, in list order
    cdef list isolated           # blocks taken since that list was used up: (pfn, order)
    cdef uint32_t last_isolated
    cdef uint32_t last_answer
    cdef bint undoing            # inside alloc_contig_range(): isolation ends
    cdef readonly list contig
    cdef readonly Py_ssize_t asked
    cdef readonly Py_ssize_t wrong
    cdef readonly object first_wrong

    cdef bint is_for_caller(self, uint32_t kind, uint32_t b) noexcept
    cdef int one(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1
    cdef int request(self, Py_ssize_t i, uint32_t gfp_mask, uint32_t order, uint32_t real,
                     uint32_t[:, ::1] answers) except -1
    cdef int differs(self, Py_ssize_t i, str what) except -1
    cdef int go_on_with(self, uint32_t ours, uint32_t real, uint32_t order) except -1
    cdef bint holds(self, uint32_t pfn, uint32_t order) noexcept
    cdef int free_one(self, uint32_t pfn, uint32_t cpu) except -1
    cdef int take_contig(self) except -1
    cdef int rare(self, Py_ssize_t i, uint32_t kind, uint32_t a, uint32_t b, uint32_t c,
                  const uint32_t[:, ::1] events, uint32_t[:, ::1] answers) except -1
    cdef int free_block(self, uint32_t pfn, uint32_t order, uint32_t fpi_flags) except -1
    cdef int pageblock(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn,
                       uint32_t migratetype) except -1
    cdef int unreserve(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t pfn) except -1
    cdef int isolate(self, uint32_t pfn, uint32_t order) except -1
    cdef int fold(self, Py_ssize_t i, uint32_t which, uint32_t[:, ::1] answers) except -1
    cdef int moved(self, Py_ssize_t i, uint32_t old, uint32_t new, uint32_t result, uint32_t[:, ::1] answers) except -1
    cdef int turn_list(self, uint32_t pfn, uint32_t tail, uint32_t order) except -1
