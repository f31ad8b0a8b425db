from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport PageOwners, Pgdat


cdef class MappedPages:
    cdef bint movable(self, uint32_t pfn, uint32_t gfp_mask) except -1
    cdef bint isolate(self, uint32_t pfn, int mode) except -1
    cdef int putback(self, uint32_t pfn) except -1
    cdef int drain(self, bint everywhere) except -1
    cdef int move(self, uint32_t old, uint32_t new) except? 1
    cdef list reclaim_clean(self, list page_list)   # drops clean pages of files; the others


cdef class PageHolders:
    cdef public MappedPages users   # those of processes and files, once there are processes
    cdef object k
    cdef Pgdat *g
    cdef dict by_pfn
    cdef PageOwners owners
    cdef object error       # that a holder raised
    cdef readonly Py_ssize_t moved

    cdef int moves(self, uint32_t old, uint32_t new) except -1


cdef int raise_what_a_holder_raised(Pglist p) except -1
