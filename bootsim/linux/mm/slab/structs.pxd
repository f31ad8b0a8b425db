# SLAB's data, for other Cython modules.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab_common cimport KmemCache

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


cdef struct SlabStats:      # "statistics" of struct kmem_cache
    uint32_t num_active
    uint32_t num_allocations
    uint32_t high_mark
    uint32_t grown
    uint32_t reaped
    uint32_t errors
    uint32_t max_freeable
    uint32_t node_allocs
    uint32_t node_frees
    uint32_t node_overflow
    uint32_t allochit
    uint32_t allocmiss
    uint32_t freehit
    uint32_t freemiss


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
    cdef readonly uint32_t obj_offset       # DEBUG_SLAB: of what the caller has, in its object
    cdef SlabStats stats                    # DEBUG_SLAB
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

cdef bint obj_freelist(SlabCache s) noexcept
cdef bint off_slab(SlabCache s) noexcept
cdef void free_arrays(ArrayCache *arrays, uint32_t count) noexcept
cdef ArrayCache *new_arrays(uint32_t count, uint32_t limit, uint32_t batchcount) except NULL
cdef ArrayCache *copy_arrays(const ArrayCache *arrays, uint32_t count) except? NULL
