"""SLAB's arrays of free objects, its nodes, its start and its reaper (mm/slab.c)."""

cimport cython
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memmove, memset

from bootsim.errno cimport ENOMEM
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_ZERO, GFP_KERNEL, GFP_NOWAIT
from bootsim.linux.mm.slab.slabs cimport SlabSlabs
from bootsim.linux.mm.slab.structs cimport (
    BATCHREFILL_LIMIT, SLABS_FREE, SLABS_FULL, SLABS_PARTIAL, ArrayCache, SlabCache, SlabPage, SlabStats, free_arrays,
    new_arrays)
from bootsim.linux.mm.slab_common cimport (
    FULL, KMALLOC_NORMAL, KMALLOC_RECLAIM, PARTIAL, PARTIAL_NODE, SLAB_HWCACHE_ALIGN, SLAB_POISON,
    SLAB_RECLAIM_ACCOUNT, SLAB_TYPESAFE_BY_RCU, ZERO_SIZE_PTR, KmemCache, SlabAllocator, check_own)
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.slab_common import KMALLOC_INFO, SlabError, slab_warning

cdef enum:
    SIZEOF_ARRAY_CACHE = 16
    SIZEOF_KMEM_CACHE = 100
    SIZEOF_STATISTICS = 60      # of DEBUG_SLAB, in struct kmem_cache
    DEBUG_LIMIT = 32            # entries of an array with DEBUG_SLAB
    BAADF00D = 0xBAADF00DU      # batchcount of a shared array


