# SLUB's data, for other Cython modules.
#
# A slab's fields are unions in struct page (include/linux/mm_types.h), so in Page:
#
#     next, prev   slab_list (in a list of the node), or: next cpu partial slab, and pages | pobjects << 16
#     mapping      slab_cache: the address of its descriptor
#     index        freelist: the address of the first free object, or 0
#     private_     counters: inuse | objects << 16 | frozen << 31
#
# A list of slabs ends with LIST_END on both sides; its head is a SlabList.
from libc.stdint cimport uint32_t

from bootsim.hw.memory cimport bootsim_le32_load, bootsim_le32_store
from bootsim.linux.mm.page_alloc cimport Page
from bootsim.linux.mm.slab_common cimport KmemCache, SlabAllocator
from bootsim.page cimport PAGE_SIZE

cdef enum:
    LIST_END = 0x7FFFFFFF
    FROZEN = 0x80000000U            # of a page's counters: the slab is a CPU's, and in no list of the node
    OBJECT_POISON = 0x80000000U     # __OBJECT_POISON of flags: the object itself is poisoned
    DEBUG_FLAGS = 0x100 | 0x400 | 0x800 | 0x10000 | 0x200000   # SLAB_DEBUG_FLAGS
    TO_HEAD = 0
    TO_TAIL = 1
    MAX_OBJS_PER_PAGE = 32767


cdef enum:  # enum stat_item, of include/linux/slub_def.h
    ALLOC_FASTPATH, ALLOC_SLOWPATH, FREE_FASTPATH, FREE_SLOWPATH, FREE_FROZEN, FREE_ADD_PARTIAL, FREE_REMOVE_PARTIAL
    ALLOC_FROM_PARTIAL, ALLOC_SLAB, ALLOC_REFILL, ALLOC_NODE_MISMATCH, FREE_SLAB, CPUSLAB_FLUSH, DEACTIVATE_FULL
    DEACTIVATE_EMPTY, DEACTIVATE_TO_HEAD, DEACTIVATE_TO_TAIL, DEACTIVATE_REMOTE_FREES, DEACTIVATE_BYPASS
    ORDER_FALLBACK, CMPXCHG_DOUBLE_CPU_FAIL, CMPXCHG_DOUBLE_FAIL, CPU_PARTIAL_ALLOC, CPU_PARTIAL_FREE
    CPU_PARTIAL_NODE, CPU_PARTIAL_DRAIN
    NR_SLUB_STAT_ITEMS


cdef struct SlabList:
    uint32_t first
    uint32_t last


cdef struct KmemCacheCpu:   # struct kmem_cache_cpu
    uint32_t freelist       # the lockless list
    uint32_t tid
    uint32_t page           # LIST_END: none; then freelist is 0
    uint32_t partial        # the first cpu partial slab
    uint32_t start          # of the slab `page`, its address
    uint32_t objects        # of it; 0 without one


cdef class SlubCache(KmemCache):
    cdef readonly uint32_t min_partial
    cdef readonly uint32_t cpu_partial
    cdef readonly uint32_t offset       # of the free pointer in a free object
    cdef readonly uint32_t inuse        # where what is not the user's begins
    cdef readonly uint32_t red_left_pad
    cdef readonly uint32_t oo           # order << 16 | objects
    cdef readonly uint32_t min_oo
    cdef readonly uint32_t max_oo
    cdef readonly uint32_t allocflags
    cdef readonly uint32_t random       # of FREELIST_HARDENED
    cdef bint has_cpu_partial
    cdef bint debug                     # kmem_cache_debug()
    cdef bint plain                     # no build option and no flag wants anything beside the lists
    cdef uint32_t inverse               # of the size, for object_number()
    cdef uint32_t shift
    cdef KmemCacheCpu *cpus
    cdef uint32_t *stats                # NR_SLUB_STAT_ITEMS of each CPU; NULL without CONFIG_SLUB_STATS
    # struct kmem_cache_node; node_va is its address, 0 before it is there
    cdef readonly uint32_t node_va
    cdef readonly uint32_t nr_partial
    cdef readonly uint32_t nr_slabs
    cdef readonly uint32_t total_objects
    cdef SlabList partial
    cdef SlabList full


