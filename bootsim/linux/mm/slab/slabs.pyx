"""SLAB: caches of slabs, with arrays of free objects before them (mm/slab.c).

    one cpu's array      shared array            node
    | entry 0 .. avail | <-> | entry 0 .. avail | <-> slabs_partial, slabs_free, slabs_full

A slab is a block of pages: its colour, its objects, and one byte an object that says which object is free next. These
bytes lie behind the objects, in an object of a kmalloc cache, or in the last free object of the slab itself. An object
in an array counts as in use for its slab.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.errno cimport E2BIG
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab
from bootsim.linux.mm.page_alloc.gfp cimport (
    __GFP_COMP, __GFP_DMA, __GFP_DMA32, __GFP_NOFAIL, __GFP_RECLAIMABLE, __GFP_ZERO, GFP_CONSTRAINT_MASK,
    GFP_RECLAIM_MASK, GFP_SLAB_BUG_MASK)
from bootsim.linux.mm.slab.debug cimport POISON_FREE, SlabChecks
from bootsim.linux.mm.slab.structs cimport (
    CFLGS_OBJFREELIST_SLAB, CFLGS_OFF_SLAB, NO_LIST, SLABS_FREE, SLABS_FULL, SLABS_PARTIAL, SlabCache, SlabList,
    SlabPage, copy_arrays, obj_freelist, off_slab)
from bootsim.linux.mm.slab_common cimport (
    SLAB_CACHE_DMA, SLAB_CACHE_DMA32, SLAB_NOLEAKTRACE, SLAB_POISON, SLAB_RECLAIM_ACCOUNT, SLAB_RED_ZONE,
    SLAB_STORE_USER, SLAB_TYPESAFE_BY_RCU, KmemCache, PageSource, SlabAllocator, fix_flags)
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.mm.slab_common import SlabError, slab_warning

cdef enum:
    SLAB_OBJ_MAX_NUM = 255      # an index is a byte
    SLAB_OBJ_MIN_SIZE = 16


cdef inline uint32_t align_up(uint32_t value, uint32_t unit) noexcept nogil:
    return (value + unit - 1) & ~(unit - 1)


cdef uint32_t sizeof_node(config):
    """The bytes of struct kmem_cache_node, which begins with a lock.

    Source: mm/slab.h struct kmem_cache_node, include/linux/spinlock_types.h
    Differs: without CONFIG_LOCK_STAT, which adds 8 to a lock.
    """
    return (60 + (4 if config.SMP or config.DEBUG_SPINLOCK else 0) + (12 if config.DEBUG_SPINLOCK else 0)
            + (20 if config.DEBUG_LOCK_ALLOC else 0))


cdef class SlabSlabs(SlabChecks):
    """The slabs of one machine: how caches are laid out, and how slabs come, go and are listed.

    Source: mm/slab.c
    Differs: struct page's fields of SLAB (slab_list, s_mem, freelist, active) are kept beside RAM. Random free lists
        and several nodes are not modelled.
    """

    def __init__(self, k, PageSource pages=None):
        super().__init__(k, pages)
        config = k.build.config
        self.base = self.g.base
        self.nr_pages = self.g.end - self.g.base
        free(self.slabs)
        self.slabs = <SlabPage *>calloc(self.nr_pages + 1, sizeof(SlabPage))
        if self.slabs == NULL:
            raise MemoryError
        self.possible_cpus = max(1, k.num_possible_cpus)
        self.node_bytes = sizeof_node(config)
        self.hardened = config.SLAB_FREELIST_HARDENED
        self.clears_allocated = k.mm.init_on_alloc.taken
        self.clears_freed = k.mm.init_on_free.taken
        self.boot_plan = []

    def __dealloc__(self):
        free(self.slabs)

    cdef KmemCache copy_of(self, KmemCache s):
        cdef SlabCache old = s
        cdef SlabCache new = SlabAllocator.copy_of(self, s)
        cdef int i
        new.limit, new.batchcount, new.shared, new.num = old.limit, old.batchcount, old.shared, old.num
        new.gfporder, new.allocflags, new.colour = old.gfporder, old.allocflags, old.colour
        new.colour_off, new.freelist_size, new.nr_cpus, new.grown = (
            old.colour_off, old.freelist_size, old.nr_cpus, old.grown)
        new.obj_offset, new.stats = old.obj_offset, old.stats
        new.node_va, new.shared_va, new.has_node = old.node_va, old.shared_va, old.has_node
        new.total_slabs, new.free_slabs, new.free_objects = old.total_slabs, old.free_slabs, old.free_objects
        new.free_limit, new.colour_next, new.free_touched = old.free_limit, old.colour_next, old.free_touched
        for i in range(3):
            new.lists[i] = old.lists[i]
        new.cpu_cache = copy_arrays(old.cpu_cache, old.nr_cpus)
        new.shared_array = copy_arrays(old.shared_array, 1)
        return new

    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1:
        cdef SlabSlabs other = new
        cdef SlabCache s, copied
        other.slab_max_order, other.possible_cpus = self.slab_max_order, self.possible_cpus
        other.recorded, other.used_end = self.recorded, self.used_end
        memcpy(other.slabs, self.slabs, self.used_end * sizeof(SlabPage))
        for s in self.cache_at.values():
            copied = other.cache_at[s.va]
            if s.freelist_cache is not None:
                copied.freelist_cache = other.cache_at[s.freelist_cache.va]
        return 0

    # ---------------------------------------------------------------- slabs and their lists

    cdef SlabPage *slab_at(self, uint32_t pfn) noexcept nogil:
        return &self.slabs[min(pfn - self.base, self.nr_pages)]

    cdef SlabPage *slab_of(self, SlabCache s, uint32_t va) except NULL:
        # virt_to_head_page() of an object
        cdef SlabPage *slab = self.slab_at(self.va_pfn(va))
        if not slab.head or self.slab_at(slab.head).cache != s.va:
            raise SlabError(f"cache {s.name}: {va:#x} is in none of its slabs")
        return self.slab_at(slab.head)

    cdef void list_add(self, SlabCache s, uint32_t pfn, uint32_t which, bint tail) noexcept:
        # list_add(), list_add_tail()
        cdef SlabPage *slab = self.slab_at(pfn)
        cdef SlabList *to = &s.lists[which]
        slab.list_ = which
        slab.next = NO_PAGE if tail else to.first
        slab.prev = to.last if tail else NO_PAGE
        if slab.next != NO_PAGE:
            self.slab_at(slab.next).prev = pfn
        else:
            to.last = pfn
        if slab.prev != NO_PAGE:
            self.slab_at(slab.prev).next = pfn
        else:
            to.first = pfn

    cdef void list_del(self, SlabCache s, uint32_t pfn) noexcept:
        # list_del()
        cdef SlabPage *slab = self.slab_at(pfn)
        cdef SlabList *of = &s.lists[slab.list_]
        if slab.list_ == NO_LIST:
            return
        if slab.next != NO_PAGE:
            self.slab_at(slab.next).prev = slab.prev
        else:
            of.last = slab.prev
        if slab.prev != NO_PAGE:
            self.slab_at(slab.prev).next = slab.next
        else:
            of.first = slab.next
        slab.list_ = NO_LIST

    # ---------------------------------------------------------------- how a cache is laid out

    cdef uint32_t cache_estimate(self, uint32_t gfporder, uint32_t size, uint32_t flags,
                                 uint32_t *left_over) noexcept nogil:
        cdef uint32_t slab_bytes = <uint32_t>PAGE_SIZE << gfporder
        cdef uint32_t each = size if flags & <uint32_t>(CFLGS_OBJFREELIST_SLAB | CFLGS_OFF_SLAB) else size + 1
        left_over[0] = slab_bytes % each
        return slab_bytes // each

    cdef uint32_t calculate_slab_order(self, SlabCache s, uint32_t size, uint32_t flags):
        """Choose order and number of objects; returns the bytes left over. s.num is 0 when nothing fits.

        Source: mm/slab.c calculate_slab_order()
        """
        cdef uint32_t left_over = 0
        cdef uint32_t remainder = 0
        cdef uint32_t gfporder, num
        for gfporder in range(self.kmalloc_shift_max - 12 + 1):
            num = self.cache_estimate(gfporder, size, flags, &remainder)
            if not num:
                continue
            if num > SLAB_OBJ_MAX_NUM:
                break
            if flags & <uint32_t>CFLGS_OFF_SLAB and not self.worth_off_slab(s, num):
                continue
            s.num = num
            s.gfporder = gfporder
            left_over = remainder
            if (flags & SLAB_RECLAIM_ACCOUNT or gfporder >= self.slab_max_order
                    or left_over * 8 <= <uint32_t>PAGE_SIZE << gfporder):
                break
        return left_over

    cdef bint worth_off_slab(self, SlabCache s, uint32_t num):
        # is there a cache for the indices of `num` objects, and does it gain something
        cdef SlabCache freelist_cache = self.kmalloc_slab(num, 0)
        return freelist_cache is not None and not off_slab(freelist_cache) and freelist_cache.size <= s.size // 2

    cdef bint set_objfreelist_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags):
        cdef uint32_t left
        s.num = 0
        if self.clears_freed and s.ctor is None:  # slab_want_init_on_free(), of a cache without flags yet
            return False
        if s.ctor is not None or flags & SLAB_TYPESAFE_BY_RCU:
            return False
        left = self.calculate_slab_order(s, size, flags | <uint32_t>CFLGS_OBJFREELIST_SLAB)
        if not s.num or s.num > s.object_size:
            return False
        s.colour = left // s.colour_off
        return True

    cdef bint set_off_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags):
        cdef uint32_t left
        s.num = 0
        if flags & SLAB_NOLEAKTRACE:
            return False
        left = self.calculate_slab_order(s, size, flags | <uint32_t>CFLGS_OFF_SLAB)
        if not s.num or left >= s.num:
            return False
        s.colour = left // s.colour_off
        return True

    cdef bint set_on_slab_cache(self, SlabCache s, uint32_t size, uint32_t flags):
        cdef uint32_t left
        s.num = 0
        left = self.calculate_slab_order(s, size, flags)
        if not s.num:
            return False
        s.colour = left // s.colour_off
        return True

    cdef int layout(self, SlabCache s, uint32_t flags) except? 1:
        """Decide what objects and slabs of a cache look like; 0, or -E2BIG.

        Source: mm/slab.c __kmem_cache_create()
        """
        cdef uint32_t size
        cdef uint32_t ralign = 4
        if self.debug:
            flags = self.forced_flags(s, flags)
        size = align_up(s.size, 4)
        if flags & SLAB_RED_ZONE:
            ralign = 8
            size = align_up(size, 8)
        ralign = max(ralign, s.align)
        if ralign > 8:
            flags &= ~<uint32_t>(SLAB_RED_ZONE | SLAB_STORE_USER)
        s.align = ralign
        s.colour_off = max(self.kmalloc_min_size, s.align)  # cache_line_size()
        if self.debug:
            size = self.with_red_zones(s, size, flags)
        size = align_up(size, s.align)
        if size < SLAB_OBJ_MIN_SIZE:
            size = align_up(SLAB_OBJ_MIN_SIZE, s.align)
        if self.debug and self.wants_whole_pages(s, size, flags) and self.set_off_slab_cache(
                s, align_up(size, PAGE_SIZE), flags):
            flags |= <uint32_t>CFLGS_OFF_SLAB
            s.obj_offset += align_up(size, PAGE_SIZE) - size
            size = align_up(size, PAGE_SIZE)
        elif self.set_objfreelist_slab_cache(s, size, flags):
            flags |= <uint32_t>CFLGS_OBJFREELIST_SLAB
        elif self.set_off_slab_cache(s, size, flags):
            flags |= <uint32_t>CFLGS_OFF_SLAB
        elif not self.set_on_slab_cache(s, size, flags):
            return -E2BIG
        s.freelist_size = s.num
        s.flags = flags
        s.allocflags = __GFP_COMP
        if flags & SLAB_CACHE_DMA:
            s.allocflags |= __GFP_DMA
        if flags & SLAB_CACHE_DMA32:
            s.allocflags |= __GFP_DMA32
        if flags & SLAB_RECLAIM_ACCOUNT:
            s.allocflags |= __GFP_RECLAIMABLE
        s.size = size
        if self.debug and self.is_debug_pagealloc_cache(s):
            s.flags &= ~<uint32_t>(SLAB_RED_ZONE | SLAB_STORE_USER)
        s.freelist_cache = self.kmalloc_slab(s.freelist_size, 0) if off_slab(s) else None
        return 0

    # ---------------------------------------------------------------- slabs come and go

    cdef uint32_t cache_grow_begin(self, SlabCache s, uint32_t gfp_mask) except? 0:
        """Make a slab; its pfn, or NO_PAGE. In a recording, it is there already.

        Source: mm/slab.c cache_grow_begin(), kmem_getpages()
        """
        cdef uint32_t pfn = s.grown
        cdef uint32_t freelist = 0
        s.grown = NO_PAGE
        if self.recorded:
            return pfn
        if gfp_mask & <uint32_t>GFP_SLAB_BUG_MASK:
            gfp_mask = fix_flags(self.k, gfp_mask)
        if s.ctor is not None and gfp_mask & __GFP_ZERO:
            slab_warning(self.k, "mm/slab.c:2580", func="cache_grow_begin", once=True)
        gfp_mask &= ~<uint32_t>__GFP_NOFAIL & <uint32_t>(GFP_CONSTRAINT_MASK | GFP_RECLAIM_MASK)
        pfn = self.pages.alloc(gfp_mask | s.allocflags, s.gfporder)
        if pfn == NO_PAGE:
            if self.debug:
                self.slab_out_of_memory(s, gfp_mask | s.allocflags)
            return NO_PAGE
        if off_slab(s):
            freelist = self.alloc(s.freelist_cache, gfp_mask & ~<uint32_t>GFP_CONSTRAINT_MASK)
            if not freelist:
                self.pages.free(pfn, s.gfporder, False)
                return NO_PAGE
        self.new_slab(s, pfn, freelist)
        return pfn

    cdef int new_slab(self, SlabCache s, uint32_t pfn, uint32_t freelist_va) except -1:
        # colour, alloc_slabmgmt(), slab_map_pages(), cache_init_objs()
        cdef SlabPage *slab = self.slab_at(pfn)
        cdef uint32_t i
        cdef unsigned char *indices
        s.colour_next += 1
        if s.colour_next >= s.colour:
            s.colour_next = 0
        slab.s_mem = self.page_va(pfn) + s.colour_next * s.colour_off
        if slab.head:
            raise SlabError(f"page {pfn:#x} for a slab of cache {s.name}, which is a slab already")
        slab.active = 0
        slab.cache = s.va
        slab.list_ = NO_LIST
        if self.debug:
            self.cache_init_objs_debug(s, slab.s_mem)
        if obj_freelist(s):
            slab.freelist = slab.s_mem + (s.num - 1) * s.size + s.obj_offset
        elif off_slab(s):
            slab.freelist = freelist_va
        else:
            slab.freelist = self.page_va(pfn) + (<uint32_t>PAGE_SIZE << s.gfporder) - s.freelist_size
        for i in range(<uint32_t>1 << s.gfporder):
            self.slab_at(pfn + i).head = pfn
        self.used_end = max(self.used_end, pfn - self.base + (<uint32_t>1 << s.gfporder))
        self.g.map[pfn].flags |= PG_slab
        self.g.map[pfn].mapping = s.va
        indices = self.at(slab.freelist)
        for i in range(s.num):
            if s.ctor is not None and not self.recorded and not self.debug:
                s.ctor(slab.s_mem + i * s.size)
            indices[i] = i
        return 0

    cdef void cache_grow_end(self, SlabCache s, uint32_t pfn) noexcept:
        cdef SlabPage *slab = self.slab_at(pfn)
        s.total_slabs += 1
        s.stats.grown += 1
        if not slab.active:
            self.list_add(s, pfn, SLABS_FREE, True)
            s.free_slabs += 1
        else:
            self.fixup_slab_list(s, pfn)
        s.free_objects += s.num - slab.active

    cdef void fixup_slab_list(self, SlabCache s, uint32_t pfn) noexcept:
        cdef SlabPage *slab = self.slab_at(pfn)
        self.list_del(s, pfn)
        if slab.active == s.num:
            self.list_add(s, pfn, SLABS_FULL, False)
            if s.flags & <uint32_t>CFLGS_OBJFREELIST_SLAB:
                if self.debug and s.flags & SLAB_POISON:  # fixup_objfreelist_debug()
                    self.poison_obj(s, slab.freelist - s.obj_offset, POISON_FREE)
                slab.freelist = 0
        else:
            self.list_add(s, pfn, SLABS_PARTIAL, False)

    cdef int slab_destroy(self, SlabCache s, uint32_t pfn) except -1:
        """Give back the pages of a slab that is on no list any more, and its free list.

        Source: mm/slab.c slab_destroy(), kmem_freepages()
        """
        cdef uint32_t freelist = self.slab_at(pfn).freelist
        cdef uint32_t i
        if self.debug:
            self.slab_destroy_debugcheck(s, self.slab_at(pfn))
        for i in range(<uint32_t>1 << s.gfporder):
            self.slab_at(pfn + i).head = 0
        if self.recorded:
            return 0
        self.g.map[pfn].flags &= ~<uint32_t>PG_slab
        self.g.map[pfn].mapping = 0
        self.pages.free(pfn, s.gfporder, s.flags & SLAB_TYPESAFE_BY_RCU != 0)
        if off_slab(s):
            self.free(s.freelist_cache, freelist)
        return 0

    cdef int slabs_destroy(self, SlabCache s, uint32_t pfn) except -1:
        cdef uint32_t next_pfn
        while pfn != NO_PAGE:
            next_pfn = self.slab_at(pfn).next
            self.slab_destroy(s, pfn)
            pfn = next_pfn
        return 0

    cdef uint32_t take_free_slab(self, SlabCache s) noexcept:
        # the step of drain_freelist(): the last of the empty slabs, or NO_PAGE
        cdef uint32_t pfn = s.lists[SLABS_FREE].last
        if pfn != NO_PAGE:
            self.list_del(s, pfn)
            s.free_slabs -= 1
            s.total_slabs -= 1
            s.free_objects -= s.num
        return pfn

    cdef int drain_freelist(self, SlabCache s) except -1:
        cdef uint32_t pfn = self.take_free_slab(s)
        while pfn != NO_PAGE:
            self.slab_destroy(s, pfn)
            pfn = self.take_free_slab(s)
        return 0

    cdef uint32_t free_block(self, SlabCache s, uint32_t *objects, uint32_t count) except? 0:
        """Put objects back into their slabs; the first of the slabs to destroy (linked by `next`), or NO_PAGE.

        Source: mm/slab.c free_block(), slab_put_obj()
        """
        cdef uint32_t destroyed = NO_PAGE
        cdef uint32_t i, pfn
        cdef SlabPage *slab
        s.free_objects += count
        for i in range(count):
            slab = self.slab_of(s, objects[i])
            if self.debug and self.is_free_in_slab(s, slab, objects[i]):
                s.free_objects -= 1
                continue
            if not slab.active:
                raise SlabError(f"cache {s.name}: {objects[i]:#x} freed twice: none of its slab's objects is in use")
            self.list_del(s, slab.head)
            slab.active -= 1
            s.stats.num_active -= 1
            if not slab.freelist:
                slab.freelist = objects[i] + s.obj_offset
            self.at(slab.freelist)[slab.active] = (objects[i] - slab.s_mem) // s.size
            if slab.active:
                self.list_add(s, slab.head, SLABS_PARTIAL, True)
            else:
                self.list_add(s, slab.head, SLABS_FREE, False)
                s.free_slabs += 1
        while s.free_objects > s.free_limit and s.lists[SLABS_FREE].last != NO_PAGE:
            pfn = self.take_free_slab(s)
            self.slab_at(pfn).next = destroyed
            destroyed = pfn
        return destroyed

    cdef KmemCache new_cache(self):
        return SlabCache()
