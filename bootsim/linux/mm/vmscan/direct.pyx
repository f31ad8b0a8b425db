"""Requests that find too little and reclaim for themselves (mm/vmscan.c try_to_free_pages())."""

cimport cython
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from copy import deepcopy

from bootsim.linux.mm.compaction.compact cimport compaction_suitable_of
from bootsim.linux.mm.compaction.skip cimport compact_gap
from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport Task
from bootsim.linux.mm.page_alloc.core cimport count_vm_events
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_IO, GFP_ZONEMASK, PAGE_ALLOC_COSTLY_ORDER
from bootsim.linux.mm.page_alloc.zonelist cimport zone_watermark_ok_of
from bootsim.linux.mm.page_alloc.slowpath cimport MAX_RECLAIM_RETRIES
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.swap cimport *
from bootsim.linux.mm.swap_state cimport get_nr_swap_pages
from bootsim.linux.mm.vmscan.control cimport DEF_PRIORITY, SWAP_CLUSTER_MAX
from bootsim.linux.mm.vmscan.kswapd cimport run_kswapd
from bootsim.linux.mm.vmstat cimport ALLOCSTALL, PGSCAN_DIRECT_THROTTLE


@cython.no_gc_clear
cdef class DirectReclaim(ListReclaim):
    """Reclaim of a machine with processes, whose pages are `pages`; its page allocator calls it from now on."""

    def __init__(self, TablePages pages not None):
        self.register(pages, pages.pglist)

    cdef int register(self, pages, Pglist pglist) except -1:
        self.pages, self.pglist, self.g, self.lru = pages, pglist, pglist.g, pglist.lru
        self.hooks.self = <void *>self
        self.hooks.try_to_free_pages = &_try_to_free_pages
        self.hooks.zone_reclaimable_pages = &_zone_reclaimable_pages
        pglist.g.reclaim = &self.hooks
        return 0

    def __dealloc__(self):
        if self.pglist is not None and self.pglist.g.reclaim == &self.hooks:
            self.pglist.g.reclaim = NULL

    def __deepcopy__(self, memo):
        cdef DirectReclaim new = DirectReclaim.__new__(DirectReclaim)
        memo[id(self)] = new
        new.register(deepcopy(self.pages, memo), deepcopy(self.pglist, memo))
        new.reclaimed, new.pgdat_dirty = self.reclaimed, self.pgdat_dirty
        return new

    cdef int64_t zone_reclaimable_pages(self, uint32_t zone) except -1:
        """How many pages of a zone could be reclaimed. Source: mm/vmscan.c zone_reclaimable_pages()"""
        cdef int first = LRU_INACTIVE_ANON if get_nr_swap_pages(self.pages.k) > 0 else LRU_INACTIVE_FILE
        cdef int lru
        cdef uint32_t cpu
        cdef int64_t found = 0, size
        for lru in range(first, LRU_UNEVICTABLE):
            size = self.lru.zone[zone][lru]
            for cpu in range(self.g.nr_cpus):
                size += self.lru.diffs[cpu].zone[zone][lru]
            found += max(size, <int64_t>0)
        return found

    cdef bint allow_direct_reclaim(self) except -1:
        """Whether the reserves are more than half there. Source: mm/vmscan.c allow_direct_reclaim()"""
        cdef int64_t reserve = 0, free_pages = 0
        cdef uint32_t i
        if self.g.kswapd_failures >= MAX_RECLAIM_RETRIES:
            return True
        for i in range(self.g.nr_zones):
            if (self.g.zones[i].managed_pages and i <= self.g.gfp_zone[0]  # ZONE_NORMAL
                    and self.zone_reclaimable_pages(i)):
                reserve += self.g.zones[i].watermark[WMARK_MIN] + self.g.zones[i].watermark_boost
                free_pages += max(self.g.zones[i].vm_stat[NR_FREE_PAGES], <int64_t>0)
        return not reserve or free_pages > reserve // 2

    cdef bint throttle_direct_reclaim(self, uint32_t gfp_mask) except -1:
        """Have a process wait for kswapd when the reserves are low; whether it was killed before it did anything.

        Source: mm/vmscan.c throttle_direct_reclaim()
        """
        cdef Task current = self.pages.k.processes.current
        if current is None or current.fatal_signal_pending or self.allow_direct_reclaim():
            return False
        count_vm_events(self.g, PGSCAN_DIRECT_THROTTLE, 1)
        while not self.allow_direct_reclaim():
            run_kswapd(self.pglist, self, 0, self.g.gfp_zone[0])
        return current.fatal_signal_pending

    cdef bint compaction_ready(self, Zone *zone, ScanControl *sc) except -1:
        """Whether compaction could make the block out of what is free. Source: mm/vmscan.c compaction_ready()"""
        cdef int suitable
        if not self.g.compaction or not sc.gfp_mask & __GFP_IO:
            return False
        suitable = compaction_suitable_of(self.g, zone, sc.order, 0, sc.reclaim_idx)
        if suitable != COMPACT_CONTINUE:
            return suitable == COMPACT_SUCCESS
        return zone_watermark_ok_of(
            self.g, zone, 0, <int64_t>zone.watermark[WMARK_HIGH] + zone.watermark_boost + compact_gap(sc.order),
            sc.reclaim_idx, 0, zone.vm_stat[NR_FREE_PAGES])

    cdef int shrink_zones(self, ScanControl *sc) except -1:
        # Source: mm/vmscan.c shrink_zones(): the node once, unless every zone is ready for compaction
        cdef uint32_t i
        cdef Zone *zone
        for i in range(self.g.zonelist_from[sc.reclaim_idx], self.g.nr_zonelist):
            zone = &self.g.zones[self.g.zonelist[i]]
            if self.g.compaction and sc.order > PAGE_ALLOC_COSTLY_ORDER and self.compaction_ready(zone, sc):
                sc.compaction_ready = True
                continue
            return self.shrink_node(sc)
        return 0

    cdef uint32_t do_try_to_free_pages(self, ScanControl *sc) except? 0xFFFFFFFF:
        """Reclaim at higher and higher priority. Source: mm/vmscan.c do_try_to_free_pages()"""
        while True:
            count_vm_events(self.g, ALLOCSTALL + sc.reclaim_idx, 1)
            while sc.priority >= 0:
                sc.nr_scanned = 0
                self.shrink_zones(sc)
                if sc.nr_reclaimed >= sc.nr_to_reclaim or sc.compaction_ready:
                    break
                if sc.priority < DEF_PRIORITY - 2:
                    sc.may_writepage = True
                sc.priority -= 1
            self.snapshot_refaults()
            if sc.nr_reclaimed or sc.compaction_ready:
                return <uint32_t>max(sc.nr_reclaimed, <int64_t>1)
            if not sc.skipped_deactivate:
                return 0
            sc.priority, sc.force_deactivate, sc.skipped_deactivate = DEF_PRIORITY, True, False

    cdef uint32_t try_to_free_pages(self, uint32_t gfp_mask, uint32_t order) except? 0xFFFFFFFF:
        """Reclaim 32 pages for a request; how many there were. Source: mm/vmscan.c try_to_free_pages()"""
        cdef ScanControl sc
        memset(&sc, 0, sizeof(ScanControl))
        sc.nr_to_reclaim, sc.gfp_mask, sc.order = SWAP_CLUSTER_MAX, gfp_mask, order
        sc.reclaim_idx, sc.priority = self.g.gfp_zone[gfp_mask & GFP_ZONEMASK], DEF_PRIORITY
        sc.may_writepage = sc.may_unmap = sc.may_swap = True
        if self.throttle_direct_reclaim(gfp_mask):
            return 1
        self.g.pf_memalloc = True
        try:
            return self.do_try_to_free_pages(&sc)
        finally:
            self.g.pf_memalloc = False


cdef uint32_t _try_to_free_pages(void *self, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    with gil:
        reclaim = <DirectReclaim>self
        try:
            return reclaim.try_to_free_pages(gfp_mask, order)
        except BaseException as error:
            reclaim.pglist.death = error
            return 0


cdef int64_t _zone_reclaimable_pages(void *self, uint32_t zone) noexcept nogil:
    with gil:
        return (<DirectReclaim>self).zone_reclaimable_pages(zone)
