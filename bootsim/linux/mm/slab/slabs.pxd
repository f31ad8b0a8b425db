# SLAB's slabs and their lists, for other Cython modules.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab.debug cimport SlabChecks
from bootsim.linux.mm.slab.structs cimport SlabCache, SlabPage
from bootsim.linux.mm.slab_common cimport KmemCache, SlabAllocator


cdef class SlabSlabs(SlabChecks):
    cdef SlabPage *slabs                    # by pfn from `base` on
    cdef uint32_t base
    cdef uint32_t nr_pages
    cdef uint32_t used_end                  # no row of `slabs` from here on was ever used
    cdef readonly uint32_t slab_max_order
    cdef readonly uint32_t possible_cpus
    cdef readonly uint32_t node_bytes       # sizeof(struct kmem_cache_node)
    cdef list boot_plan                     # caches of kmalloc() that a recording has not told yet
    cdef bint hardened
    cdef bint clears_allocated
    cdef bint clears_freed
    cdef public bint recorded               # pages and the objects that slabs need are taken from a recording

    cdef SlabPage *slab_at(self, uint32_t pfn) noexcept nogil
    cdef SlabPage *slab_of(self, SlabCache s, uint32_t va) except NULL
    cdef void list_add(self, SlabCache s, uint32_t pfn, uint32_t which, bint tail) noexcept
    cdef void list_del(self, SlabCache s, uint32_t pfn) noexcept
    cdef uint32_t cache_estimate(self, uint32_t gfporder, uint32_t size, uint32_t flags,
                                 uint32_t *left_over) noexcept nogil
    cdef uint32_t calculate_slab_order(self, SlabCache s, uint32_t size, uint32_t flags)
    cdef bint worth_off_slab(self, SlabCache s, uint32_t num)
    cdef bint set_objfreelist_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags)
    cdef bint set_off_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags)
    cdef bint set_on_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags)
    cdef int layout(self, SlabCache s, uint32_t flags) except? 1
    cdef uint32_t cache_grow_begin(self, SlabCache s, uint32_t gfp_mask) except? 0
    cdef int new_slab(self, SlabCache s, uint32_t pfn, uint32_t freelist_va) except -1
    cdef void cache_grow_end(self, SlabCache s, uint32_t pfn) noexcept
    cdef void fixup_slab_list(self, SlabCache s, uint32_t pfn) noexcept
    cdef int slab_destroy(self, SlabCache s, uint32_t pfn) except -1
    cdef int slabs_destroy(self, SlabCache s, uint32_t pfn) except -1
    cdef uint32_t take_free_slab(self, SlabCache s) noexcept
    cdef int drain_freelist(self, SlabCache s) except -1
    cdef uint32_t free_block(self, SlabCache s, uint32_t *objects, uint32_t count) except? 0
