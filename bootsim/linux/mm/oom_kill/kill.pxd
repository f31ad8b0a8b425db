from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport OomHooks


cdef class OomKiller:
    cdef object k
    cdef Pglist pglist
    cdef OomHooks hooks
    cdef public bint swapoff            # swapoff() is under way: current has oom_flag_origin

    cdef int register(self, k, Pglist pglist) except -1
