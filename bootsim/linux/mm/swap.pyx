"""LRU lists: pages of processes and files by how lately they were used, and vectors that pages wait in (mm/swap.c).

    first use --> lru_add vector --> inactive list --> active list
                                        |  ^              |
                                     reclaim \\------- aged there

A page in a vector has one reference more. Vectors are a cpu's own, and are emptied when they are full, or by those who
want to see every page on its list.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.linux.mm.page_alloc.core cimport (
    count_vm_events, in_free_block, list_add, list_add_tail, list_del, page_zone)
from bootsim.linux.mm.page_alloc.events cimport tell
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.vmstat cimport *

LRU_NAMES = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")


cdef class LruVec:
    """struct lruvec of the node, and every cpu's vectors. A copy belongs to the copied node: see `copy_for`."""

    def __dealloc__(self):
        free(self.pagevecs)
        free(self.diffs)

    cdef int allocate(self) except -1:
        self.pagevecs = <Pagevec *>calloc(self.g.nr_cpus * NR_PAGEVECS, sizeof(Pagevec))
        self.diffs = <LruCounts *>calloc(self.g.nr_cpus, sizeof(LruCounts))
        if self.pagevecs == NULL or self.diffs == NULL:
            raise MemoryError
        return 0

    def copy_for(self, Pglist pgdat not None):
        """The LRU lists of a copied machine, whose node is `pgdat`; the lists themselves are in its struct pages."""
        cdef LruVec lru = lruvec_of(pgdat.g)
        memcpy(lru.pagevecs, self.pagevecs, lru.g.nr_cpus * NR_PAGEVECS * sizeof(Pagevec))
        memcpy(lru.diffs, self.diffs, lru.g.nr_cpus * sizeof(LruCounts))
        memcpy(lru.node, self.node, sizeof(lru.node))
        memcpy(lru.zone, self.zone, sizeof(lru.zone))
        lru.nr_mlock, lru.costs = self.nr_mlock, self.costs
        return lru

    def sizes(self):
        """How many pages each list has, by name: what /proc/meminfo sums up."""
        cdef int lru
        cdef uint32_t cpu
        found = {}
        for lru in range(NR_LRU_LISTS):
            pages = self.node[lru]
            for cpu in range(self.g.nr_cpus):
                pages += self.diffs[cpu].node[lru]
            found[LRU_NAMES[lru]] = pages
        return found

    def evictable(self):
        """How many pages reclaim would look at."""
        return sum(self.sizes().values()) - self.sizes()["unevictable"]

    def pages(self, str name not None):
        """The frames of a list, from the one that came last to the one that goes first."""
        cdef uint32_t head = self.list_of(LRU_NAMES.index(name))
        cdef uint32_t pfn = self.g.map[head].next
        found = []
        while pfn != head:
            found.append(pfn)
            pfn = self.g.map[pfn].next
        return found

    def waits(self, uint32_t pfn):
        """Whether a vector has a page that is to come onto a list."""
        cdef uint32_t cpu, i
        cdef Pagevec *vector
        for cpu in range(self.g.nr_cpus):
            vector = &self.pagevecs[cpu * NR_PAGEVECS + LRU_ADD]
            for i in range(vector.nr):
                if vector.pages[i] == pfn:
                    return True
        return False

    # ---------------------------------------------------------------- lists

    cdef uint32_t list_of(self, int lru) noexcept:
        return self.g.lru_lists + lru

    cdef int64_t lru_size(self, int lru, uint32_t zone_idx) noexcept:
        """How many pages of a list lie in the zones up to one. Source: mm/vmscan.c lruvec_lru_size()"""
        cdef uint32_t i
        cdef int64_t size = 0
        for i in range(min(zone_idx + 1, self.g.nr_zones)):
            if self.g.zones[i].managed_pages and self.zone[i][lru] > 0:
                size += self.zone[i][lru]
        return size

    cdef void update_lru_size(self, int lru, Zone *zone, int delta) noexcept:
        # Small changes gather with the cpu until they pass the zone's threshold, for the node the highest of all zones.
        # Source: include/linux/mm_inline.h update_lru_size(), mm/vmstat.c __mod_node_page_state()
        cdef LruCounts *diff = &self.diffs[self.g.cpu]
        cdef int32_t threshold = 0
        cdef int32_t x
        cdef uint32_t i
        for i in range(self.g.nr_zones):
            if self.g.zones[i].managed_pages:
                threshold = max(threshold, self.g.zones[i].pageset[self.g.cpu].stat_threshold)
        x = diff.node[lru] + delta
        if x > threshold or -x > threshold:
            self.node[lru] += x
            x = 0
        diff.node[lru] = x
        x = diff.zone[zone.index][lru] + delta
        threshold = zone.pageset[self.g.cpu].stat_threshold
        if x > threshold or -x > threshold:
            self.zone[zone.index][lru] += x
            x = 0
        diff.zone[zone.index][lru] = x

    cdef void add_page_to_lru_list(self, uint32_t pfn, int lru) noexcept:
        self.update_lru_size(lru, page_zone(self.g, pfn), 1)
        list_add(self.g.map, pfn, self.list_of(lru))

    cdef void del_page_from_lru_list(self, uint32_t pfn, int lru) noexcept:
        list_del(self.g.map, pfn)
        self.update_lru_size(lru, page_zone(self.g, pfn), -1)

    cdef bint page_evictable(self, const Page *page) noexcept:
        # Source: mm/internal.h page_evictable(); no mapping here is unevictable as a whole
        return not page.flags & PG_mlocked

    # ---------------------------------------------------------------- references

    cdef void put_page(self, uint32_t pfn):
        """Drop a reference; with the last one the page leaves its list and is free.

        Source: mm/swap.c __put_single_page(), __page_cache_release()
        """
        cdef Page *page = &self.g.map[pfn]
        if page.refcount == 1:
            leave(self, pfn)
        free_pages_by_refcount(self.g, pfn, 0)

    cdef void release_pages(self, uint32_t *pages, uint32_t nr):
        # Source: mm/swap.c release_pages(): what is free now goes in the order opposite to that in which it came
        cdef uint32_t i
        cdef uint32_t nr_free = 0
        for i in range(nr):
            if self.g.map[pages[i]].refcount == 1:
                leave(self, pages[i])
                pages[nr_free] = pages[i]
                nr_free += 1
            else:
                self.g.map[pages[i]].refcount -= 1
        while nr_free:
            nr_free -= 1
            free_pages_by_refcount(self.g, pages[nr_free], 0)

    # ---------------------------------------------------------------- vectors

    cdef void move_vector(self, Pagevec *vector, int kind):
        # Source: mm/swap.c pagevec_lru_move_fn()
        cdef uint32_t i
        for i in range(vector.nr):
            MOVES[kind](self, vector.pages[i])
        i, vector.nr = vector.nr, 0
        self.release_pages(vector.pages, i)

    cdef void add_to_vector(self, uint32_t pfn, int kind):
        cdef Pagevec *vector = &self.pagevecs[self.g.cpu * NR_PAGEVECS + kind]
        self.g.map[pfn].refcount += 1
        vector.pages[vector.nr] = pfn
        vector.nr += 1
        if vector.nr == PAGEVEC_SIZE:
            self.move_vector(vector, kind)

    cdef void lru_cache_add(self, uint32_t pfn):
        """A page waits for its place on a list. Source: mm/swap.c lru_cache_add()"""
        self.add_to_vector(pfn, LRU_ADD)

    cdef void lru_cache_add_now(self, uint32_t pfn) noexcept:
        # what has been on its list for long
        add_to_list(self, pfn)

    cdef void mark_page_accessed(self, uint32_t pfn):
        """A page was used: unreferenced, then referenced, then active. Source: mm/swap.c mark_page_accessed()"""
        cdef Page *page = &self.g.map[pfn]
        cdef Pagevec *vector = &self.pagevecs[self.g.cpu * NR_PAGEVECS + LRU_ADD]
        cdef uint32_t i
        if not page.flags & PG_referenced:
            page.flags |= PG_referenced
        elif not page.flags & (PG_unevictable | PG_active):
            if page.flags & PG_lru:
                self.add_to_vector(pfn, ACTIVATE_PAGE)
            else:
                for i in range(vector.nr):
                    if vector.pages[i] == pfn:
                        page.flags |= PG_active
            page.flags &= ~<uint32_t>PG_referenced
            self.costs.nonresident_age += 1  # workingset_activation()

    cdef void deactivate_page(self, uint32_t pfn):
        """Source: mm/swap.c deactivate_page()"""
        if self.g.map[pfn].flags & (PG_lru | PG_active | PG_unevictable) == PG_lru | PG_active:
            self.add_to_vector(pfn, LRU_DEACTIVATE)

    cdef void mark_page_lazyfree(self, uint32_t pfn):
        """Source: mm/swap.c mark_page_lazyfree()"""
        if lazy(&self.g.map[pfn]):
            self.add_to_vector(pfn, LRU_LAZYFREE)

    cdef void rotate_reclaimable_page(self, uint32_t pfn):
        """What reclaim was waiting for has been written back: it goes first now.

        Source: mm/swap.c rotate_reclaimable_page(), mm/filemap.c end_page_writeback()
        """
        cdef Page *page = &self.g.map[pfn]
        page.flags &= ~<uint32_t>PG_reclaim
        if page.flags & (PG_dirty | PG_unevictable | PG_lru) == PG_lru:
            self.add_to_vector(pfn, LRU_ROTATE)

    cdef void lru_note_cost(self, bint file, uint32_t nr_pages) noexcept:
        """Reclaim of one kind of pages has cost input or output. Source: mm/swap.c lru_note_cost()"""
        cdef int64_t lrusize = (self.node[LRU_INACTIVE_ANON] + self.node[LRU_ACTIVE_ANON]
                                + self.node[LRU_INACTIVE_FILE] + self.node[LRU_ACTIVE_FILE])
        if file:
            self.costs.file_cost += nr_pages
        else:
            self.costs.anon_cost += nr_pages
        if self.costs.file_cost + self.costs.anon_cost > lrusize // 4:
            self.costs.file_cost //= 2
            self.costs.anon_cost //= 2

    cdef void lru_add_drain_cpu(self, uint32_t cpu):
        """Source: mm/swap.c lru_add_drain_cpu()"""
        cdef int kind
        cdef Pagevec *vector
        for kind in range(NR_PAGEVECS):
            vector = &self.pagevecs[cpu * NR_PAGEVECS + kind]
            if vector.nr:
                self.move_vector(vector, kind)

    cdef void lru_add_drain(self):
        self.lru_add_drain_cpu(self.g.cpu)

    cdef void lru_add_drain_all(self):
        # Source: mm/swap.c lru_add_drain_all(): each cpu empties its own
        cdef uint32_t cpu
        cdef uint32_t here = self.g.cpu
        for cpu in range(self.g.nr_cpus):
            self.g.cpu = cpu
            self.lru_add_drain_cpu(cpu)
        self.g.cpu = here

    # ---------------------------------------------------------------- taken off, put back, locked

    cdef bint isolate_lru_page(self, uint32_t pfn) noexcept:
        """Take a page off its list, with a reference; whether it was on one. Source: mm/vmscan.c isolate_lru_page()"""
        cdef Page *page = &self.g.map[pfn]
        if not page.flags & PG_lru:
            return False
        page.refcount += 1
        page.flags &= ~<uint32_t>PG_lru
        self.del_page_from_lru_list(pfn, page_lru(page))
        return True

    cdef void putback_lru_page(self, uint32_t pfn):
        """Source: mm/vmscan.c putback_lru_page()"""
        self.lru_cache_add(pfn)
        self.put_page(pfn)

    cdef void mlock_page(self, uint32_t pfn):
        """A page of a locked mapping goes to the unevictable list. Source: mm/mlock.c mlock_vma_page()"""
        cdef Page *page = &self.g.map[pfn]
        if page.flags & PG_mlocked:
            return
        page.flags |= PG_mlocked
        self.nr_mlock += 1
        count_vm_events(self.g, UNEVICTABLE_PGMLOCKED, 1)
        if self.isolate_lru_page(pfn):
            self.putback_lru_page(pfn)

    cdef void clear_page_mlock(self, uint32_t pfn):
        """The last mapping of a locked page is gone. Source: mm/mlock.c clear_page_mlock()"""
        cdef Page *page = &self.g.map[pfn]
        if not page.flags & PG_mlocked:
            return
        page.flags &= ~<uint32_t>PG_mlocked
        self.nr_mlock -= 1
        count_vm_events(self.g, UNEVICTABLE_PGCLEARED, 1)
        if self.isolate_lru_page(pfn):
            self.putback_lru_page(pfn)
        elif page.flags & PG_unevictable:
            count_vm_events(self.g, UNEVICTABLE_PGSTRANDED, 1)


