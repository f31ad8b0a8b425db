# SLUB with checks.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport SlubCache


cdef class SlubDebug(Slub):
    cdef object global_flags    # slub_debug
    cdef list blocks            # of slub_debug: (flags, names of caches)
    cdef uint32_t caller

    cdef int fill(self, uint32_t va, int value, uint32_t length) except -1
    cdef int init_object(self, SlubCache s, uint32_t va, int value) except -1
    cdef tuple track_of(self, SlubCache s, uint32_t va, int item)
    cdef int set_track(self, SlubCache s, uint32_t va, int item) except -1
    cdef bint check_bytes(self, SlubCache s, uint32_t pfn, uint32_t va, str what, uint32_t start, int value,
                          uint32_t length) except -1
    cdef int restore(self, SlubCache s, uint32_t first, uint32_t last, int value) except -1
    cdef bint check_object(self, SlubCache s, uint32_t pfn, uint32_t va, int value) except -1
    cdef int slab_pad_check(self, SlubCache s, uint32_t pfn) except -1
    cdef bint check_slab(self, SlubCache s, uint32_t pfn) except -1
    cdef bint on_freelist(self, SlubCache s, uint32_t pfn, uint32_t search) except -1
    cdef bint check_freed(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1
    cdef bint free_consistency_checks(self, SlubCache s, uint32_t pfn, uint32_t va) except -1
