"""SLUB's caches and slabs: how objects lie in them, and the lists they are in (mm/slub.c).

    cpu slab: page ----> slab, frozen        freelist: its objects that only this CPU takes, without a lock
              partial -> slab -> slab ...    frozen too, the next to be used
    node:     partial -> slab <-> slab ...   slabs with free objects that no CPU holds

Differs: one node; no slab comes from the reserves (pfmemalloc); memory control groups, KASAN and kmemleak have no part.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.errno cimport EINVAL
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Page, compound_order
from bootsim.linux.mm.page_alloc.gfp cimport (
    __GFP_COMP, __GFP_DIRECT_RECLAIM, __GFP_DMA, __GFP_DMA32, __GFP_NOFAIL, __GFP_NOMEMALLOC, __GFP_NORETRY,
    __GFP_NOWARN, __GFP_RECLAIM, __GFP_RECLAIMABLE, GFP_CONSTRAINT_MASK, GFP_KERNEL, GFP_NOWAIT, GFP_RECLAIM_MASK,
    GFP_SLAB_BUG_MASK, PAGE_ALLOC_COSTLY_ORDER)
from bootsim.linux.mm.slab_common cimport (
    DOWN, SLAB_CACHE_DMA, SLAB_CACHE_DMA32, SLAB_CONSISTENCY_CHECKS, SLAB_POISON, SLAB_RECLAIM_ACCOUNT, SLAB_RED_ZONE,
    SLAB_STORE_USER, SLAB_TYPESAFE_BY_RCU, UP, KmemCache, PageSource, SlabAllocator, fix_flags, get_order)
from bootsim.linux.mm.vmstat cimport fls
from bootsim.page cimport PAGE_SIZE

from bootsim.errors import KernelPanic
from bootsim.linux.mm.slab_common import SlabError, kernel_bug

cdef enum:
    GFP_KEPT = GFP_RECLAIM_MASK | GFP_CONSTRAINT_MASK   # what a slab's request keeps of its object's
    MIN_PARTIAL = 5
    MAX_PARTIAL = 10
    SHRINK_PROMOTE_MAX = 32


cdef inline uint32_t align_up(uint32_t value, uint32_t unit) noexcept nogil:
    return (value + unit - 1) & ~(unit - 1)


cdef void set_inverse(SlubCache s) noexcept:
    # for object_number(), by Newton's method: each step doubles the bits that are right
    cdef uint32_t odd
    cdef int _i
    s.shift = 0
    while not s.size >> s.shift & 1:
        s.shift += 1
    odd = s.inverse = s.size >> s.shift
    for _i in range(4):
        s.inverse *= 2 - odd * s.inverse


cdef class SlubCache(KmemCache):
    """One cache of SLUB (struct kmem_cache, and its struct kmem_cache_node)."""

    def __cinit__(self):
        list_init(&self.partial)
        list_init(&self.full)

    def __dealloc__(self):
        free(self.cpus)
        free(self.stats)


cdef class SlubSlabs(SlabAllocator):
    """The slabs of SLUB on one machine.

    Differs: with FREELIST_RANDOM the kernel shuffles the objects of a slab by numbers nobody knows; here they come in
        order, and the objects with these numbers are zero. FREELIST_HARDENED's number of a cache is 0. The address of
        a cpu slab's struct is not modelled.
    """

    def __init__(self, k, PageSource pages=None):
        super().__init__(k, pages)
        config = k.build.config
        self.slub_debug = config.SLUB_DEBUG
        self.slub_cpu_partial = config.SLUB_CPU_PARTIAL
        self.counts = config.SLUB_STATS
        self.hardened = config.SLAB_FREELIST_HARDENED
        self.init_on_alloc = k.mm.init_on_alloc.taken
        self.init_on_free = k.mm.init_on_free.taken
        self.track_bytes = 80 if config.STACKTRACE else 16
        self.slub_min_order = min(k.options.get("slub_min_order", 0), 31)
        self.slub_max_order = k.options.get("slub_max_order", PAGE_ALLOC_COSTLY_ORDER)
        if k.mm.debug_guardpage_minorder:
            self.slub_max_order = 0
        self.slub_min_objects = k.options.get("slub_min_objects", 0)
        self.nr_cpu_ids = k.nr_cpu_ids
        self.tid_step = 1 << (config.NR_CPUS - 1).bit_length() if config.PREEMPT else 1

    # ---------------------------------------------------------------- hooks of debugging

    cdef int setup_object(self, SlubCache s, uint32_t va) except -1:
        if s.ctor is not None and callable(s.ctor):
            s.ctor(va)
        return 0

    cdef str list_locations(self, SlubCache s, int item):
        # who allocated (0) or freed (1) the objects in use, where that is kept
        return None

    cdef int setup_page_debug(self, SlubCache s, uint32_t pfn) except -1:
        return 0

    cdef int setup_first_object(self, SlubCache s, uint32_t va) except -1:
        return 0

    cdef bint alloc_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t va) except -1:
        return True

    cdef bint free_debug_processing(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail,
                                    uint32_t count) except -1:
        return True

    cdef int check_freed_slab(self, SlubCache s, uint32_t pfn) except -1:
        return 0

    # What the kernel says of a cache that was made with checks it says whether or not slub_debug makes these.

    def report(self):
        """Who tells of slabs and objects with which something is wrong."""
        from bootsim.linux.mm.slub.report import SlubReport  # no boot comes to this

        return SlubReport(self)

    def heap_object(self, uint32_t va):
        """What usercopy asks of an address. Source: mm/slub.c __check_heap_object()"""
        return self.report().heap_object(va)

    cdef bint freelist_corrupted(self, SlubCache s, uint32_t pfn, uint32_t *freelist, uint32_t next_) except -1:
        if self.slub_debug and s.flags & SLAB_CONSISTENCY_CHECKS and self.report().freelist_corrupted(
                s, pfn, freelist[0], next_):
            freelist[0] = 0
            return True
        return False

    cdef int list_slab_objects(self, SlubCache s, uint32_t pfn) except -1:
        if self.slub_debug:
            self.report().list_slab_objects(s, pfn)
        return 0

    cdef int tell_owner(self, SlubCache s, uint32_t va) except -1:
        return 0

    # ---------------------------------------------------------------- layout of a cache

    cdef KmemCache new_cache(self):
        cdef SlubCache s = SlubCache()
        cdef uint32_t cpu
        s.cpus = <KmemCacheCpu *>calloc(self.g.nr_cpus, sizeof(KmemCacheCpu))
        if self.counts:
            s.stats = <uint32_t *>calloc(self.g.nr_cpus, NR_SLUB_STAT_ITEMS * sizeof(uint32_t))
        if s.cpus == NULL or (self.counts and s.stats == NULL):
            raise MemoryError
        for cpu in range(self.g.nr_cpus):
            s.cpus[cpu].page = s.cpus[cpu].partial = LIST_END
            s.cpus[cpu].tid = cpu
        return s

    cdef KmemCache copy_of(self, KmemCache s):
        cdef SlubCache old = s
        cdef SlubCache new = SlabAllocator.copy_of(self, s)
        new.min_partial, new.cpu_partial = old.min_partial, old.cpu_partial
        new.offset, new.inuse = old.offset, old.inuse
        new.red_left_pad, new.oo, new.min_oo, new.max_oo = old.red_left_pad, old.oo, old.min_oo, old.max_oo
        new.allocflags, new.random, new.has_cpu_partial = old.allocflags, old.random, old.has_cpu_partial
        new.debug, new.plain, new.inverse, new.shift = old.debug, old.plain, old.inverse, old.shift
        new.node_va, new.nr_partial = old.node_va, old.nr_partial
        new.nr_slabs, new.total_objects = old.nr_slabs, old.total_objects
        new.partial, new.full = old.partial, old.full
        memcpy(new.cpus, old.cpus, self.g.nr_cpus * sizeof(KmemCacheCpu))
        if self.counts:
            memcpy(new.stats, old.stats, self.g.nr_cpus * NR_SLUB_STAT_ITEMS * sizeof(uint32_t))
        return new

    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1:
        (<SlubSlabs>new).kmem_cache_node = new.cache_at[self.kmem_cache_node.va]
        return 0

    cdef uint32_t slab_order(self, uint32_t size, uint32_t min_objects, uint32_t max_order, uint32_t fract) noexcept:
        cdef uint32_t order = max(self.slub_min_order, get_order(min_objects * size))
        if order_objects(self.slub_min_order, size) > MAX_OBJS_PER_PAGE:
            return get_order(size * MAX_OBJS_PER_PAGE) - 1
        while order <= max_order:
            if (<uint32_t>PAGE_SIZE << order) % size <= (<uint32_t>PAGE_SIZE << order) // fract:
                break
            order += 1
        return order

    cdef int calculate_order(self, uint32_t size) noexcept:
        cdef uint32_t order, fraction
        cdef uint32_t min_objects = self.slub_min_objects
        if not min_objects:
            min_objects = 4 * (fls(self.nr_cpu_ids) + 1)
        min_objects = min(min_objects, order_objects(self.slub_max_order, size))
        while min_objects > 1:
            fraction = 16
            while fraction >= 4:
                order = self.slab_order(size, min_objects, self.slub_max_order, fraction)
                if order <= self.slub_max_order:
                    return order
                fraction //= 2
            min_objects -= 1
        order = self.slab_order(size, 1, self.slub_max_order, 1)
        if order <= self.slub_max_order:
            return order
        order = self.slab_order(size, 1, self.g.max_order, 1)
        return order if order < self.g.max_order else -1

    cdef bint calculate_sizes(self, SlubCache s):
        cdef uint32_t flags = s.flags
        cdef uint32_t size = align_up(s.object_size, 4)
        cdef int order
        if self.slub_debug:
            if flags & SLAB_POISON and not flags & SLAB_TYPESAFE_BY_RCU and s.ctor is None:
                s.flags |= OBJECT_POISON
            else:
                s.flags &= ~<uint32_t>OBJECT_POISON
            if flags & SLAB_RED_ZONE and size == s.object_size:
                size += 4
        s.inuse = size
        if (flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON) or (flags & SLAB_RED_ZONE and s.object_size < 4)
                or s.ctor is not None):
            s.offset = size
            size += 4
        else:
            s.offset = s.object_size // 2 & ~<uint32_t>3
        if self.slub_debug:
            if flags & SLAB_STORE_USER:
                size += 2 * self.track_bytes
            if flags & SLAB_RED_ZONE:
                s.red_left_pad = align_up(4, s.align)
                size += 4 + s.red_left_pad
        size = align_up(size, s.align)
        s.size = size
        order = self.calculate_order(size)
        if order < 0:
            return False
        s.allocflags = __GFP_COMP if order else 0
        if s.flags & SLAB_CACHE_DMA:
            s.allocflags |= __GFP_DMA
        if s.flags & SLAB_CACHE_DMA32:
            s.allocflags |= __GFP_DMA32
        if s.flags & SLAB_RECLAIM_ACCOUNT:
            s.allocflags |= __GFP_RECLAIMABLE
        s.oo = <uint32_t>order << 16 | order_objects(order, size)
        s.min_oo = get_order(size) << 16 | order_objects(get_order(size), size)
        if s.oo & 0xFFFF > s.max_oo & 0xFFFF:
            s.max_oo = s.oo
        return s.oo & 0xFFFF != 0

    cdef int open(self, KmemCache cache, uint32_t flags) except? 1:
        # kmem_cache_open()
        cdef SlubCache s = cache
        cdef uint32_t log2 = 0
        s.flags = self.kmem_cache_flags(s.size, flags, s.name)
        if not self.calculate_sizes(s):
            return -EINVAL
        if self.disable_higher_order_debug and get_order(s.size) > get_order(s.object_size):
            s.flags &= ~<uint32_t>(SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)
            s.offset = 0
            if not self.calculate_sizes(s):
                return -EINVAL
        while s.size >> log2 + 1:
            log2 += 1
        s.min_partial = min(max(log2 // 2, MIN_PARTIAL), MAX_PARTIAL)
        s.debug = self.debug_enabled and s.flags & DEBUG_FLAGS
        s.has_cpu_partial = self.slub_cpu_partial and not s.debug
        s.plain = not (s.debug or self.hardened or self.init_on_alloc or self.init_on_free or self.counts)
        set_inverse(s)
        if s.has_cpu_partial:
            s.cpu_partial = 2 if s.size >= PAGE_SIZE else 6 if s.size >= 1024 else 13 if s.size >= 256 else 30
        if self.slab_state == DOWN:
            self.kmem_cache_node = s
            self.early_kmem_cache_node_alloc()
            return 0
        if self.slab_state >= UP and self.cache_random_seq_create(s, s.oo & 0xFFFF, GFP_KERNEL):
            return -EINVAL
        s.node_va, self.kept_va = self.kept_va, 0
        if not s.node_va:
            s.node_va = self.alloc(self.kmem_cache_node, GFP_KERNEL)
        return 0 if s.node_va else -EINVAL

    cdef str no_layout(self, KmemCache s):
        if self.calculate_order(s.size) >= 0:
            return ""
        return (f"slub_min_order={self.k.options.get('slub_min_order', 0)} wants larger slabs than the largest "
                f"block of pages, of order {self.g.max_order - 1}")

    cdef KmemCache alias(self, str name, uint32_t size, uint32_t align, uint32_t flags, object ctor):
        cdef SlubCache s = SlabAllocator.alias(self, name, size, align, flags, ctor)
        if s is not None:
            s.inuse = max(s.inuse, align_up(size, 4))
        return s

    # ---------------------------------------------------------------- slabs

    cdef uint32_t gfp_allowed(self) noexcept:
        return self.g.gfp_allowed_mask | self.gfp_lifted

    cdef uint32_t slab_gfp(self, SlubCache s, uint32_t gfp_mask) noexcept:
        # what a slab is asked with, at first: it may fail quietly
        cdef uint32_t mask = (gfp_mask & GFP_KEPT & self.gfp_allowed()) | s.allocflags
        mask = (mask | __GFP_NOWARN | __GFP_NORETRY) & ~<uint32_t>__GFP_NOFAIL
        if mask & __GFP_DIRECT_RECLAIM and s.oo >> 16 > s.min_oo >> 16:
            mask = (mask | __GFP_NOMEMALLOC) & ~<uint32_t>__GFP_RECLAIM
        return mask

    cdef uint32_t allocate_slab(self, SlubCache s, uint32_t gfp_mask) except? 0:
        # new_slab()
        cdef uint32_t oo = s.oo
        cdef uint32_t pfn, va, i
        cdef Page *page
        if gfp_mask & <uint32_t>GFP_SLAB_BUG_MASK:
            gfp_mask = fix_flags(self.k, gfp_mask)
        pfn = self.pages.alloc(self.slab_gfp(s, gfp_mask), oo >> 16)
        if pfn == NO_PAGE:
            oo = s.min_oo
            pfn = self.pages.alloc((gfp_mask & GFP_KEPT & self.gfp_allowed()) | s.allocflags, oo >> 16)
            if pfn == NO_PAGE:
                return NO_PAGE
            stat(s, &s.cpus[self.g.cpu], ORDER_FALLBACK)
        page = &self.g.map[pfn]
        page.mapping = s.va
        page.flags |= PG_slab
        page.private_ = (oo & 0xFFFF) << 16
        self.setup_page_debug(s, pfn)
        va = page.index = self.page_va(pfn) + (s.red_left_pad if s.debug else 0)
        for i in range(oo & 0xFFFF):
            if s.debug or s.ctor is not None:
                self.setup_object(s, va)
            self.set_freepointer(s, va, va + s.size if i + 1 < oo & 0xFFFF else 0)
            va += s.size
        page.private_ |= oo & 0xFFFF | FROZEN
        if self.slub_debug and s.node_va:
            s.nr_slabs += 1
            s.total_objects += oo & 0xFFFF
        return pfn

    cdef int early_kmem_cache_node_alloc(self) except -1:
        # the first object of all: there is no other way yet to make one
        cdef SlubCache s = self.kmem_cache_node
        cdef uint32_t pfn = self.allocate_slab(s, GFP_NOWAIT)
        cdef Page *page = &self.g.map[pfn]
        if pfn == NO_PAGE:
            raise KernelPanic(None, "no free page for the first slab (kmem_cache_init())")
        s.node_va = page.index
        self.setup_first_object(s, s.node_va)
        page.index = self.get_freepointer(s, s.node_va)
        page.private_ = objects_of(page) << 16 | 1
        if self.slub_debug:
            s.nr_slabs = 1
            s.total_objects = objects_of(page)
        self.add_partial(s, pfn, TO_HEAD)
        return 0

    cdef int discard_slab(self, SlubCache s, uint32_t pfn) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t order = compound_order(self.g, pfn)
        if self.slub_debug:
            s.nr_slabs -= 1
            s.total_objects -= objects_of(page)
        if s.debug:
            self.check_freed_slab(s, pfn)
        page.flags &= ~<uint32_t>PG_slab
        page.mapping = 0
        return self.pages.free(pfn, order, s.flags & SLAB_TYPESAFE_BY_RCU != 0)

    # ---------------------------------------------------------------- lists of partial slabs

    cdef list slabs_in(self, uint32_t pfn):
        # from this one on
        cdef list pfns = []
        while pfn != LIST_END:
            if pfn < self.g.base or pfn >= self.g.end or <uint32_t>len(pfns) >= self.g.end - self.g.base:
                raise SlabError(f"a list of slabs does not hold together at page {pfn:#x}: a slab's page was freed")
            pfns.append(pfn)
            pfn = self.g.map[pfn].next
        return pfns

    cdef void add_partial(self, SlubCache s, uint32_t pfn, int tail) noexcept:
        s.nr_partial += 1
        if tail == TO_TAIL:
            list_add_tail(self.g.map, pfn, &s.partial)
        else:
            list_add(self.g.map, pfn, &s.partial)

    cdef void remove_partial(self, SlubCache s, uint32_t pfn) noexcept:
        list_del(self.g.map, pfn, &s.partial)
        s.nr_partial -= 1

    cdef void add_full(self, SlubCache s, uint32_t pfn) noexcept:
        if s.debug and s.flags & SLAB_STORE_USER:
            list_add(self.g.map, pfn, &s.full)

    cdef void remove_full(self, SlubCache s, uint32_t pfn) noexcept:
        if s.debug and s.flags & SLAB_STORE_USER:
            list_del(self.g.map, pfn, &s.full)

    cdef uint32_t get_partial_node(self, SlubCache s, KmemCacheCpu *c) except? 1:
        cdef Page *map = self.g.map
        cdef uint32_t pfn = s.partial.first
        cdef uint32_t next_, available = 0, object_ = 0
        while pfn != LIST_END:
            next_ = map[pfn].next
            available += objects_of(&map[pfn]) - inuse_of(&map[pfn])
            self.remove_partial(s, pfn)
            map[pfn].private_ |= FROZEN
            stat(s, c, CPU_PARTIAL_NODE if object_ else ALLOC_FROM_PARTIAL)
            if not object_:
                use_slab(c, pfn, self.page_va(pfn), map[pfn].private_)
                object_ = map[pfn].index
                map[pfn].private_ = (map[pfn].private_ & ~<uint32_t>0xFFFF) | objects_of(&map[pfn])
                map[pfn].index = 0
            else:
                put_cpu_partial(self, s, c, map, pfn, map[pfn].private_, False)
            if not s.has_cpu_partial or available > s.cpu_partial // 2:
                break
            pfn = next_
        return object_

    cdef int deactivate_slab(self, SlubCache s, uint32_t pfn, uint32_t freelist, KmemCacheCpu *c) except -1:
        cdef Page *page = &self.g.map[pfn]
        cdef int tail = TO_TAIL if page.index else TO_HEAD
        cdef uint32_t next_
        if page.index:
            stat(s, c, DEACTIVATE_REMOTE_FREES)
        cdef uint32_t left = objects_of(page)
        while freelist:
            next_ = self.get_freepointer(s, freelist)
            if not next_ or self.freelist_corrupted(s, pfn, &freelist, next_):
                break
            if not left:
                raise SlabError(f"cache {s.name}: the free objects of slab {self.page_va(pfn):#x} run in a circle: one "
                                "was freed twice; the kernel would not come back from here")
            left -= 1
            self.set_freepointer(s, freelist, page.index)
            page.index = freelist
            page.private_ -= 1
            freelist = next_
        if freelist:
            self.set_freepointer(s, freelist, page.index)
            page.index = freelist
            page.private_ -= 1
        page.private_ &= ~<uint32_t>FROZEN
        use_no_slab(c)
        c.freelist = 0
        c.tid += self.tid_step
        if not inuse_of(page) and s.nr_partial >= s.min_partial:
            stat(s, c, DEACTIVATE_EMPTY)
            stat(s, c, FREE_SLAB)
            self.discard_slab(s, pfn)
        elif page.index:
            stat(s, c, DEACTIVATE_TO_TAIL if tail == TO_TAIL else DEACTIVATE_TO_HEAD)
            self.add_partial(s, pfn, tail)
        else:
            stat(s, c, DEACTIVATE_FULL)
            self.add_full(s, pfn)
        return 0

    cdef int unfreeze_partials(self, SlubCache s, KmemCacheCpu *c) except -1:
        cdef Page *map = self.g.map
        cdef uint32_t pfn, discard = LIST_END
        while c.partial != LIST_END:
            pfn = c.partial
            c.partial = map[pfn].next
            map[pfn].private_ &= ~<uint32_t>FROZEN
            if not inuse_of(&map[pfn]) and s.nr_partial >= s.min_partial:
                stat(s, c, DEACTIVATE_EMPTY)
                stat(s, c, FREE_SLAB)
                map[pfn].next = discard
                discard = pfn
            else:
                stat(s, c, FREE_ADD_PARTIAL)
                self.add_partial(s, pfn, TO_TAIL)
        return self.discard_slabs(s, discard)

    cdef int drain_cpu_partial(self, SlubCache s, KmemCacheCpu *c, uint32_t pfn) except -1:
        # put_cpu_partial() when there are enough
        self.unfreeze_partials(s, c)
        stat(s, c, CPU_PARTIAL_DRAIN)
        return put_cpu_partial(self, s, c, self.g.map, pfn, self.g.map[pfn].private_, False)

    cdef int flush_cpu_slab(self, SlubCache s, uint32_t cpu) except -1:
        cdef KmemCacheCpu *c = &s.cpus[cpu]
        if c.page != LIST_END:
            stat(s, c, CPUSLAB_FLUSH)
            self.deactivate_slab(s, c.page, c.freelist, c)
        return self.unfreeze_partials(s, c)

    cdef int flush_all(self, SlubCache s) except -1:
        cdef uint32_t cpu
        for cpu in range(self.g.nr_cpus):
            if s.cpus[cpu].page != LIST_END or s.cpus[cpu].partial != LIST_END:
                self.flush_cpu_slab(s, cpu)
        return 0

    # ---------------------------------------------------------------- giving slabs back

    cdef int shrink_node(self, SlubCache s) except -1:
        # __kmem_cache_shrink(), once the cpu slabs are flushed: empty slabs go, the fullest come first
        cdef Page *map = self.g.map
        cdef SlabList promote[SHRINK_PROMOTE_MAX]
        cdef SlabList discard
        cdef uint32_t pfn, next_, nr_free
        cdef int i
        for pfn in self.slabs_in(s.partial.first):
            if inuse_of(&map[pfn]) >= objects_of(&map[pfn]):
                kernel_bug(self.k, "mm/slub.c:4173", "__kmem_cache_shrink")
                return 1
        pfn = s.partial.first
        list_init(&discard)
        for i in range(SHRINK_PROMOTE_MAX):
            list_init(&promote[i])
        while pfn != LIST_END:
            next_ = map[pfn].next
            nr_free = objects_of(&map[pfn]) - inuse_of(&map[pfn])
            if nr_free == objects_of(&map[pfn]):
                self.remove_partial(s, pfn)
                list_add(map, pfn, &discard)
            elif nr_free <= SHRINK_PROMOTE_MAX:
                list_del(map, pfn, &s.partial)
                list_add(map, pfn, &promote[nr_free - 1])
            pfn = next_
        for i in range(SHRINK_PROMOTE_MAX - 1, -1, -1):
            list_splice(map, &promote[i], &s.partial)
        self.discard_slabs(s, discard.first)
        return 1 if s.nr_slabs else 0

    cdef int free_partial(self, SlubCache s) except -1:
        # __kmem_cache_shutdown(), once the cpu slabs are flushed; 1 when objects are left
        cdef Page *map = self.g.map
        cdef SlabList discard
        cdef uint32_t pfn = s.partial.first
        cdef uint32_t next_
        list_init(&discard)
        while pfn != LIST_END:
            next_ = map[pfn].next
            if inuse_of(&map[pfn]):
                self.list_slab_objects(s, pfn)
            else:
                self.remove_partial(s, pfn)
                list_add(map, pfn, &discard)
            pfn = next_
        self.discard_slabs(s, discard.first)
        return 1 if s.nr_partial or s.nr_slabs else 0

    cdef int discard_slabs(self, SlubCache s, uint32_t pfn) except -1:
        cdef uint32_t next_
        while pfn != LIST_END:
            next_ = self.g.map[pfn].next
            self.discard_slab(s, pfn)
            pfn = next_
        return 0
