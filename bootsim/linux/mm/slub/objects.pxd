# SLUB's objects, for other Cython modules.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab_common cimport KmemCache
from bootsim.linux.mm.slub.slabs cimport KmemCacheCpu, SlubCache, SlubSlabs


cdef class Slub(SlubSlabs):
    cdef uint32_t clock         # with slub_debug: allocations and frees so far

    cdef SlubCache bootstrap(self, SlubCache s)
    cdef uint32_t alloc_checked(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c) except? 1
    cdef uint32_t slow_alloc(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c) except? 1
    cdef uint32_t new_slab_objects(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c, bint look) except? 1
    cdef void let_go(self, SlubCache s) noexcept
    cdef uint32_t alloc_from_new_slab(self, SlubCache s, uint32_t gfp_mask) except? 1
    cdef int out_of_memory(self, SlubCache s, uint32_t gfp_mask) except -1
    cdef int initialize(self, SlubCache s, uint32_t va, uint32_t gfp_mask) except -1
    cdef uint32_t page_of(self, uint32_t va) except? 0
    cdef uint32_t slab_of(self, SlubCache s, uint32_t va) except? 0
    cdef int free_elsewhere(self, SlubCache s, uint32_t va) except -1
    cdef int free_checked(self, SlubCache s, uint32_t va) except -1
    cdef int free_linked(self, SlubCache s, list objects) except -1
    cdef int slab_free(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1
    cdef int do_slab_free(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1
    cdef int move_slab(self, SlubCache s, uint32_t pfn, uint32_t prior, uint32_t inuse) except -1
    cdef int free_detached(self, SlubCache s, uint32_t pfn, list objects) except -1
    cdef uint32_t count_free(self, SlubCache s)
    cdef list slab_faults(self, SlubCache s, uint32_t pfn, uint32_t lockless, bint frozen)
    cdef list free_objects(self, SlubCache s, uint32_t first)
    cdef dict cpu_info(self, SlubCache s, const KmemCacheCpu *c)
