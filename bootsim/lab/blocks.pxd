# What is known of a block of pages that a recording names, which may be any.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Pgdat

cdef bint holds(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef bint in_use(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef bint has_slab(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef int check_records(const uint32_t[:, ::1] events, const uint32_t[:, ::1] answers, Py_ssize_t start,
                       Py_ssize_t stop) except -1
cdef int turn(Pgdat *g, uint32_t pfn, uint32_t tail, uint32_t order) except -1
