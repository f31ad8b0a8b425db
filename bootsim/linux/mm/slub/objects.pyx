"""SLUB's objects: allocating, freeing, and the caches of the boot (mm/slub.c).

    cpu slab: page ----> slab, frozen        freelist: its objects that only this CPU takes, without a lock
              partial -> slab -> slab ...    frozen too, the next to be used
    node:     partial -> slab <-> slab ...   slabs with free objects that no CPU holds
"""

from libc.stdint cimport uint32_t
from libc.string cimport memset

from bootsim.hw.memory cimport bootsim_le32_load, bootsim_le32_store
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Page
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_NOWARN, __GFP_ZERO, GFP_KERNEL, GFP_NOWAIT
from bootsim.linux.mm.slab_common cimport (
    FULL, PARTIAL, SLAB_CONSISTENCY_CHECKS, SLAB_HWCACHE_ALIGN, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER,
    SLAB_TYPESAFE_BY_RCU, KmemCache, check_own, get_order)
from bootsim.linux.mm.slub.slabs cimport *

from bootsim.linux.kernel.printk import KERN_WARNING, printk
from bootsim.linux.mm.page_alloc import format_gfp_flags
from bootsim.linux.mm.slab_common import SlabError, kernel_bug, slab_warning

cdef enum:
    # where the two first descriptors lie, in the image, is not known; these stand for them
    BOOT_KMEM_CACHE_NODE = 1
    BOOT_KMEM_CACHE = 2


# The ways that every allocation and every free may go: functions, which the compiler builds into their callers. Of a
# `plain` cache nothing is to be counted, and its free pointers are stored as they are.

cdef inline uint32_t take(Slub self, SlubCache s, KmemCacheCpu *c, uint32_t va) noexcept:
    # `va`: the first object of a list, whose others become the lockless list
    c.freelist = self.get_freepointer(s, va)
    c.tid += self.tid_step
    return va


cdef inline uint32_t take_from_cpu_slabs(Slub self, SlubCache s, KmemCacheCpu *c, bint plain) noexcept:
    # ___slab_alloc() while this CPU has slabs: what others freed to the one in use (get_freelist()), then the next.
    # The first of a list whose others are still to become the lockless one (take()); 0: there is no such slab.
    cdef Page *map = self.g.map
    cdef Page *page
    cdef uint32_t pfn = c.page
    cdef uint32_t va, counters
    while True:
        if pfn != LIST_END:
            page = &map[pfn]
            va, counters = page.index, page.private_
            page.index = 0
            page.private_ = (counters & 0xFFFF0000U) | (counters >> 16 & 0x7FFF)
            if va:
                if not plain:
                    stat(s, c, ALLOC_REFILL)
                use_slab(c, pfn, self.page_va(pfn), counters)
                return va
            if not plain:
                stat(s, c, DEACTIVATE_BYPASS)
            page.private_ &= ~<uint32_t>FROZEN
            c.tid += self.tid_step
        pfn = c.partial
        if pfn == LIST_END:
            use_no_slab(c)
            return 0
        if not plain:
            stat(s, c, CPU_PARTIAL_ALLOC)
        c.partial = map[pfn].next


cdef inline uint32_t its_slab(Slub self, SlubCache s, uint32_t va) noexcept:
    # The slab of an object of `s`, or NO_PAGE.
    cdef uint32_t pfn = self.head_page(va)
    cdef Page *page
    if pfn == NO_PAGE:
        return NO_PAGE
    page = &self.g.map[pfn]
    if page.flags & PG_slab and page.mapping == s.va and object_number(s, va - self.page_va(pfn)) < objects_of(page):
        return pfn
    return NO_PAGE