cdef LruVec lruvec_of(Pgdat *g):
    """The LRU lists of a node without any pages on them."""
    cdef LruVec lru = LruVec()
    lru.g = g
    lru.allocate()
    return lru


# -------------------------------------------------------------------- what happens to the pages of a vector

cdef int page_lru(const Page *page) noexcept:
    # Source: include/linux/mm_inline.h page_lru()
    if page.flags & PG_unevictable:
        return LRU_UNEVICTABLE
    return (LRU_FILE if page_is_file_lru(page) else 0) + ((page.flags & PG_active) != 0)


cdef void leave(LruVec self, uint32_t pfn) noexcept:
    # The last reference goes: so does what a free page has not.
    cdef Page *page = &self.g.map[pfn]
    if page.flags & PG_lru:
        self.del_page_from_lru_list(pfn, page_lru(page))
    if page.flags & PG_mlocked:  # a page that was never mapped, or is freed with its mapping
        self.nr_mlock -= 1
    page.mapping = page.index = page.private_ = 0
    page.flags &= ~<uint32_t>(PG_lru | PG_uptodate | PG_dirty | PG_referenced | PG_reclaim | PG_swapbacked | PG_active
                              | PG_unevictable | PG_mlocked | PG_workingset | PG_swapcache)


cdef void add_to_list(LruVec self, uint32_t pfn) noexcept:
    # Source: mm/swap.c __pagevec_lru_add_fn()
    # A page that somebody freed meanwhile, although it was not his, stays where it is: the kernel breaks its lists.
    cdef Page *page = &self.g.map[pfn]
    cdef bint was_unevictable = (page.flags & PG_unevictable) != 0
    if page.flags & (PG_lru | PG_slab) or page.refcount < 2 and (
            page.refcount < 1 or page.flags & PG_on_pcp or in_free_block(self.g, pfn)):
        tell(self.g, LOST_IN_VECTOR, pfn, 0)
        return
    page.flags &= ~<uint32_t>PG_unevictable
    page.flags |= PG_lru
    if self.page_evictable(page):
        if was_unevictable:
            count_vm_events(self.g, UNEVICTABLE_PGRESCUED, 1)
    else:
        page.flags &= ~<uint32_t>PG_active
        page.flags |= PG_unevictable
        if not was_unevictable:
            count_vm_events(self.g, UNEVICTABLE_PGCULLED, 1)
    self.add_page_to_lru_list(pfn, page_lru(page))


