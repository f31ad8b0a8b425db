"""How much of which LRU list reclaim looks at, and in what order (mm/vmscan.c shrink_node()).

    get_scan_count()      a part of each list, by priority; anonymous against files by what each has cost lately
    shrink_active_list()  active, not executed lately --> inactive
    shrink_inactive_list()  inactive --> shrink_page_list(), 32 pages at a time
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.compaction.compact cimport compaction_suitable_of
from bootsim.linux.mm.compaction.skip cimport compact_gap
from bootsim.linux.mm.mmap.structs cimport VM_EXEC
from bootsim.linux.mm.page_alloc.core cimport count_vm_events, list_add, list_del, page_zone
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_IO, PAGE_ALLOC_COSTLY_ORDER
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.rmap.unmap cimport page_referenced
from bootsim.linux.mm.swap cimport *
from bootsim.linux.mm.swap_state cimport get_nr_swap_pages
from bootsim.linux.mm.vmscan.control cimport (
    DEACTIVATE_ANON, DEACTIVATE_FILE, DEF_PRIORITY, SWAP_CLUSTER_MAX, ReclaimStat)
from bootsim.linux.mm.vmstat cimport *
from bootsim.page cimport PAGE_SHIFT


cdef class ListReclaim(PageReclaim):
    """Reclaims pages of the node's lists."""

    cdef uint32_t isolate_lru_pages(self, uint32_t nr_to_scan, Batch *taken, uint32_t *nr_scanned, ScanControl *sc,
                                    int lru) except? 0xFFFFFFFF:
        """Take pages from the end of a list; those of higher zones go to its start.

        Source: mm/vmscan.c isolate_lru_pages(), __isolate_lru_page()
        """
        cdef Page *map = self.g.map
        cdef uint32_t src = self.lru.list_of(lru)
        cdef uint32_t scan = 0, i, pfn
        cdef uint32_t skipped = self.g.tmp_list
        cdef int zone_taken[MAX_ZONES]
        cdef Zone *zone
        for i in range(MAX_ZONES):
            zone_taken[i] = 0
        map[skipped].next = map[skipped].prev = skipped
        taken.nr = nr_scanned[0] = 0
        while scan < nr_to_scan and map[src].prev != src:
            pfn = map[src].prev
            zone = page_zone(self.g, pfn)
            nr_scanned[0] += 1
            list_del(map, pfn)
            if zone.index > sc.reclaim_idx:
                list_add(map, pfn, skipped)
                count_vm_events(self.g, PGSCAN_SKIP + zone.index, 1)
                continue
            scan += 1
            map[pfn].refcount += 1
            map[pfn].flags &= ~<uint32_t>PG_lru
            taken.pages[taken.nr] = pfn
            taken.nr += 1
            zone_taken[zone.index] += 1
        while map[skipped].prev != skipped:
            pfn = map[skipped].prev
            list_del(map, pfn)
            list_add(map, pfn, src)
        for i in range(self.g.nr_zones):
            if zone_taken[i]:
                self.lru.update_lru_size(lru, &self.g.zones[i], -zone_taken[i])
        return taken.nr

    cdef uint32_t move_pages_to_lru(self, Batch *batch) except? 0xFFFFFFFF:
        """Put pages back; how many. In `batch` are left those that nobody holds any more, in the order of their coming.

        Source: mm/vmscan.c move_pages_to_lru()
        """
        cdef uint32_t i, pfn
        cdef uint32_t nr_moved = 0, nr_free = 0
        cdef Page *page
        for i in range(batch.nr):
            pfn = batch.pages[i]
            page = &self.g.map[pfn]
            if not self.lru.page_evictable(page):
                self.lru.putback_lru_page(pfn)
                continue
            page.flags |= PG_lru
            self.lru.add_page_to_lru_list(pfn, page_lru(page))
            if page.refcount == 1:
                self.lru.del_page_from_lru_list(pfn, page_lru(page))
                page.flags &= ~<uint32_t>(PG_lru | PG_active)
                batch.pages[nr_free] = pfn
                nr_free += 1
                continue
            page.refcount -= 1
            nr_moved += 1
            if page.flags & PG_active:
                self.lru.costs.nonresident_age += 1
        batch.nr = nr_free
        return nr_moved

    cdef uint32_t shrink_inactive_list(self, uint32_t nr_to_scan, ScanControl *sc, int lru) except? 0xFFFFFFFF:
        """Reclaim from the end of an inactive list; how many pages. Source: mm/vmscan.c shrink_inactive_list()"""
        cdef Batch batch
        cdef ReclaimStat stat
        cdef bint file = lru & LRU_FILE
        cdef uint32_t nr_scanned, nr_taken, nr_reclaimed
        self.lru.lru_add_drain()
        nr_taken = self.isolate_lru_pages(nr_to_scan, &batch, &nr_scanned, sc, lru)
        count_vm_events(self.g, PGSCAN_KSWAPD if sc.kswapd else PGSCAN_DIRECT, nr_scanned)
        count_vm_events(self.g, PGSCAN_FILE if file else PGSCAN_ANON, nr_scanned)
        if not nr_taken:
            return 0
        nr_reclaimed = self.shrink_page_list(batch.pages, &batch.nr, sc, &stat, False)
        self.move_pages_to_lru(&batch)
        self.lru.lru_note_cost(file, stat.nr_pageout)
        count_vm_events(self.g, PGSTEAL_KSWAPD if sc.kswapd else PGSTEAL_DIRECT, nr_reclaimed)
        count_vm_events(self.g, PGSTEAL_FILE if file else PGSTEAL_ANON, nr_reclaimed)
        self.lru.release_pages(batch.pages, batch.nr)
        if stat.nr_unqueued_dirty == nr_taken:
            self.wakeup_flusher_threads()
        sc.unqueued_dirty += stat.nr_unqueued_dirty
        if file:
            sc.file_taken += nr_taken
        return nr_reclaimed

    cdef int shrink_active_list(self, uint32_t nr_to_scan, ScanControl *sc, int lru) except -1:
        """Make active pages inactive, but for code that was executed. Source: mm/vmscan.c shrink_active_list()"""
        cdef Batch hold, active, inactive
        cdef uint32_t nr_scanned, vm_flags, i, pfn
        cdef Page *page
        self.lru.lru_add_drain()
        self.isolate_lru_pages(nr_to_scan, &hold, &nr_scanned, sc, lru)
        count_vm_events(self.g, PGREFILL, nr_scanned)
        active.nr = inactive.nr = 0
        for i in range(hold.nr):
            pfn = hold.pages[i]
            page = &self.g.map[pfn]
            if not self.lru.page_evictable(page):
                self.lru.putback_lru_page(pfn)
                continue
            if page_referenced(self.pages, pfn, &vm_flags) and vm_flags & VM_EXEC and page_is_file_lru(page):
                active.pages[active.nr] = pfn
                active.nr += 1
                continue
            page.flags = page.flags & ~<uint32_t>PG_active | PG_workingset
            inactive.pages[inactive.nr] = pfn
            inactive.nr += 1
        self.move_pages_to_lru(&active)
        count_vm_events(self.g, PGDEACTIVATE, self.move_pages_to_lru(&inactive))
        self.lru.release_pages(inactive.pages, inactive.nr)
        self.lru.release_pages(active.pages, active.nr)
        return 0

    cdef uint32_t shrink_list(self, int lru, uint32_t nr_to_scan, ScanControl *sc) except? 0xFFFFFFFF:
        # Source: mm/vmscan.c shrink_list()
        if not lru & LRU_ACTIVE:
            return self.shrink_inactive_list(nr_to_scan, sc, lru)
        if sc.may_deactivate & (DEACTIVATE_FILE if lru & LRU_FILE else DEACTIVATE_ANON):
            self.shrink_active_list(nr_to_scan, sc, lru)
        else:
            sc.skipped_deactivate = True
        return 0

    cdef bint inactive_is_low(self, int lru) noexcept:
        """Whether an inactive list is short beside its active one. Source: mm/vmscan.c inactive_is_low()"""
        cdef int64_t inactive = max(self.lru.node[lru], <int64_t>0)
        cdef int64_t active = max(self.lru.node[lru + LRU_ACTIVE], <int64_t>0)
        cdef int64_t gb = (inactive + active) >> (30 - PAGE_SHIFT)
        return inactive * (<int64_t>sqrt(10 * gb) if gb else 1) < active

    cdef int get_scan_count(self, ScanControl *sc, int64_t *nr) except -1:
        """How many pages of each list to look at. Source: mm/vmscan.c get_scan_count(), for the root group"""
        cdef uint64_t anon_cost, file_cost, total_cost
        cdef int64_t fraction[2]
        cdef int64_t swappiness = self.pages.k.processes.vm_swappiness
        cdef bint only_anon = False, only_file = False
        cdef int lru
        total_cost = <uint64_t>sc.anon_cost + sc.file_cost
        anon_cost, file_cost = total_cost + sc.anon_cost, total_cost + sc.file_cost
        total_cost = anon_cost + file_cost
        fraction[0] = swappiness * (total_cost + 1) // (anon_cost + 1)
        fraction[1] = (200 - swappiness) * (total_cost + 1) // (file_cost + 1)
        if not sc.may_swap or get_nr_swap_pages(self.pages.k) <= 0:
            only_file = True
        elif not sc.priority and swappiness:
            fraction[0] = fraction[1] = -1      # all of both
        elif sc.file_is_tiny:
            only_anon = True
        elif sc.cache_trim_mode:
            only_file = True
        for lru in range(LRU_UNEVICTABLE):
            nr[lru] = self.lru.lru_size(lru, sc.reclaim_idx) >> sc.priority
            if lru & LRU_FILE and only_anon or not lru & LRU_FILE and only_file:
                nr[lru] = 0
            elif not only_file and not only_anon and fraction[0] >= 0:
                nr[lru] = nr[lru] * fraction[lru >> 1] // (fraction[0] + fraction[1])
        return 0

    cdef int shrink_lruvec(self, ScanControl *sc) except -1:
        """Walk the lists, 32 pages of each at a time, until enough is reclaimed. Source: mm/vmscan.c shrink_lruvec()"""
        cdef int64_t nr[NR_LRU_LISTS]
        cdef int64_t targets[NR_LRU_LISTS]
        cdef int64_t nr_reclaimed = 0, nr_anon, nr_file, percentage
        cdef uint32_t nr_to_scan
        cdef bint proportional = not sc.kswapd and sc.priority == DEF_PRIORITY
        cdef int lru, other
        self.get_scan_count(sc, nr)
        for lru in range(LRU_UNEVICTABLE):
            targets[lru] = nr[lru]
        while nr[LRU_INACTIVE_ANON] or nr[LRU_ACTIVE_FILE] or nr[LRU_INACTIVE_FILE]:
            for lru in range(LRU_UNEVICTABLE):
                if nr[lru]:
                    nr_to_scan = <uint32_t>min(nr[lru], <int64_t>SWAP_CLUSTER_MAX)
                    nr[lru] -= nr_to_scan
                    nr_reclaimed += self.shrink_list(lru, nr_to_scan, sc)
            if nr_reclaimed < sc.nr_to_reclaim or proportional:
                continue
            nr_file = nr[LRU_INACTIVE_FILE] + nr[LRU_ACTIVE_FILE]
            nr_anon = nr[LRU_INACTIVE_ANON] + nr[LRU_ACTIVE_ANON]
            if not nr_file or not nr_anon:
                break
            if nr_file > nr_anon:
                lru, other = LRU_INACTIVE_ANON, LRU_INACTIVE_FILE
                percentage = nr_anon * 100 // (targets[LRU_INACTIVE_ANON] + targets[LRU_ACTIVE_ANON] + 1)
            else:
                lru, other = LRU_INACTIVE_FILE, LRU_INACTIVE_ANON
                percentage = nr_file * 100 // (targets[LRU_INACTIVE_FILE] + targets[LRU_ACTIVE_FILE] + 1)
            nr[lru] = nr[lru + LRU_ACTIVE] = 0
            for lru in range(other, other + 2):
                nr_to_scan = <uint32_t>(targets[lru] - nr[lru])     # how many have been looked at
                nr[lru] = targets[lru] * (100 - percentage) // 100
                nr[lru] -= min(nr[lru], <int64_t>nr_to_scan)
        sc.nr_reclaimed += nr_reclaimed
        return self.age_active_anon(sc)

    cdef int age_active_anon(self, ScanControl *sc) except -1:
        """Keep some anonymous pages inactive, where they have anywhere to go. Source: mm/vmscan.c age_active_anon()"""
        cdef object space = self.swapspace()
        if space is not None and space.total_swap_pages and self.inactive_is_low(LRU_INACTIVE_ANON):
            self.shrink_active_list(SWAP_CLUSTER_MAX, sc, LRU_ACTIVE_ANON)
        return 0

    cdef int may_deactivate(self, ScanControl *sc) except -1:
        # What shrink_node() decides before it walks the lists.
        cdef int64_t free = 0, total_high_wmark = 0, files
        cdef uint32_t i
        sc.anon_cost, sc.file_cost = self.lru.costs.anon_cost, self.lru.costs.file_cost
        if sc.force_deactivate:
            sc.may_deactivate = DEACTIVATE_ANON | DEACTIVATE_FILE
        else:
            sc.may_deactivate = 0
            for i in range(2):
                if (self.lru.costs.workingset_activate[i] != self.lru.costs.refaults[i]
                        or self.inactive_is_low(LRU_INACTIVE_FILE if i else LRU_INACTIVE_ANON)):
                    sc.may_deactivate |= DEACTIVATE_FILE if i else DEACTIVATE_ANON
        files = max(self.lru.node[LRU_INACTIVE_FILE], <int64_t>0)
        sc.cache_trim_mode = files >> sc.priority and not sc.may_deactivate & DEACTIVATE_FILE
        files += max(self.lru.node[LRU_ACTIVE_FILE], <int64_t>0)
        for i in range(self.g.nr_zones):
            free += max(self.g.zones[i].vm_stat[NR_FREE_PAGES], <int64_t>0)
            if self.g.zones[i].managed_pages:
                total_high_wmark += self.g.zones[i].watermark[WMARK_HIGH] + self.g.zones[i].watermark_boost
        sc.file_is_tiny = (files + free <= total_high_wmark and not sc.may_deactivate & DEACTIVATE_ANON
                           and max(self.lru.node[LRU_INACTIVE_ANON], <int64_t>0) >> sc.priority)
        return 0

    cdef bint should_continue_reclaim(self, int64_t nr_reclaimed, ScanControl *sc) except -1:
        """Whether compaction needs more free pages than there are. Source: mm/vmscan.c should_continue_reclaim()"""
        cdef int64_t inactive
        cdef uint32_t z
        if (not nr_reclaimed or not self.g.compaction or not sc.gfp_mask & __GFP_IO or not sc.order
                or sc.order <= PAGE_ALLOC_COSTLY_ORDER and sc.priority >= DEF_PRIORITY - 2):
            return False
        for z in range(sc.reclaim_idx + 1):
            if self.g.zones[z].managed_pages and compaction_suitable_of(
                    self.g, &self.g.zones[z], sc.order, 0, sc.reclaim_idx) != COMPACT_SKIPPED:
                return False
        inactive = self.lru.node[LRU_INACTIVE_FILE]
        if get_nr_swap_pages(self.pages.k) > 0:
            inactive += self.lru.node[LRU_INACTIVE_ANON]
        return inactive > compact_gap(sc.order)

    cdef int shrink_node(self, ScanControl *sc) except -1:
        """Reclaim from all lists at a priority.

        Source: mm/vmscan.c shrink_node(), shrink_node_memcgs()
        Differs: caches of objects are not shrunk: nothing here has registered a shrinker.
        """
        cdef int64_t nr_reclaimed
        cdef bint reclaimable = False
        while True:
            sc.unqueued_dirty = sc.file_taken = 0
            nr_reclaimed = sc.nr_reclaimed
            self.may_deactivate(sc)
            self.shrink_lruvec(sc)
            nr_reclaimed = sc.nr_reclaimed - nr_reclaimed
            self.reclaimed += nr_reclaimed
            reclaimable = reclaimable or nr_reclaimed
            if sc.kswapd and sc.unqueued_dirty == sc.file_taken:
                self.pgdat_dirty = True
            if not self.should_continue_reclaim(nr_reclaimed, sc):
                break
        if reclaimable:
            self.g.kswapd_failures = 0
        return 0

    cdef int snapshot_refaults(self) except -1:
        # Source: mm/vmscan.c snapshot_refaults()
        self.lru.costs.refaults[0] = self.lru.costs.workingset_activate[0]
        self.lru.costs.refaults[1] = self.lru.costs.workingset_activate[1]
        return 0
