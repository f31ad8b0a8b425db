# SLAB's objects, for other Cython modules.
cimport cython
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab.slabs cimport SlabSlabs
from bootsim.linux.mm.slab.structs cimport ArrayCache, SlabCache, SlabPage


@cython.final
cdef class Slab(SlabSlabs):
    cdef uint32_t kmalloc_index(self, uint32_t size) noexcept
    cdef void wanted_arrays(self, SlabCache s, uint32_t *limit, uint32_t *batchcount, uint32_t *shared) noexcept
    cdef int set_arrays(self, SlabCache s, uint32_t limit, uint32_t batchcount, uint32_t shared) except -1
    cdef int set_shared_array(self, SlabCache s) except -1
    cdef void init_free_limit(self, SlabCache s) noexcept
    cdef int setup_kmem_cache_node(self, SlabCache s, uint32_t gfp_mask) except? 1
    cdef int enable_cpucache(self, SlabCache s, uint32_t gfp_mask) except? 1
    cdef int setup_cpu_cache(self, SlabCache s) except? 1
    cdef int alloc_block(self, SlabCache s, ArrayCache *ac, SlabPage *slab, int batchcount) noexcept
    cdef uint32_t cache_alloc_refill(self, SlabCache s, ArrayCache *ac, uint32_t gfp_mask) except? 1
    cdef void refill_from_slabs(self, SlabCache s, ArrayCache *ac, int batchcount) noexcept
    cdef uint32_t slab_alloc(self, SlabCache s, uint32_t gfp_mask) except? 1
    cdef int cache_flusharray(self, SlabCache s, ArrayCache *ac) except -1
    cdef int cache_free(self, SlabCache s, uint32_t va) except -1
    cdef int free_checked(self, SlabCache s, uint32_t va) except -1
    cdef int drain_array(self, SlabCache s, ArrayCache *ac, uint32_t count) except -1
    cdef SlabCache boot_cache(self)
    cdef uint32_t sizeof_kmem_cache(self)
    cdef int boot_step(self, uint32_t va, uint32_t node_va) except -1
    cdef int swap(self, SlabCache s, uint32_t ours, uint32_t real) except -1
    cdef int reap_array(self, SlabCache s, ArrayCache *ac) except -1
    cdef uint32_t reaped(self, ArrayCache *ac) noexcept nogil
    cdef dict cache_snapshot(self, SlabCache s)
    cdef list slabs_in(self, SlabCache s, int which)
