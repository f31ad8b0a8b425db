"""Which pageblocks compaction is to pass by, as far as a recording tells.

A pageblock in which nothing was taken to be moved is passed by from then on, unless one of its pages was on an LRU list
and could not be taken (a dirty page of a file that cannot be moved): isolate_migratepages_block() then leaves the hint
as it was. No record tells of such pages.

All hints of a zone are looked at again when compaction has been put off often enough, and when kswapd goes to sleep.
How often it was put off is in no record, but that it was not this time is plain; that kswapd is awake is seen from the
zone's threshold. Which pageblocks hold pages of an LRU list, for which hints are given up too, no record tells.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.compaction.skip cimport (
    COMPACT_MAX_DEFER_SHIFT, COMPACT_PRIO_ASYNC, COMPACT_PRIO_SYNC_FULL, __reset_isolation_suitable,
    compaction_defer_reset, compaction_restarting, defer_compaction)
from bootsim.linux.mm.page_alloc cimport (
    COMPACT_COMPLETE, COMPACT_PARTIAL_SKIPPED, COMPACT_SUCCESS, CompactControl, PageBuddy, PageCompound, PG_on_pcp,
    PG_reserved, PG_slab, Zone, get_pageblock_skip, page_zone, set_pageblock_skip)
from bootsim.linux.mm.vmstat cimport normal_threshold


cdef class SkipHints:
    """Of one machine: `untold` hints rest on there being no such page, of which records showed `shown_wrong` false.

    `resets` is how often hints were given up without knowing the LRU lists.
    """

    def __cinit__(self):
        self.guessed, self.looked_again, self.starts_unknown = set(), set(), set()

    cdef int found_nothing(self, uint32_t pfn) except -1:
        # the pageblock that begins at `pfn` has been marked; a page in use that is no slab's may be one of those
        cdef uint32_t i = pfn
        cdef uint32_t end = pfn + (<uint32_t>1 << self.g.pageblock_order)
        while i < end:
            if PageBuddy(&self.g.map[i]):
                i += <uint32_t>1 << self.g.map[i].private_
                continue
            if not (PageCompound(&self.g.map[i]) or self.g.map[i].flags & (PG_on_pcp | PG_reserved | PG_slab)):
                self.guessed.add(pfn >> self.g.pageblock_order)
                self.untold += 1
                break
            i += 1
        return 0

    cdef int found_a_page(self, uint32_t pfn) except -1:
        # the recorded kernel looked through the pageblock of `pfn`: it was not marked, or not any more
        cdef uint32_t block = pfn >> self.g.pageblock_order
        if block in self.guessed:
            self.guessed.discard(block)
            if get_pageblock_skip(self.g, page_zone(self.g, pfn), pfn):
                set_pageblock_skip(self.g, page_zone(self.g, pfn), pfn, False)
                self.shown_wrong += 1
        return 0

    cdef int begins(self, CompactControl *cc, int prio) except -1:
        # compaction_deferred(), which all but the last resort asks, let it pass
        cdef Zone *zone = cc.zone
        if (prio != COMPACT_PRIO_SYNC_FULL and cc.order >= zone.compact_order_failed
                and zone.compact_defer_shift == COMPACT_MAX_DEFER_SHIFT):
            zone.compact_considered = 1 << COMPACT_MAX_DEFER_SHIFT
        if zone.compact_blockskip_flush and compaction_restarting(zone, cc.order):
            self.look_again(zone)
        return 0

    cdef int first_page(self, CompactControl *cc, uint32_t pfn) except -1:
        # Hints were looked at again, and the recorded kernel begins with this page: its pageblock is taken for the
        # first with pages on LRU lists, which __reset_isolation_suitable() remembers
        cdef Zone *zone = cc.zone
        cdef uint32_t block = max(pfn & ~((<uint32_t>1 << self.g.pageblock_order) - 1), zone.start_pfn)
        if zone.index in self.starts_unknown and not cc.whole_zone:
            self.starts_unknown.discard(zone.index)
            zone.compact_init_migrate_pfn = block
            if block < zone.compact_cached_migrate_pfn[0]:
                zone.compact_cached_migrate_pfn[0] = zone.compact_cached_migrate_pfn[1] = block
                self.shown_wrong += 1
        return 0

    cdef int look_again(self, Zone *zone) except -1:
        # __reset_isolation_suitable() is about to give up hints, and may keep some that it should not
        cdef uint32_t pfn = zone.start_pfn
        self.resets += 1
        self.starts_unknown.add(zone.index)
        while pfn < zone.start_pfn + zone.spanned_pages:
            self.guessed.add(pfn >> self.g.pageblock_order)
            pfn += <uint32_t>1 << self.g.pageblock_order
        return 0

    cdef int ends(self, CompactControl *cc, int prio, int result) except -1:
        # try_to_compact_pages(), kcompactd_do_work()
        if cc.order < 0:
            return 0
        if result == COMPACT_SUCCESS:
            compaction_defer_reset(cc.zone, cc.order, False)
        elif prio != COMPACT_PRIO_ASYNC and result in (COMPACT_COMPLETE, COMPACT_PARTIAL_SKIPPED):
            defer_compaction(cc.zone, cc.order)
        return 0

    cdef int answered(self, uint32_t pfn, uint32_t order) except -1:
        # __alloc_pages_direct_compact() has a page
        cdef Zone *zone = page_zone(self.g, pfn)
        zone.compact_blockskip_flush = False
        compaction_defer_reset(zone, order, True)
        return 0

    cdef int kswapd(self, Zone *zone, uint32_t stat_threshold) except -1:
        # kswapd_try_to_sleep() sets thresholds when kswapd wakes up and when it goes to sleep; between the two comes
        # reset_isolation_suitable(), at once if there is nothing else to do
        cdef uint32_t cpu, online = 0
        for cpu in range(self.g.nr_cpus):
            online += zone.pageset[cpu].stat_threshold != 0
        if stat_threshold != normal_threshold(zone.managed_pages, online):  # it wakes up, not goes to sleep
            self.looked_again.discard(zone.index)
        if zone.index not in self.looked_again:
            self.tries_to_sleep(zone)
        return 0

    cdef int tries_to_sleep(self, Zone *zone) except -1:
        # reset_isolation_suitable(), which comes too when kswapd has brought a boosted watermark down
        if zone.compact_blockskip_flush:
            self.look_again(zone)
            self.looked_again.add(zone.index)
            __reset_isolation_suitable(self.g, zone)
        return 0