cdef inline int slow_free(Slub self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count,
                          bint plain) except -1:
    # __slab_free() after free_debug_processing()
    cdef Page *map = self.g.map
    cdef Page *page = &map[pfn]
    cdef uint32_t prior, counters, inuse
    prior, counters = page.index, page.private_
    inuse = counters - count & 0xFFFF
    counters = (counters & 0xFFFF0000U) | inuse
    if plain:
        bootsim_le32_store(self.at(tail + s.offset), prior)
    else:
        self.set_freepointer(s, tail, prior)
    page.index = head
    if not (prior or counters & FROZEN) and s.has_cpu_partial:
        page.private_ = counters | FROZEN
        put_cpu_partial(self, s, &s.cpus[self.g.cpu], map, pfn, counters, True)
        if not plain:
            stat(s, &s.cpus[self.g.cpu], CPU_PARTIAL_FREE)
        return 0
    page.private_ = counters
    if counters & FROZEN:
        if not plain:
            stat(s, &s.cpus[self.g.cpu], FREE_FROZEN)
        return 0
    if inuse and prior:
        return 0
    return self.move_slab(s, pfn, prior, inuse)


cdef class Slub(SlubSlabs):
    """SLUB on one machine.

    Differs: what sysfs allocates for caches is not allocated.
    """

    # ---------------------------------------------------------------- the boot's caches

    def init(self):
        """Make the first caches, and kmalloc's.

        Raises KernelPanic when there is no memory for them.
        Source: mm/slub.c kmem_cache_init()
        """
        cdef SlubCache s
        cdef SlubCache node = self.new_cache()
        cdef SlubCache cache = self.new_cache()
        node_bytes, cache_bytes = struct_sizes(self.k.build.config)
        node.va, cache.va = BOOT_KMEM_CACHE_NODE, BOOT_KMEM_CACHE
        self.cache_at[node.va], self.cache_at[cache.va] = node, cache
        self.create_boot_cache(node, "kmem_cache_node", node_bytes, SLAB_HWCACHE_ALIGN, 0, 0)
        self.slab_state = PARTIAL
        self.kmem_cache = cache
        self.create_boot_cache(cache, "kmem_cache", cache_bytes, SLAB_HWCACHE_ALIGN, 0, 0)
        self.bootstrap(cache)
        self.bootstrap(node)
        self.setup_kmalloc_cache_index_table()
        self.create_kmalloc_caches(0)
        self.slab_state = FULL
        for s in reversed(self.slab_caches):  # init_freelist_randomization()
            self.cache_random_seq_create(s, s.oo & 0xFFFF, GFP_KERNEL)

    cdef SlubCache bootstrap(self, SlubCache s):
        # the descriptor moves from the image to an object of its own
        cdef uint32_t va = self.alloc(self.kmem_cache, GFP_NOWAIT | __GFP_ZERO)
        cdef uint32_t pfn
        self.cache_at.pop(s.va)
        s.va = va
        self.flush_cpu_slab(s, self.g.cpu)
        for pfn in self.slabs_in(s.partial.first) + self.slabs_in(s.full.first):
            self.g.map[pfn].mapping = va
        self.add(s)
        return s

    # ---------------------------------------------------------------- allocating

    cdef uint32_t alloc(self, KmemCache cache, uint32_t gfp_mask) except? 1:
        cdef KmemCacheCpu *c = &(<SlubCache>cache).cpus[self.g.cpu]
        cdef uint32_t va
        if gfp_mask & __GFP_ZERO or not (<SlubCache>cache).plain:
            return self.alloc_checked(<SlubCache>cache, gfp_mask, c)
        va = c.freelist
        if not va:
            va = take_from_cpu_slabs(self, <SlubCache>cache, c, True)
            if not va:
                return self.slow_alloc(<SlubCache>cache, gfp_mask, c)
        c.freelist = bootsim_le32_load(self.at(va + (<SlubCache>cache).offset))
        c.tid += self.tid_step
        return va

    cdef uint32_t alloc_checked(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c) except? 1:
        cdef uint32_t va
        if c.freelist:
            va = take(self, s, c, c.freelist)
            stat(s, c, ALLOC_FASTPATH)
        else:
            va = self.slow_alloc(s, gfp_mask, c)
        if va:
            self.initialize(s, va, gfp_mask)
        return va

    cdef int initialize(self, SlubCache s, uint32_t va, uint32_t gfp_mask) except -1:
        cdef bint passed_over = s.ctor is not None or s.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON) != 0
        if self.init_on_free and not passed_over:
            self.clear(va + s.offset, 4)
        if gfp_mask & __GFP_ZERO:
            if not self.init_on_alloc or s.ctor is None:
                self.clear(va, s.object_size)
        elif self.init_on_alloc and not passed_over:
            self.clear(va, s.object_size)
        return 0

    cdef uint32_t slow_alloc(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c) except? 1:
        # ___slab_alloc()
        cdef uint32_t va, pfn
        cdef bint failed = False
        stat(s, c, ALLOC_SLOWPATH)
        while True:
            va = 0 if failed else take_from_cpu_slabs(self, s, c, False)
            if va:
                return take(self, s, c, va)
            va = self.new_slab_objects(s, gfp_mask, c, True)
            if not va:
                self.out_of_memory(s, gfp_mask)
                return 0
            if not s.debug:
                return take(self, s, c, va)
            pfn = c.page
            if self.alloc_debug_processing(s, pfn, va):
                self.deactivate_slab(s, pfn, self.get_freepointer(s, va), c)
                return va
            failed = True  # the next slab is needed; this one stays here until another takes its place

    cdef void let_go(self, SlubCache s) noexcept:
        # what an allocation does first that finds its cpu slab used up
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        cdef Page *page = &self.g.map[c.page] if c.page != LIST_END else NULL
        if page != NULL and not c.freelist and not page.index:
            page.private_ = objects_of(page) << 16 | objects_of(page)
            use_no_slab(c)
            c.tid += self.tid_step

    cdef uint32_t new_slab_objects(self, SlubCache s, uint32_t gfp_mask, KmemCacheCpu *c, bint look) except? 1:
        # `look`: among the node's partial slabs first
        cdef uint32_t va, pfn
        if s.ctor is not None and gfp_mask & __GFP_ZERO:
            slab_warning(self.k, "mm/slub.c:2575", func="___slab_alloc", once=True)
        if look:
            va = self.get_partial_node(s, c)
            if va:
                return va
        pfn = self.allocate_slab(s, gfp_mask)
        if pfn == NO_PAGE:
            return 0
        if c.page != LIST_END:
            stat(s, c, CPUSLAB_FLUSH)
            self.deactivate_slab(s, c.page, c.freelist, c)
        stat(s, c, ALLOC_SLAB)
        va = self.g.map[pfn].index
        self.g.map[pfn].index = 0
        use_slab(c, pfn, self.page_va(pfn), self.g.map[pfn].private_)
        return va

    cdef uint32_t alloc_from_new_slab(self, SlubCache s, uint32_t gfp_mask) except? 1:
        # An allocation that had looked everywhere in vain, and while it waited for a page objects were freed.
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        cdef uint32_t va = self.new_slab_objects(s, gfp_mask, c, False)
        if va:
            take(self, s, c, va)
            self.initialize(s, va, gfp_mask)
        return va

    cdef int out_of_memory(self, SlubCache s, uint32_t gfp_mask) except -1:
        # slab_out_of_memory()
        cdef uint32_t nr_free = self.count_free(s)
        if not self.slub_debug or gfp_mask & __GFP_NOWARN:
            return 0
        printk(self.k, KERN_WARNING, "SLUB: Unable to allocate memory on node -1, gfp={gfp:#x}({names})",
               func="slab_out_of_memory", gfp=gfp_mask, names=format_gfp_flags(gfp_mask))
        printk(self.k, KERN_WARNING, "  cache: {name}, object size: {object_size}, buffer size: {size}, default order: "
               "{order}, min order: {least}", func="slab_out_of_memory", name=s.name, object_size=s.object_size,
               size=s.size, order=s.oo >> 16, least=s.min_oo >> 16)
        if s.min_oo >> 16 > get_order(s.object_size):
            printk(self.k, KERN_WARNING, "  {name} debugging increased min order, use slub_debug=O to disable.",
                   func="slab_out_of_memory", name=s.name)
        printk(self.k, KERN_WARNING, "  node 0: slabs: {slabs}, objs: {objects}, free: {free}",
               func="slab_out_of_memory", slabs=s.nr_slabs, objects=s.total_objects, free=nr_free)
        return 0

    cdef list alloc_bulk(self, KmemCache cache, uint32_t gfp_mask, uint32_t count):
        # kmem_cache_alloc_bulk()
        cdef SlubCache s = cache
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        cdef list objects = []
        cdef uint32_t va
        while <uint32_t>len(objects) < count:
            va = c.freelist
            if va:
                c.freelist = self.get_freepointer(s, va)
            else:
                c.tid += self.tid_step
                va = self.slow_alloc(s, gfp_mask, c)
                if not va:
                    SlubSlabs.free_bulk(self, s, objects)
                    return []
            self.initialize(s, va, gfp_mask)
            objects.append(va)
        c.tid += self.tid_step
        return objects

    # ---------------------------------------------------------------- freeing

    cdef uint32_t slab_of(self, SlubCache s, uint32_t va) except? 0:
        # The slab of an object of `s`. A kernel without checks would write into memory that is not the cache's.
        cdef uint32_t pfn = its_slab(self, s, va)
        if pfn == NO_PAGE:
            raise SlabError(f"{va:#x} is no object of cache {s.name}; the kernel would free it all the same")
        return pfn

    cdef uint32_t page_of(self, uint32_t va) except? 0:
        cdef uint32_t pfn = self.head_page(va)
        if pfn == NO_PAGE:
            raise SlabError(f"{va:#x} is no address of the linear mapping; the kernel would read past struct pages")
        return pfn

    cdef int free(self, KmemCache cache, uint32_t va) except -1:
        # kmem_cache_free(), kfree()
        cdef KmemCacheCpu *c = &(<SlubCache>cache).cpus[self.g.cpu]
        if not (<SlubCache>cache).plain:
            return self.free_checked(<SlubCache>cache, va)
        if object_number(<SlubCache>cache, va - c.start) < c.objects:  # to the slab in use here
            bootsim_le32_store(self.at(va + (<SlubCache>cache).offset), c.freelist)
            c.freelist = va
            c.tid += self.tid_step
            return 0
        return self.free_elsewhere(<SlubCache>cache, va)

    cdef int free_elsewhere(self, SlubCache s, uint32_t va) except -1:
        # an object of a plain cache, to another slab than the one in use here
        cdef uint32_t pfn = its_slab(self, s, va)
        return self.slab_of(s, va) if pfn == NO_PAGE else slow_free(self, s, pfn, va, va, 1, True)

    cdef int free_checked(self, SlubCache s, uint32_t va) except -1:
        # with what options of the build and debugging want beside
        cdef KmemCache found
        cdef uint32_t pfn
        if self.hardened or (s.debug and s.flags & SLAB_CONSISTENCY_CHECKS):
            found = self.virt_to_cache(va)
            if found is None:
                return 0
            if found is not s:
                slab_warning(self.k, "mm/slab.h:467", f"cache_from_obj: Wrong slab cache. {s.name} but object is from "
                             f"{found.name}", func="kmem_cache_free")
                if self.slub_debug and found.flags & SLAB_STORE_USER:
                    self.tell_owner(found, va)
            s = found
        pfn = self.page_of(va) if s.debug else self.slab_of(s, va)
        return self.slab_free(s, pfn, va, va, 1)

    cdef int slab_free(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1:
        # with slab_free_freelist_hook(), which turns the list of objects round
        cdef uint32_t first = 0
        cdef uint32_t object_, next_ = head
        cdef bint clears = self.init_on_free and s.ctor is None and not s.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON)
        while True:
            object_ = next_
            next_ = self.get_freepointer(s, object_) if object_ != tail else 0
            if clears:
                memset(self.at(object_), 0, s.object_size)
                memset(self.at(object_ + s.inuse), 0, s.size - s.inuse - s.red_left_pad)
            self.set_freepointer(s, object_, first)
            first = object_
            if object_ == tail:
                break
        return self.do_slab_free(s, pfn, first, head, count)

    cdef int do_slab_free(self, SlubCache s, uint32_t pfn, uint32_t head, uint32_t tail, uint32_t count) except -1:
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        if pfn != c.page:
            stat(s, c, FREE_SLOWPATH)
            if s.debug and not self.free_debug_processing(s, pfn, head, tail, count):
                return 0
            return slow_free(self, s, pfn, head, tail, count, False)
        if self.hardened and tail == c.freelist:
            kernel_bug(self.k, "mm/slub.c:305", "set_freepointer")
            return 0
        self.set_freepointer(s, tail, c.freelist)
        c.freelist = head
        c.tid += self.tid_step
        stat(s, c, FREE_FASTPATH)
        return 0

    cdef int move_slab(self, SlubCache s, uint32_t pfn, uint32_t prior, uint32_t inuse) except -1:
        # the end of __slab_free(): the slab was full, or is empty now
        cdef KmemCacheCpu *c = &s.cpus[self.g.cpu]
        if not inuse and s.nr_partial >= s.min_partial:
            if prior:
                stat(s, c, FREE_REMOVE_PARTIAL)
                self.remove_partial(s, pfn)
            else:
                self.remove_full(s, pfn)
            stat(s, c, FREE_SLAB)
            return self.discard_slab(s, pfn)
        if not prior:
            self.remove_full(s, pfn)
            self.add_partial(s, pfn, TO_TAIL)
            stat(s, c, FREE_ADD_PARTIAL)
        return 0

    cdef int free_linked(self, SlubCache s, list objects) except -1:
        # slab_free() of objects of one slab, in the order in which they are linked
        cdef uint32_t va, last = 0
        if len(set(objects)) != len(objects):
            raise SlabError(f"cache {s.name}: an object is freed twice in one go; the kernel would not come back from "
                            "here")
        for va in reversed(objects):
            self.set_freepointer(s, va, last)
            last = va
        pfn = self.page_of(objects[0]) if s.debug else self.slab_of(s, objects[0])
        return self.slab_free(s, pfn, objects[0], objects[len(objects) - 1], len(objects))

    cdef int free_bulk(self, KmemCache cache, list objects) except -1:
        # kmem_cache_free_bulk(): objects of one slab go together, those near each other in the list are looked at
        cdef SlubCache s
        cdef uint32_t va, pfn
        cdef int lookahead
        left = objects.copy()
        if not left:
            slab_warning(self.k, "mm/slub.c:3264", func="kmem_cache_free_bulk")
        while left:
            va = left.pop() or 0
            if not va:
                continue
            pfn = self.page_of(va)
            if cache is None and not self.g.map[pfn].flags & PG_slab:
                self.kfree(va)
                continue
            s = self.cache_of(self.g.map[pfn].mapping) if cache is None else cache
            if not s.debug:
                self.slab_of(s, va)
            taken, skipped, lookahead = [va], [], 3
            while left:
                va = left.pop() or 0
                if va and self.head_page(va) == pfn:
                    taken.append(va)
                elif va:
                    skipped.append(va)
                    lookahead -= 1
                    if not lookahead:
                        break
            left.extend(reversed(skipped))
            self.free_detached(s, pfn, taken)
        return 0

    cdef int free_detached(self, SlubCache s, uint32_t pfn, list objects) except -1:
        cdef uint32_t va, last = 0
        for va in objects:
            self.set_freepointer(s, va, last)
            last = va
        return self.slab_free(s, pfn, objects[len(objects) - 1], objects[0], len(objects))

    # ---------------------------------------------------------------- caches as a whole

    cdef int shrink(self, KmemCache cache) except -1:
        self.flush_all(cache)
        return self.shrink_node(cache)

    cdef int shutdown(self, KmemCache cache) except -1:
        self.flush_all(cache)
        return self.free_partial(cache)

    cdef int release(self, KmemCache cache) except -1:
        # __kmem_cache_release()
        self.kfree(cache.random_seq)
        return self.free(self.kmem_cache_node, (<SlubCache>cache).node_va)

    cdef uint32_t ksize(self, uint32_t va) except? 1:
        cdef uint32_t pfn = self.head_page(va) if va > 16 else NO_PAGE
        cdef SlubCache s
        if pfn == NO_PAGE or not self.g.map[pfn].flags & PG_slab:
            return SlubSlabs.ksize(self, va)
        s = self.cache_of(self.g.map[pfn].mapping)
        if self.slub_debug and s.flags & (SLAB_RED_ZONE | SLAB_POISON):
            return s.object_size
        return s.inuse if s.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_STORE_USER) else s.size

    # ---------------------------------------------------------------- looking at it

    cdef list free_objects(self, SlubCache s, uint32_t first):
        # a list of free objects, as far as it makes sense
        cdef list found = []
        while first and len(found) <= <int>(s.max_oo & 0xFFFF) and self.head_page(first) != NO_PAGE:
            found.append(first)
            first = self.get_freepointer(s, first)
        return found

    def slab_info(self, SlubCache s not None, uint32_t pfn):
        """One slab, as objects.json has it; None for no slab."""
        check_own(self, s)
        if pfn == LIST_END or pfn < self.g.base or pfn >= self.g.end:
            return None
        cdef Page *page = &self.g.map[pfn]
        return {"pfn": pfn, "inuse": inuse_of(page), "objects": objects_of(page), "frozen": page.private_ >> 31,
                "freelist": self.free_objects(s, page.index)}

    def owner_of(self, uint32_t va):
        """In words: the cache, slab and state of the object that holds an address; "" for one that is no object's."""
        cdef uint32_t pfn = self.head_page(va)
        cdef SlubCache s
        cdef Page *page
        cdef uint32_t object_, i
        if pfn == NO_PAGE or not self.g.map[pfn].flags & PG_slab:
            return ""
        page = &self.g.map[pfn]
        s = self.cache_of(page.mapping)
        i = min((va - self.page_va(pfn)) // s.size, objects_of(page) - 1)
        object_ = self.page_va(pfn) + i * s.size + (s.red_left_pad if s.debug else 0)
        vacant = object_ in self.free_objects(s, page.index) or any(
            s.cpus[cpu].page == pfn and object_ in self.free_objects(s, s.cpus[cpu].freelist)
            for cpu in range(self.g.nr_cpus))
        return (f"object {i} of {objects_of(page)} in slab pfn {pfn:#x} of cache {s.name}, "
                f"{'free' if vacant else 'in use'}; free pointer at {object_ + s.offset:#x}")

    def cache_info(self, SlubCache s not None):
        """One cache with its slabs, as objects.json has it, for every CPU that is online."""
        check_own(self, s)
        cdef uint32_t cpu, online = min(<uint32_t>self.k.nr_online_cpus, self.g.nr_cpus)
        node = {"addr": s.node_va, "nr_partial": s.nr_partial,
                "partial": [self.slab_info(s, pfn) for pfn in self.slabs_in(s.partial.first)]}
        if self.slub_debug:
            node["nr_slabs"], node["total_objects"] = s.nr_slabs, s.total_objects
        info = {"addr": s.va, "name": s.name, "size": s.size, "object_size": s.object_size, "offset": s.offset,
                "min_partial": s.min_partial, "flags": s.flags, "align": s.align, "refcount": s.refcount & 0xFFFFFFFF,
                "inuse": s.inuse, "red_left_pad": s.red_left_pad, "oo": s.oo}
        if self.slub_cpu_partial:
            info["cpu_partial"] = s.cpu_partial
        return {**info, "cpu": [self.cpu_info(s, &s.cpus[cpu]) for cpu in range(online)], "node": node}

    cdef dict cpu_info(self, SlubCache s, const KmemCacheCpu *c):
        return {"page": self.slab_info(s, c.page), "freelist": self.free_objects(s, c.freelist), "tid": c.tid,
                "partial": [self.slab_info(s, pfn) for pfn in self.slabs_in(c.partial)]}

    cdef uint32_t count_free(self, SlubCache s):
        # free objects of the node's partial slabs
        return sum([objects_of(&self.g.map[<uint32_t>pfn]) - inuse_of(&self.g.map[<uint32_t>pfn])
                    for pfn in self.slabs_in(s.partial.first)])

    def slabinfo(self, SlubCache s not None):
        """A cache's line of /proc/slabinfo.

        Source: mm/slab_common.c cache_show(), mm/slub.c get_slabinfo()
        """
        check_own(self, s)
        active = s.total_objects - self.count_free(s)
        return (f"{s.name:<17} {active:6} {s.total_objects:6} {s.size:6} {s.oo & 0xFFFF:4} {1 << (s.oo >> 16):4}"
                f" : tunables {0:4} {0:4} {0:4} : slabdata {s.nr_slabs:6} {s.nr_slabs:6} {0:6}")

    def check(self):
        """What is wrong with the slabs and lists: one line a fault; none on a machine nobody misused."""
        cdef SlubCache s
        cdef uint32_t pfn, cpu
        cdef KmemCacheCpu *c
        faults = []
        for s in self.slab_caches:
            partial = self.slabs_in(s.partial.first)
            if len(partial) != s.nr_partial:
                faults.append(f"{s.name}: {len(partial)} partial slabs, counted {s.nr_partial}")
            for pfn in partial:
                faults += self.slab_faults(s, pfn, 0, False)
            for cpu in range(self.g.nr_cpus):
                c = &s.cpus[cpu]
                if c.page != LIST_END:
                    faults += self.slab_faults(s, c.page, len(self.free_objects(s, c.freelist)), True)
                pfn = c.partial
                while pfn != LIST_END:
                    faults += self.slab_faults(s, pfn, 0, True)
                    pfn = self.g.map[pfn].next
        return faults

    cdef list slab_faults(self, SlubCache s, uint32_t pfn, uint32_t lockless, bint frozen):
        # the objects of the lockless list count as in use
        cdef Page *page = &self.g.map[pfn]
        vacant = self.free_objects(s, page.index)
        place = f"{s.name}: slab {pfn:#x}"
        faults = []
        if not page.flags & PG_slab or page.mapping != s.va:
            faults.append(f"{place} is not its slab")
        if inuse_of(page) + len(vacant) != objects_of(page) or len(set(vacant)) != len(vacant):
            faults.append(f"{place}: {inuse_of(page)} in use and {len(vacant)} free of {objects_of(page)}")
        if lockless > inuse_of(page) or page.private_ >> 31 != frozen:
            faults.append(f"{place}: {lockless} objects of a CPU, frozen {page.private_ >> 31}")
        return faults

    def snapshot(self):
        """Every cache with its slabs and lists, in the form of a recording's objects.json."""
        return [self.cache_info(s) for s in reversed(self.slab_caches)]


def struct_sizes(config):
    """The bytes of struct kmem_cache_node, and of struct kmem_cache up to its only node's pointer.

    Source: mm/slab.h struct kmem_cache_node, include/linux/slub_def.h struct kmem_cache
    Differs: as compiled with plain locks. Debugging of locks or kobjects adds to them, and both are rounded up to a
        cache line, so that the sizes of the caches seldom change.
    """
    node = 12 + (4 if config.SMP else 0) + (16 if config.SLUB_DEBUG else 0)
    cache = (92 + (36 if config.SYSFS else 0) + (4 if config.SLUB_CPU_PARTIAL else 0)
             + (4 if config.SLAB_FREELIST_HARDENED else 0) + (4 if config.SLAB_FREELIST_RANDOM else 0))
    return node, cache
