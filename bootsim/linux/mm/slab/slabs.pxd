# SLAB's data, for other Cython modules.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab_common cimport KmemCache, SlabAllocator

cdef enum:                  # the lists of a node
    SLABS_FULL = 0
    SLABS_PARTIAL = 1
    SLABS_FREE = 2
    NO_LIST = 3

cdef enum:
    BATCHREFILL_LIMIT = 16
    CFLGS_OBJFREELIST_SLAB = 0x40000000U
    CFLGS_OFF_SLAB = 0x80000000U


cdef struct ArrayCache:     # struct array_cache
    uint32_t avail
    uint32_t limit
    uint32_t batchcount
    uint32_t touched
    uint32_t *entry


cdef struct SlabPage:       # what struct page is to SLAB
    uint32_t next           # slab_list, as pfns; NO_PAGE ends it on both sides
    uint32_t prev
    uint32_t s_mem          # va of the first object
    uint32_t freelist       # va of the indices of its free objects, or 0
    uint32_t active         # objects in use, or in an array
    uint32_t head           # the slab's first pfn; 0: no slab
    uint32_t cache          # slab_cache: va of its descriptor
    uint32_t list_          # SLABS_FULL ... NO_LIST


cdef struct SlabList:
    uint32_t first
    uint32_t last


cdef class SlabCache(KmemCache):
    cdef readonly uint32_t limit
    cdef readonly uint32_t batchcount
    cdef readonly uint32_t shared           # the factor; 0: no shared array
    cdef readonly uint32_t num              # objects in a slab
    cdef readonly uint32_t gfporder
    cdef readonly uint32_t allocflags
    cdef readonly uint32_t colour
    cdef readonly uint32_t colour_off
    cdef readonly uint32_t freelist_size
    cdef readonly KmemCache freelist_cache  # of free lists off the slab
    cdef ArrayCache *cpu_cache              # one a cpu; NULL before they are made
    cdef uint32_t nr_cpus
    cdef uint32_t grown                     # a slab that is made and on no list yet, or NO_PAGE
    # struct kmem_cache_node; node_va is its address, 0 before it is there
    cdef public uint32_t node_va
    cdef public uint32_t shared_va
    cdef bint has_node
    cdef readonly uint32_t total_slabs
    cdef readonly uint32_t free_slabs
    cdef readonly uint32_t free_objects
    cdef public uint32_t free_limit
    cdef readonly uint32_t colour_next
    cdef public bint free_touched
    cdef SlabList lists[3]
    cdef ArrayCache *shared_array


cdef class SlabSlabs(SlabAllocator):
    cdef SlabPage *slabs                    # by pfn from `base` on
    cdef uint32_t base
    cdef uint32_t nr_pages
    cdef uint32_t used_end                  # no row of `slabs` from here on was ever used
    cdef readonly uint32_t slab_max_order
    cdef readonly uint32_t possible_cpus
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

cdef bint obj_freelist(SlabCache s) noexcept
cdef bint off_slab(SlabCache s) noexcept
cdef void free_arrays(ArrayCache *arrays, uint32_t count) noexcept
cdef ArrayCache *new_arrays(uint32_t count, uint32_t limit, uint32_t batchcount) except NULL