cdef class SlubSlabs(SlabAllocator):
    cdef readonly SlubCache kmem_cache_node
    cdef readonly uint32_t slub_min_order
    cdef readonly uint32_t slub_max_order
    cdef readonly uint32_t slub_min_objects
    cdef readonly bint slub_debug           # CONFIG_SLUB_DEBUG
    cdef readonly bint slub_cpu_partial     # CONFIG_SLUB_CPU_PARTIAL
    cdef bint debug_enabled                 # the key slub_debug_enabled
    cdef bint disable_higher_order_debug
    cdef bint hardened
    cdef bint init_on_alloc
    cdef bint init_on_free
    cdef uint32_t track_bytes               # sizeof(struct track)
    cdef bint counts                        # CONFIG_SLUB_STATS
    cdef uint32_t nr_cpu_ids
    cdef uint32_t tid_step
    cdef uint32_t gfp_lifted                # what requests keep beyond gfp_allowed_mask: a recording tells
    cdef uint32_t kept_va                   # an object for the node of the next cache, when it is there already

    cdef int calculate_order(self, uint32_t size) noexcept
    cdef uint32_t slab_order(self, uint32_t size, uint32_t min_objects, uint32_t max_order, uint32_t fract) noexcept
    cdef bint calculate_sizes(self, SlubCache s)
    cdef uint32_t gfp_allowed(self) noexcept
    cdef uint32_t slab_gfp(self, SlubCache s, uint32_t gfp_mask) noexcept
    cdef uint32_t allocate_slab(self, SlubCache s, uint32_t gfp_mask) except? 0
    cdef int discard_slab(self, SlubCache s, uint32_t pfn) except -1
    cdef int early_kmem_cache_node_alloc(self) except -1
    cdef list slabs_in(self, uint32_t pfn)
    cdef void add_partial(self, SlubCache s, uint32_t pfn, int tail) noexcept
    cdef void remove_partial(self, SlubCache s, uint32_t pfn) noexcept
    cdef void add_full(self, SlubCache s, uint32_t pfn) noexcept
    cdef void remove_full(self, SlubCache s, uint32_t pfn) noexcept
    cdef uint32_t get_partial_node(self, SlubCache s, KmemCacheCpu *c) except? 1
    cdef int deactivate_slab(self, SlubCache s, uint32_t pfn, uint32_t freelist, KmemCacheCpu *c) except -1
    cdef int unfreeze_partials(self, SlubCache s, KmemCacheCpu *c) except -1
    cdef int drain_cpu_partial(self, SlubCache s, KmemCacheCpu *c, uint32_t pfn) except -1
    cdef int flush_cpu_slab(self, SlubCache s, uint32_t cpu) except -1
    cdef int flush_all(self, SlubCache s) except -1
    cdef int shrink_node(self, SlubCache s) except -1
    cdef int free_partial(self, SlubCache s) except -1
    cdef int discard_slabs(self, SlubCache s, uint32_t pfn) except -1

    # Hooks of CONFIG_SLUB_DEBUG: nothing happens here, SlubDebug overrides them.
    cdef int setup_object(self, SlubCache s, uint32_t va) except -1
    cdef str list_locations(self, SlubCache s, int item)
    cdef int setup_page_debug(self, SlubCache s, uint32_t pfn) except -1
    cdef int setup_first_object(self, SlubCache s, uint32_t va) except -1
    cdef bint alloc_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t va) except -1
    cdef bint free_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail,
                                    uint32_t count) except -1
    cdef int check_freed_slab(self, SlubCache s, uint32_t pfn) except -1
    cdef bint freelist_corrupted(self, SlubCache s, uint32_t pfn, uint32_t *freelist, uint32_t next_) except -1
    cdef int list_slab_objects(self, SlubCache s, uint32_t pfn) except -1
    cdef int tell_owner(self, SlubCache s, uint32_t va) except -1

    cdef inline uint32_t freelist_ptr(self, SlubCache s, uint32_t ptr, uint32_t at) noexcept:
        # FREELIST_HARDENED: what is stored is the pointer, the cache's number and the swapped place of the pointer
        if self.hardened:
            return ptr ^ s.random ^ (at >> 24 | at >> 8 & 0xFF00 | (at & 0xFF00) << 8 | at << 24)
        return ptr

    cdef inline uint32_t get_freepointer(self, SlubCache s, uint32_t va) noexcept:
        return self.freelist_ptr(s, bootsim_le32_load(self.at(va + s.offset)), va + s.offset)

    cdef inline void set_freepointer(self, SlubCache s, uint32_t va, uint32_t ptr) noexcept:
        bootsim_le32_store(self.at(va + s.offset), self.freelist_ptr(s, ptr, va + s.offset))