@cython.final
cdef class Slab(SlabSlabs):
    """SLAB of one machine.

    Source: mm/slab.c
    Differs: the arrays of free objects are kept beside RAM.
    """

    # ---------------------------------------------------------------- arrays and nodes

    cdef uint32_t kmalloc_index(self, uint32_t size) noexcept:
        # Source: include/linux/slab.h kmalloc_index()
        if size <= self.kmalloc_min_size:
            return self.kmalloc_shift_low
        if self.kmalloc_min_size <= 32 and 64 < size <= 96:
            return 1
        if self.kmalloc_min_size <= 64 and 128 < size <= 192:
            return 2
        return (size - 1).bit_length()

    cdef void wanted_arrays(self, SlabCache s, uint32_t *limit, uint32_t *batchcount, uint32_t *shared) noexcept:
        limit[0] = (1 if s.size > 131072 else 8 if s.size > PAGE_SIZE else 24 if s.size > 1024
                    else 54 if s.size > 256 else 120)
        if self.debug:
            limit[0] = min(limit[0], DEBUG_LIMIT)
        shared[0] = 8 if s.size <= PAGE_SIZE and self.possible_cpus > 1 else 0
        batchcount[0] = (limit[0] + 1) // 2

    cdef int set_arrays(self, SlabCache s, uint32_t limit, uint32_t batchcount, uint32_t shared) except -1:
        # do_tune_cpucache(), up to the node; what the old arrays held goes to the slabs
        cdef ArrayCache *old = s.cpu_cache
        cdef uint32_t nr_old = s.nr_cpus
        cdef uint32_t cpu, destroyed
        s.cpu_cache = new_arrays(self.possible_cpus, limit, batchcount)
        s.nr_cpus = self.possible_cpus
        s.batchcount, s.limit, s.shared = batchcount, limit, shared
        try:
            for cpu in range(nr_old if old != NULL else 0):
                destroyed = self.free_block(s, old[cpu].entry, old[cpu].avail)
                self.slabs_destroy(s, destroyed)
        finally:
            free_arrays(old, nr_old)
        return 0

    cdef int set_shared_array(self, SlabCache s) except -1:
        # the part of setup_kmem_cache_node() under the lock: an old array's objects go to the slabs
        cdef uint32_t destroyed = NO_PAGE
        if s.shared_array != NULL:
            destroyed = self.free_block(s, s.shared_array.entry, s.shared_array.avail)
            free_arrays(s.shared_array, 1)
            s.shared_array = NULL
        if s.shared:
            s.shared_array = new_arrays(1, s.shared * s.batchcount, BAADF00D)
        return self.slabs_destroy(s, destroyed)

    cdef void init_free_limit(self, SlabCache s) noexcept:
        s.free_limit = (1 + <uint32_t>self.k.nr_online_cpus) * s.batchcount + s.num

    cdef int setup_kmem_cache_node(self, SlabCache s, uint32_t gfp_mask) except? 1:
        """Give a cache its node and shared array; 0 or -ENOMEM.

        Source: mm/slab.c setup_kmem_cache_node(), init_cache_node()
        """
        cdef uint32_t old_va = s.shared_va
        cdef uint32_t new_va = 0
        if s.shared:
            new_va = self.kmalloc(s.shared * s.batchcount * 4 + SIZEOF_ARRAY_CACHE, gfp_mask)
            if not new_va:
                return -ENOMEM
        if not s.has_node:
            s.node_va = self.kmalloc(self.node_bytes, gfp_mask)
            if not s.node_va:
                self.kfree(new_va)
                return -ENOMEM
            s.has_node = True
        self.init_free_limit(s)
        s.shared_va = new_va
        self.set_shared_array(s)
        self.kfree(old_va)
        return 0

    cdef int enable_cpucache(self, SlabCache s, uint32_t gfp_mask) except? 1:
        """Give a cache arrays of the size that its objects ask for; 0 or -ENOMEM.

        Source: mm/slab.c enable_cpucache(), do_tune_cpucache()
        """
        cdef uint32_t limit, batchcount, shared
        if not self.recorded and self.cache_random_seq_create(s, s.num, gfp_mask):
            return -ENOMEM
        self.wanted_arrays(s, &limit, &batchcount, &shared)
        self.set_arrays(s, limit, batchcount, shared)
        return self.setup_kmem_cache_node(s, gfp_mask)

    cdef int setup_cpu_cache(self, SlabCache s) except? 1:
        """Give a new cache its arrays and node: of one entry while the boot is not through.

        Source: mm/slab.c setup_cpu_cache()
        """
        if self.slab_state >= FULL:
            return self.enable_cpucache(s, GFP_KERNEL)
        self.set_arrays(s, 1, 1, s.shared)
        if self.slab_state > PARTIAL and not self.recorded:
            s.node_va = self.kmalloc(self.node_bytes, GFP_NOWAIT)
            if not s.node_va:
                return -ENOMEM
        s.has_node = True  # kmem_cache and the cache of nodes: init_kmem_cache_node[], for now
        return 0

    # ---------------------------------------------------------------- objects

    cdef int alloc_block(self, SlabCache s, ArrayCache *ac, SlabPage *slab, int batchcount) noexcept:
        while slab.active < s.num and batchcount > 0 and ac.avail < ac.limit:
            batchcount -= 1
            ac.entry[ac.avail] = slab.s_mem + self.at(slab.freelist)[slab.active] * s.size
            ac.avail += 1
            slab.active += 1
            if self.debug:
                s.stats.num_allocations += 1
                s.stats.num_active += 1
                s.stats.high_mark = max(s.stats.high_mark, s.stats.num_active)
        return batchcount

    cdef uint32_t cache_alloc_refill(self, SlabCache s, ArrayCache *ac, uint32_t gfp_mask) except? 1:
        """Fill an empty array, from the shared one, the slabs there are, or a new one; an object, or 0.

        Source: mm/slab.c cache_alloc_refill()
        """
        cdef int batchcount = <int>ac.batchcount
        cdef ArrayCache *shared = s.shared_array
        cdef uint32_t pfn, count
        if not ac.touched and batchcount > BATCHREFILL_LIMIT:
            batchcount = BATCHREFILL_LIMIT
        if s.free_objects or (shared != NULL and shared.avail):
            count = min(shared.avail, batchcount, ac.limit - ac.avail) if shared != NULL else 0
            if count:
                shared.avail -= count
                memcpy(ac.entry + ac.avail, shared.entry + shared.avail, count * sizeof(uint32_t))
                ac.avail += count
                shared.touched = 1
            else:
                self.refill_from_slabs(s, ac, batchcount)
        if not ac.avail:
            pfn = self.cache_grow_begin(s, gfp_mask)
            if pfn != NO_PAGE:
                if not ac.avail:
                    self.alloc_block(s, ac, self.slab_at(pfn), batchcount)
                self.cache_grow_end(s, pfn)
            if not ac.avail:
                return 0
        ac.touched = 1
        ac.avail -= 1
        return ac.entry[ac.avail]

    cdef void refill_from_slabs(self, SlabCache s, ArrayCache *ac, int batchcount) noexcept:
        cdef uint32_t pfn
        while batchcount > 0:
            pfn = s.lists[SLABS_PARTIAL].first
            if pfn == NO_PAGE:
                s.free_touched = True
                pfn = s.lists[SLABS_FREE].first
                if pfn == NO_PAGE:
                    break
                s.free_slabs -= 1
            batchcount = self.alloc_block(s, ac, self.slab_at(pfn), batchcount)
            self.fixup_slab_list(s, pfn)
        s.free_objects -= ac.avail

    cdef uint32_t slab_alloc(self, SlabCache s, uint32_t gfp_mask) except? 1:
        """Hand out an object; its address, or 0.

        Source: mm/slab.c slab_alloc(), ____cache_alloc()
        """
        cdef ArrayCache *ac = &s.cpu_cache[self.g.cpu]
        if ac.avail:
            s.stats.allochit += 1
            ac.touched = 1
            ac.avail -= 1
            return ac.entry[ac.avail]
        s.stats.allocmiss += 1
        return self.cache_alloc_refill(s, ac, gfp_mask)

    cdef int cache_flusharray(self, SlabCache s, ArrayCache *ac) except -1:
        """Make room in a full array: its oldest objects go to the shared one, or to their slabs.

        Source: mm/slab.c cache_flusharray()
        """
        cdef ArrayCache *shared = s.shared_array
        cdef uint32_t count = ac.batchcount
        cdef uint32_t destroyed = NO_PAGE
        if shared != NULL and shared.avail < shared.limit:
            count = min(count, shared.limit - shared.avail)
            memcpy(shared.entry + shared.avail, ac.entry, count * sizeof(uint32_t))
            shared.avail += count
        else:
            destroyed = self.free_block(s, ac.entry, count)
        s.stats.max_freeable = max(s.stats.max_freeable, s.free_slabs)
        ac.avail -= count
        memmove(ac.entry, ac.entry + count, ac.avail * sizeof(uint32_t))
        return self.slabs_destroy(s, destroyed)

    cdef int cache_free(self, SlabCache s, uint32_t va) except -1:
        """Put an object into this cpu's array.

        Source: mm/slab.c ___cache_free(), __free_one()
        """
        cdef ArrayCache *ac = &s.cpu_cache[self.g.cpu]
        if ac.avail < ac.limit:
            s.stats.freehit += 1
        else:
            s.stats.freemiss += 1
            self.cache_flusharray(s, ac)
        if self.hardened and ac.avail and ac.entry[ac.avail - 1] == va:
            slab_warning(self.k, "mm/slab.c:596", func="___cache_free", once=True)
            return 0
        ac.entry[ac.avail] = va
        ac.avail += 1
        return 0

    cdef int swap(self, SlabCache s, uint32_t ours, uint32_t real) except -1:
        # A replay that handed out the wrong object goes on with the right one, if an array holds it.
        cdef ArrayCache *ac = &s.cpu_cache[self.g.cpu]
        cdef uint32_t i
        for i in range(ac.avail):
            if ac.entry[i] == real:
                ac.entry[i] = ours
                return 0
        for i in range(s.shared_array.avail if s.shared_array != NULL else 0):
            if s.shared_array.entry[i] == real:
                s.shared_array.entry[i] = ours
                return 0
        return self.cache_free(s, ours)

    # ---------------------------------------------------------------- the interface

    cdef int open(self, KmemCache s, uint32_t flags) except? 1:
        # __kmem_cache_create()
        cdef int error = self.layout(s, flags)
        return error if error else self.setup_cpu_cache(s)

    cdef uint32_t alloc(self, KmemCache s, uint32_t gfp_mask) except? 1:
        cdef uint32_t va = self.slab_alloc(s, gfp_mask)
        if self.debug and s.ctor is not None and gfp_mask & __GFP_ZERO:
            slab_warning(self.k, "mm/slab.c:2992", func="cache_alloc_debugcheck_after", once=True)
        if va and self.debug:
            va = self.cache_alloc_debugcheck_after(s, self.slab_of(s, va), va)
        if va and (gfp_mask & __GFP_ZERO or (self.clears_allocated and s.ctor is None
                                           and not s.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON))):
            self.clear(va, s.object_size)
        return va

    cdef int free_checked(self, SlabCache s, uint32_t va) except -1:
        # with DEBUG_SLAB
        cdef uint32_t pfn = self.head_page(va)
        if pfn == NO_PAGE or not self.slab_at(pfn).head:
            self.virt_to_cache(va)  # warns
            self.bug(2711, "cache_free_debugcheck")
            return 0
        va = self.cache_free_debugcheck(s, self.slab_at(pfn), va)
        return self.cache_free(s, va) if va else 0

    cdef int kfree(self, uint32_t va) except -1:
        # What is no object's is warned of, and stays.
        cdef uint32_t pfn = self.va_pfn(va)
        if va <= ZERO_SIZE_PTR:
            return 0
        if self.debug and (va < self.page_offset or pfn < self.g.base or pfn >= self.g.end):
            self.say(f"kfree_debugcheck: out of range ptr {va:x}h", "kfree_debugcheck")
            self.bug(2679, "kfree_debugcheck")
            return 0
        pfn = self.head_page(va)
        if pfn == NO_PAGE or not self.g.map[pfn].flags & PG_slab:
            slab_warning(self.k, "mm/slab.h:435", "virt_to_cache: Object is not a Slab page!", func="kfree", once=True)
            return 0
        return self.free(self.cache_of(self.g.map[pfn].mapping), va)

    cdef uint32_t ksize(self, uint32_t va) except? 1:
        cdef uint32_t pfn = self.head_page(va) if va > ZERO_SIZE_PTR else NO_PAGE
        if pfn != NO_PAGE and self.g.map[pfn].flags & PG_slab:
            return self.cache_of(self.g.map[pfn].mapping).object_size
        if va > ZERO_SIZE_PTR:
            slab_warning(self.k, "mm/slab.h:435", "virt_to_cache: Object is not a Slab page!", func="__ksize",
                         once=True)
        return 0

    def heap_object(self, uint32_t va):
        """Of an address in a slab: what usercopy calls it, the cache, the place in the object, the object's bytes.

        None where no slab is; the cache is None behind the last object, where the kernel stops.
        Source: mm/slab.c __check_heap_object()
        """
        cdef uint32_t pfn = self.head_page(va)
        cdef SlabCache s
        cdef SlabPage *slab
        if pfn == NO_PAGE or not self.g.map[pfn].flags & PG_slab:
            return None
        s = self.cache_of(self.g.map[pfn].mapping)
        slab = self.slab_at(pfn)
        index = (va - slab.s_mem & 0xFFFFFFFF) // s.size
        if index >= s.num:
            return "SLAB object", None, 0, 0
        return "SLAB object", s, va - slab.s_mem - index * s.size - s.obj_offset & 0xFFFFFFFF, s.object_size

    cdef int free(self, KmemCache s, uint32_t va) except -1:
        cdef SlabPage *slab
        if self.debug:
            return self.free_checked(s, va)
        slab = self.slab_of(s, va)
        if self.g.map[slab.head].mapping != s.va or (va - slab.s_mem) % s.size:
            raise SlabError(f"kmem_cache_free({s.name}, {va:#x}): no object of this cache begins there")
        if self.clears_freed and s.ctor is None and not s.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON):
            memset(self.at(va), 0, s.object_size)
        return self.cache_free(s, va)

    cdef int drain_array(self, SlabCache s, ArrayCache *ac, uint32_t count) except -1:
        # drain_array_locked(): the oldest objects of an array go to their slabs
        cdef uint32_t destroyed
        count = min(count, ac.avail)
        destroyed = self.free_block(s, ac.entry, count)
        ac.avail -= count
        memmove(ac.entry, ac.entry + count, ac.avail * sizeof(uint32_t))
        return self.slabs_destroy(s, destroyed)

    cdef int shrink(self, KmemCache s) except -1:
        # __kmem_cache_shrink(), drain_cpu_caches(); 1: objects are in use
        cdef SlabCache c = s
        cdef uint32_t cpu
        for cpu in range(c.nr_cpus):
            self.drain_array(c, &c.cpu_cache[cpu], c.cpu_cache[cpu].avail)
        if c.shared_array != NULL:
            self.drain_array(c, c.shared_array, c.shared_array.avail)
        self.drain_freelist(c)
        return c.lists[SLABS_FULL].first != NO_PAGE or c.lists[SLABS_PARTIAL].first != NO_PAGE

    cdef int shutdown(self, KmemCache s) except -1:
        return self.shrink(s)

    cdef int release(self, KmemCache s) except -1:
        cdef SlabCache c = s
        self.kfree(c.random_seq)
        self.kfree(c.shared_va)
        self.kfree(c.node_va)
        return 0

    # ---------------------------------------------------------------- boot, and the reaper

    def kmem_cache_init(self):
        """Make the cache of descriptors, then those of kmalloc().

        Source: mm/slab.c kmem_cache_init()
        """
        cdef SlabCache s = self.boot_cache()
        self.create_boot_cache(s, "kmem_cache", self.sizeof_kmem_cache(), SLAB_HWCACHE_ALIGN, 0, 0)
        self.add(s)
        self.slab_state = PARTIAL
        self.new_kmalloc_cache(self.kmalloc_index(self.node_bytes), KMALLOC_NORMAL, SLAB_HWCACHE_ALIGN)
        self.slab_state = PARTIAL_NODE
        self.setup_kmalloc_cache_index_table()
        if not self.recorded:
            for s in self.slab_caches:
                s.node_va = self.kmalloc(self.node_bytes, GFP_NOWAIT)
        self.create_kmalloc_caches(SLAB_HWCACHE_ALIGN)
        for index, type_, _, _ in self.boot_plan:
            self.kmalloc_caches[type_][index] = None

    cdef int new_kmalloc_cache(self, uint32_t index, uint32_t type_, uint32_t flags) except -1:
        if not self.recorded:
            return SlabAllocator.new_kmalloc_cache(self, index, type_, flags)
        self.kmalloc_caches[type_][index] = self.new_cache()
        self.boot_plan.append((index, type_, flags, self.kmalloc_caches[type_][index]))
        return 0

    cdef int boot_step(self, uint32_t va, uint32_t node_va) except -1:
        # in a recording of the boot: the next cache of kmalloc() is there, its descriptor at `va`
        cdef SlabCache s
        if not self.boot_plan:
            return 0
        index, type_, flags, s = self.boot_plan.pop(0)
        s.va = va
        s.node_va = node_va
        if type_ == KMALLOC_RECLAIM:
            flags |= SLAB_RECLAIM_ACCOUNT
        size, name = KMALLOC_INFO[index]
        self.create_boot_cache(s, ("kmalloc-", "kmalloc-rcl-", "dma-kmalloc-")[type_] + name, size, flags, 0, size)
        self.add(s)
        s.refcount = 1
        self.kmalloc_caches[type_][index] = s
        return 0

    cdef uint32_t sizeof_kmem_cache(self):
        return (SIZEOF_KMEM_CACHE + (4 if self.k.build.config.SLAB_FREELIST_RANDOM else 0)
                + (SIZEOF_STATISTICS if self.debug else 0))

    cdef SlabCache boot_cache(self):
        # kmem_cache_boot, and what the allocator decides before it
        cdef SlabCache s = SlabCache()
        config = self.k.build.config
        self.slab_max_order = min(self.k.options.get("slab_max_order", 1 if self.k.mm.totalram_pages > 8192 else 0),
                                  self.k.mm.max_order - 1)
        s.va = self.k.build.symbols.kmem_cache_boot
        s.shared = 1
        self.kmem_cache = s
        if config.SLAB_FREELIST_RANDOM:
            step(self.k, "the order in which this build's slabs hand out objects is random, here it is their order in "
                 "memory", func="kmem_cache_init")
        return s

    def kmem_cache_init_late(self):
        """Give the caches of the boot arrays of their final size.

        Source: mm/slab.c kmem_cache_init_late()
        """
        for s in reversed(self.slab_caches):
            self.enable_cpucache(s, GFP_NOWAIT)
        self.slab_state = FULL

    def cache_reap(self, bint node_turn=False):
        """What the reaper does every two seconds: give back part of what nobody used since, from the newest cache on.

        `node_turn`: with the shared arrays and the empty slabs, as every four seconds.
        Source: mm/slab.c cache_reap(), drain_array()
        """
        cdef SlabCache s
        for cache in reversed(self.slab_caches):
            s = cache
            self.reap_array(s, &s.cpu_cache[self.g.cpu])
            if not node_turn:
                continue
            if s.shared_array != NULL:
                self.reap_array(s, s.shared_array)
            if s.free_touched:
                s.free_touched = False
                continue
            for _ in range((s.free_limit + 5 * s.num - 1) // (5 * s.num)):
                if s.lists[SLABS_FREE].last != NO_PAGE:
                    s.stats.reaped += 1
                    self.slab_destroy(s, self.take_free_slab(s))

    cdef int reap_array(self, SlabCache s, ArrayCache *ac) except -1:
        # drain_array()
        if ac.touched and ac.avail:
            ac.touched = 0
            return 0
        return self.drain_array(s, ac, self.reaped(ac))

    cdef uint32_t reaped(self, ArrayCache *ac) noexcept nogil:
        # how many objects the reaper takes out of an array
        cdef uint32_t count = (ac.limit + 4) // 5
        return count if count <= ac.avail else (ac.avail + 1) // 2

    # ---------------------------------------------------------------- how it stands

    def snapshot(self):
        """Every cache with its arrays and lists, in the form of a recording's objects.json."""
        return [self.cache_snapshot(s) for s in reversed(self.slab_caches)]

    cdef dict cache_snapshot(self, SlabCache s):
        node = {"addr": s.node_va, "total_slabs": s.total_slabs, "free_slabs": s.free_slabs,
                "free_objects": s.free_objects, "free_limit": s.free_limit, "colour_next": s.colour_next,
                "free_touched": int(s.free_touched),
                "shared": array_snapshot(s.shared_array) if s.shared_array != NULL else None,
                "slabs_partial": self.slabs_in(s, SLABS_PARTIAL), "slabs_full": self.slabs_in(s, SLABS_FULL),
                "slabs_free": self.slabs_in(s, SLABS_FREE)}
        return {"addr": s.va, "name": s.name, "size": s.size, "object_size": s.object_size, "align": s.align,
                "flags": s.flags, "refcount": s.refcount & 0xFFFFFFFF, "num": s.num, "gfporder": s.gfporder,
                "colour": s.colour, "colour_off": s.colour_off, "freelist_size": s.freelist_size, "limit": s.limit,
                "batchcount": s.batchcount, "shared": s.shared, "allocflags": s.allocflags,
                "freelist_cache": s.freelist_cache.va if s.freelist_cache is not None else 0,
                "cpu": [array_snapshot(&s.cpu_cache[cpu])
                        for cpu in range(min(<uint32_t>self.k.nr_online_cpus, s.nr_cpus))],
                "node": node}

    cdef list slabs_in(self, SlabCache s, int which):
        cdef uint32_t pfn = s.lists[which].first
        cdef SlabPage *slab
        found = []
        while pfn != NO_PAGE:
            slab = self.slab_at(pfn)
            row = {"pfn": pfn, "s_mem": slab.s_mem, "active": slab.active, "freelist": slab.freelist}
            if slab.active < s.num:
                indices = self.at(slab.freelist)
                row["free_indices"] = [indices[i] for i in range(slab.active, s.num)]
            found.append(row)
            pfn = slab.next
        return found

    def owner_of(self, uint32_t va):
        """In words: the cache, slab and state of the object that holds an address; "" for one that is no object's."""
        cdef SlabPage *slab = self.slab_at(self.va_pfn(va))
        cdef SlabCache s
        cdef uint32_t i, object_
        if va < self.page_offset or not slab.head:
            return ""
        slab = self.slab_at(slab.head)
        s = self.cache_at.get(self.g.map[slab.head].mapping)
        if s is None or va < slab.s_mem or va >= slab.s_mem + s.num * s.size:
            return ""
        i = (va - slab.s_mem) // s.size
        object_ = slab.s_mem + i * s.size
        state = "in use"
        if slab.active < s.num and i in self.at(slab.freelist)[slab.active:s.num]:
            state = "free in its slab"
        elif s.shared_array != NULL and object_ in array_snapshot(s.shared_array)["entries"]:
            state = "free in the shared array"
        else:
            for cpu in range(s.nr_cpus):
                if object_ in array_snapshot(&s.cpu_cache[cpu])["entries"]:
                    state = f"free in the array of cpu {cpu}"
        return f"object {object_ + s.obj_offset:#x} of cache {s.name}, {i} of {s.num} in slab {slab.head:#x}: {state}"

    def slabinfo(self, SlabCache s not None):
        """A cache's line of /proc/slabinfo.

        Source: mm/slab_common.c cache_show(), mm/slab.c get_slabinfo()
        """
        check_own(self, s)
        num_objs = s.total_slabs * s.num
        shared = s.shared_array.avail if s.shared_array != NULL else 0
        return (f"{s.name:<17} {num_objs - s.free_objects:6} {num_objs:6} {s.size:6} {s.num:4} {1 << s.gfporder:4}"
                f" : tunables {s.limit:4} {s.batchcount:4} {s.shared:4}"
                f" : slabdata {s.total_slabs - s.free_slabs:6} {s.total_slabs:6} {shared:6}"
                + (statistics_of(s) if self.debug else ""))

    def check(self):
        """What does not hold together: nothing, unless something wrote into freed memory or freed it twice."""
        faults = []
        for s in self.slab_caches:
            shot = self.cache_snapshot(s)
            node = shot["node"]
            slabs = [slab for name in ("slabs_full", "slabs_partial", "slabs_free") for slab in node[name]]
            free = sum(s.num - slab["active"] for slab in slabs)
            if free != node["free_objects"] or len(slabs) != node["total_slabs"]:
                faults.append(f"{s.name}: {free} free objects in {len(slabs)} slabs, the node counts "
                              f"{node['free_objects']} in {node['total_slabs']}")
            for slab in slabs:
                indices = slab.get("free_indices", [])
                if len(set(indices)) != len(indices) or any(i >= s.num for i in indices):
                    faults.append(f"{s.name}: slab {slab['pfn']:#x} lists {indices} as free")
            held = [va for array in (*shot["cpu"], node["shared"] or {}) for va in array.get("entries", ())]
            if len(set(held)) != len(held):
                faults.append(f"{s.name}: an object is twice in the arrays")
        return faults


cdef dict array_snapshot(const ArrayCache *ac):
    return {"avail": ac.avail, "limit": ac.limit, "batchcount": ac.batchcount, "touched": ac.touched,
            "entries": [ac.entry[i] for i in range(ac.avail)]}


cdef str statistics_of(SlabCache s):
    # Source: mm/slab.c slabinfo_show_stats()
    cdef SlabStats *of = &s.stats
    return (f" : globalstat {of.num_allocations:7} {of.high_mark:6} {of.grown:5} {of.reaped:4} {of.errors:4} "
            f"{of.max_freeable:4} {of.node_allocs:4} {of.node_frees:4} {of.node_overflow:4}"
            f" : cpustat {of.allochit:6} {of.allocmiss:6} {of.freehit:6} {of.freemiss:6}")