cdef void rotate(LruVec self, uint32_t pfn) noexcept:
    # Source: mm/swap.c pagevec_move_tail_fn()
    cdef Page *page = &self.g.map[pfn]
    cdef int lru
    if page.flags & PG_lru and not page.flags & PG_unevictable:
        self.del_page_from_lru_list(pfn, page_lru(page))
        page.flags &= ~<uint32_t>PG_active
        lru = page_lru(page)
        self.update_lru_size(lru, page_zone(self.g, pfn), 1)
        list_add_tail(self.g.map, pfn, self.list_of(lru))
        count_vm_events(self.g, PGROTATED, 1)


cdef void deactivate(LruVec self, uint32_t pfn) noexcept:
    # Source: mm/swap.c lru_deactivate_fn()
    cdef Page *page = &self.g.map[pfn]
    if page.flags & (PG_lru | PG_active | PG_unevictable) == PG_lru | PG_active:
        self.del_page_from_lru_list(pfn, page_lru(page))
        page.flags &= ~<uint32_t>(PG_active | PG_referenced)
        self.add_page_to_lru_list(pfn, page_lru(page))
        count_vm_events(self.g, PGDEACTIVATE, 1)


cdef bint lazy(const Page *page) noexcept:
    return (page.flags & (PG_lru | PG_swapbacked | PG_swapcache | PG_unevictable) == PG_lru | PG_swapbacked
            and page_anon(page))


cdef void lazyfree(LruVec self, uint32_t pfn) noexcept:
    # Source: mm/swap.c lru_lazyfree_fn()
    cdef Page *page = &self.g.map[pfn]
    if lazy(page):
        self.del_page_from_lru_list(pfn, page_lru(page))
        page.flags &= ~<uint32_t>(PG_active | PG_referenced | PG_swapbacked)
        self.add_page_to_lru_list(pfn, LRU_INACTIVE_FILE)
        count_vm_events(self.g, PGLAZYFREE, 1)


cdef void activate(LruVec self, uint32_t pfn) noexcept:
    # Source: mm/swap.c __activate_page()
    cdef Page *page = &self.g.map[pfn]
    if page.flags & (PG_lru | PG_active | PG_unevictable) == PG_lru:
        self.del_page_from_lru_list(pfn, page_lru(page))
        page.flags |= PG_active
        self.add_page_to_lru_list(pfn, page_lru(page))
        count_vm_events(self.g, PGACTIVATE, 1)


ctypedef void (*Move)(LruVec self, uint32_t pfn) noexcept

cdef Move[NR_PAGEVECS] MOVES
MOVES[:] = [add_to_list, rotate, deactivate, lazyfree, activate]