cdef inline void list_init(SlabList *head) noexcept nogil:
    head.first = head.last = LIST_END


cdef inline void list_add(Page *map, uint32_t pfn, SlabList *head) noexcept nogil:
    map[pfn].next = head.first
    map[pfn].prev = LIST_END
    if head.first == LIST_END:
        head.last = pfn
    else:
        map[head.first].prev = pfn
    head.first = pfn


cdef inline void list_add_tail(Page *map, uint32_t pfn, SlabList *head) noexcept nogil:
    map[pfn].next = LIST_END
    map[pfn].prev = head.last
    if head.last == LIST_END:
        head.first = pfn
    else:
        map[head.last].next = pfn
    head.last = pfn


cdef inline void list_del(Page *map, uint32_t pfn, SlabList *head) noexcept nogil:
    if map[pfn].prev == LIST_END:
        head.first = map[pfn].next
    else:
        map[map[pfn].prev].next = map[pfn].next
    if map[pfn].next == LIST_END:
        head.last = map[pfn].prev
    else:
        map[map[pfn].next].prev = map[pfn].prev


cdef inline void list_splice(Page *map, SlabList *list_, SlabList *head) noexcept nogil:
    if list_.first == LIST_END:
        return
    map[list_.last].next = head.first
    if head.first == LIST_END:
        head.last = list_.last
    else:
        map[head.first].prev = list_.last
    head.first = list_.first


cdef inline void stat(SlubCache s, const KmemCacheCpu *c, int item) noexcept:
    if s.stats != NULL:
        s.stats[(c - s.cpus) * NR_SLUB_STAT_ITEMS + item] += 1


cdef inline void use_slab(KmemCacheCpu *c, uint32_t pfn, uint32_t va, uint32_t counters) noexcept nogil:
    # `va`: of the slab
    c.page = pfn
    c.start = va
    c.objects = counters >> 16 & 0x7FFF


cdef inline void use_no_slab(KmemCacheCpu *c) noexcept nogil:
    c.page = LIST_END
    c.objects = 0


cdef inline int put_cpu_partial(SlubSlabs self, SlubCache s, KmemCacheCpu *c, Page *map, uint32_t pfn,
                                uint32_t counters, bint drain) except -1:
    # pages and pobjects are two shorts on 32 bits
    cdef uint32_t old = c.partial
    cdef uint32_t both = (counters & 0x7FFF0000) - (counters << 16)
    if old != LIST_END:
        if drain and map[old].prev >> 16 > s.cpu_partial:
            return self.drain_cpu_partial(s, c, pfn)
        both += map[old].prev
    map[pfn].prev = (both & 0xFFFF0000U) | (both + 1 & 0xFFFF)
    map[pfn].next = old
    c.partial = pfn
    return 0 if s.cpu_partial else self.unfreeze_partials(s, c)


cdef inline uint32_t object_number(SlubCache s, uint32_t offset) noexcept:
    # Of the object at an offset into a slab; where none begins, a number beyond those of every slab. The size is an odd
    # number times a power of two: multiplying by the inverse of the odd one, modulo 2**32, divides, if it divides.
    cdef uint32_t quotient = offset * s.inverse
    return quotient >> s.shift | quotient << (32 - s.shift & 31)


cdef inline uint32_t order_objects(uint32_t order, uint32_t size) noexcept nogil:
    return (<uint32_t>PAGE_SIZE << order) // size


cdef inline uint32_t inuse_of(const Page *page) noexcept nogil:
    return page.private_ & 0xFFFF


cdef inline uint32_t objects_of(const Page *page) noexcept nogil:
    return page.private_ >> 16 & 0x7FFF
