"""When no zone has enough: requests that look again, ask for reclaim, and give up (mm/page_alloc.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.compaction.compact cimport __compaction_suitable, try_to_compact_pages
from bootsim.linux.mm.compaction.skip cimport (
    COMPACT_PRIO_ASYNC, COMPACT_PRIO_SYNC_FULL, COMPACT_PRIO_SYNC_LIGHT, compaction_defer_reset)
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.fallback cimport move_freepages_block
from bootsim.linux.mm.page_alloc.free cimport drain_all_pages_of
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.page_alloc.zonelist cimport (
    enough_for_one, get_page_from_freelist, prep_new_page, prep_single_page, take_first, zone_watermark_ok_of)

cdef enum:
    MAX_COMPACT_RETRIES = 16


cdef bint unreserve_highatomic_pageblock(Pgdat *g, uint32_t highest_zoneidx, uint32_t mt, bint force) noexcept nogil:
    cdef uint32_t pageblock_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t i, order, pfn, head
    cdef Zone *zone
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if not force and zone.nr_reserved_highatomic <= pageblock_pages:
            continue
        for order in range(g.max_order):
            head = free_list(zone, order, MIGRATE_HIGHATOMIC)
            pfn = g.map[head].next
            if pfn == head:
                continue
            if get_pfnblock_migratetype(g, zone, pfn) == MIGRATE_HIGHATOMIC:
                zone.nr_reserved_highatomic -= min_u32(pageblock_pages, zone.nr_reserved_highatomic)
            set_pfnblock_migratetype(g, zone, pfn, mt)
            if move_freepages_block(g, zone, pfn, mt, NULL):
                tell(g, UNRESERVED, zone.index, pfn)
                return True
    return False


cdef void wake_all_kswapds(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    # One node, so one kswapd, woken for the first zone of the request.
    cdef uint32_t i = g.zonelist_from[g.gfp_zone[gfp_mask & GFP_ZONEMASK]]
    if i < g.nr_zonelist:
        tell(g, WOKE_KSWAPD, g.zonelist[i], order)


cdef uint32_t gfp_to_alloc_flags(const Pgdat *g, uint32_t gfp_mask) noexcept nogil:
    cdef uint32_t alloc_flags = WMARK_MIN | ALLOC_CPUSET
    alloc_flags |= gfp_mask & (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
    if gfp_mask & __GFP_ATOMIC:
        if not gfp_mask & __GFP_NOMEMALLOC:
            alloc_flags |= ALLOC_HARDER
        alloc_flags &= ~<uint32_t>ALLOC_CPUSET
    return current_alloc_flags(g, gfp_mask, alloc_flags)


cdef bint current_is_victim(Pgdat *g) noexcept nogil:
    return g.oom != NULL and g.oom.current_is_victim(g.oom.self)


cdef uint32_t __gfp_pfmemalloc_flags(Pgdat *g, uint32_t gfp_mask) noexcept nogil:
    # The reserves that a request may use: 0, ALLOC_OOM for who is being killed, or ALLOC_NO_WATERMARKS.
    if gfp_mask & __GFP_NOMEMALLOC:
        return 0
    if gfp_mask & __GFP_MEMALLOC or g.pf_memalloc:
        return ALLOC_NO_WATERMARKS
    return ALLOC_OOM if current_is_victim(g) else 0


cdef int64_t zone_reclaimable_pages(Pgdat *g, const Zone *zone) noexcept nogil:
    return 0 if g.reclaim == NULL else g.reclaim.zone_reclaimable_pages(g.reclaim.self, zone.index)


cdef int64_t zone_free_pages_snapshot(const Pgdat *g, const Zone *zone) noexcept nogil:
    # zone_page_state_snapshot(): with what the processors have not added yet
    cdef uint32_t cpu
    cdef int64_t found = zone.vm_stat[NR_FREE_PAGES]
    for cpu in range(g.nr_cpus):
        found += zone.pageset[cpu].vm_stat_diff[NR_FREE_PAGES]
    return max(found, <int64_t>0)


cdef bint should_reclaim_retry(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags,
                               bint did_some_progress, int *no_progress_loops) noexcept nogil:
    # Whether some zone would have enough if everything that can be reclaimed were. Nothing waits for the disk here.
    cdef uint32_t highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef uint32_t i
    cdef Zone *zone
    if did_some_progress and order <= PAGE_ALLOC_COSTLY_ORDER:
        no_progress_loops[0] = 0
    else:
        no_progress_loops[0] += 1
    if no_progress_loops[0] > MAX_RECLAIM_RETRIES:
        return unreserve_highatomic_pageblock(g, highest_zoneidx, gfp_migratetype(g, gfp_mask), True)
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if zone_watermark_ok_of(
                g, zone, order, <int64_t>zone.watermark[WMARK_MIN] + zone.watermark_boost, highest_zoneidx, alloc_flags,
                zone_reclaimable_pages(g, zone) + zone_free_pages_snapshot(g, zone)):
            return True
    return False


cdef bint compaction_zonelist_suitable(Pgdat *g, uint32_t gfp_mask, uint32_t order,
                                       uint32_t alloc_flags) noexcept nogil:
    cdef uint32_t highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef uint32_t i
    cdef Zone *zone
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if __compaction_suitable(
                g, zone, order, alloc_flags, highest_zoneidx,
                zone_reclaimable_pages(g, zone) // order + zone_free_pages_snapshot(g, zone)) != COMPACT_SKIPPED:
            return True
    return False


cdef bint should_compact_retry(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags, int result,
                               int *compact_priority, int *compaction_retries) noexcept nogil:
    cdef bint costly_order = order > PAGE_ALLOC_COSTLY_ORDER
    if not order:
        return False
    if result == COMPACT_SUCCESS:
        compaction_retries[0] += 1
    if result == COMPACT_SKIPPED:
        return compaction_zonelist_suitable(g, gfp_mask, order, alloc_flags)
    if (result not in (COMPACT_COMPLETE, COMPACT_DEFERRED, COMPACT_CONTENDED, COMPACT_PARTIAL_SKIPPED)
            and compaction_retries[0] <= MAX_COMPACT_RETRIES // (4 if costly_order else 1)):
        return True
    if compact_priority[0] > (COMPACT_PRIO_SYNC_LIGHT if costly_order else COMPACT_PRIO_SYNC_FULL):
        compact_priority[0] -= 1
        compaction_retries[0] = 0
        return True
    return False


cdef uint32_t __alloc_pages_direct_reclaim(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags,
                                           bint *did_some_progress) noexcept nogil:
    cdef uint32_t pfn, progress = 0
    if g.reclaim != NULL:
        progress = g.reclaim.try_to_free_pages(g.reclaim.self, gfp_mask, order)
    else:
        count_vm_events(g, ALLOCSTALL + g.gfp_zone[gfp_mask & GFP_ZONEMASK], 1)
    tell(g, DIRECT_RECLAIM, order, progress)
    did_some_progress[0] = progress != 0
    if not progress:
        return NO_PAGE
    pfn = get_page_from_freelist(g, gfp_mask, order, alloc_flags)
    if pfn == NO_PAGE:
        unreserve_highatomic_pageblock(g, g.gfp_zone[gfp_mask & GFP_ZONEMASK], gfp_migratetype(g, gfp_mask), False)
        drain_all_pages_of(g, -1)
        pfn = get_page_from_freelist(g, gfp_mask, order, alloc_flags)
    return pfn


cdef uint32_t __alloc_pages_may_oom(Pgdat *g, uint32_t gfp_mask, uint32_t order, bint *did_some_progress,
                                    bint *at_an_end) noexcept nogil:
    # Differs: where the kernel would panic or try on for ever, it is `at_an_end`, and the request fails; one that must
    # not fail is still given what the kernel gives it when somebody was killed.
    cdef uint32_t pfn = get_page_from_freelist(g, (gfp_mask | __GFP_HARDWALL) & ~<uint32_t>__GFP_DIRECT_RECLAIM, order,
                                               WMARK_HIGH | ALLOC_CPUSET)
    did_some_progress[0] = False
    if (pfn != NO_PAGE or order > PAGE_ALLOC_COSTLY_ORDER or gfp_mask & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)
            or g.gfp_zone[gfp_mask & GFP_ZONEMASK] < g.gfp_zone[0]):
        return pfn
    if g.oom == NULL:
        tell_nobody_killed(g, gfp_mask, order)
    else:
        did_some_progress[0] = g.oom.out_of_memory(g.oom.self, gfp_mask, order)
    at_an_end[0] = not did_some_progress[0]
    if gfp_mask & __GFP_NOFAIL:
        pfn = get_page_from_freelist(g, gfp_mask, order, ALLOC_NO_WATERMARKS | ALLOC_CPUSET)
        if pfn != NO_PAGE:
            tell(g, TOOK_RESERVES, page_zone(g, pfn).index, 0)
    return pfn


cdef uint32_t nofail(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    # The end of __alloc_pages_slowpath() for __GFP_NOFAIL; then it would begin again, and here nothing would change.
    cdef uint32_t pfn
    if not gfp_mask & __GFP_DIRECT_RECLAIM:
        tell(g, NOFAIL_CANNOT_SLEEP, order, 0)
        return NO_PAGE
    if order > PAGE_ALLOC_COSTLY_ORDER:
        tell(g, NOFAIL_COSTLY, order, 0)
    pfn = get_page_from_freelist(g, gfp_mask, order, ALLOC_HARDER | ALLOC_CPUSET)
    if pfn == NO_PAGE:
        tell(g, NOFAIL_WAITS, order, 0)
    else:
        tell(g, TOOK_RESERVES, page_zone(g, pfn).index, 0)
    return pfn


cdef uint32_t __alloc_pages_direct_compact(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags, int prio,
                                           int *result) noexcept nogil:
    cdef uint32_t pfn = NO_PAGE
    cdef Zone *zone
    result[0] = COMPACT_SKIPPED
    if not order or not g.compaction or g.owners == NULL or not g.owners.frees:
        return NO_PAGE  # nothing may move, or a recording tells when
    result[0] = try_to_compact_pages(g, gfp_mask, order, alloc_flags, prio, &pfn)
    tell(g, DIRECT_COMPACT, order, result[0])
    count_vm_events(g, COMPACTSTALL, 1)
    if pfn != NO_PAGE:
        prep_new_page(g, pfn, order, gfp_mask, alloc_flags)
    else:
        pfn = get_page_from_freelist(g, gfp_mask, order, alloc_flags)
    if pfn != NO_PAGE:
        zone = page_zone(g, pfn)
        zone.compact_blockskip_flush = False
        compaction_defer_reset(zone, order, True)
    count_vm_events(g, COMPACTFAIL if pfn == NO_PAGE else COMPACTSUCCESS, 1)
    return pfn


cdef uint32_t __alloc_pages_slowpath(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    cdef uint32_t alloc_flags, pfn
    cdef int no_progress_loops = 0
    cdef int compaction_retries = 0
    cdef int compact_priority = COMPACT_PRIO_SYNC_LIGHT
    cdef int compact_result
    cdef uint32_t reserve_flags
    cdef bint did_some_progress, at_an_end = False
    cdef bint costly_order = order > PAGE_ALLOC_COSTLY_ORDER
    cdef bint can_compact = g.compaction and gfp_mask & __GFP_IO
    if gfp_mask & __GFP_ATOMIC and gfp_mask & __GFP_DIRECT_RECLAIM:
        tell(g, ATOMIC_AND_SLEEPS, 0, 0)
        gfp_mask &= ~<uint32_t>__GFP_ATOMIC
    alloc_flags = gfp_to_alloc_flags(g, gfp_mask)
    if alloc_flags & ALLOC_KSWAPD:
        wake_all_kswapds(g, gfp_mask, order)
    pfn = get_page_from_freelist(g, gfp_mask, order, alloc_flags)
    if pfn != NO_PAGE:
        return pfn
    if (gfp_mask & __GFP_DIRECT_RECLAIM and can_compact and not __gfp_pfmemalloc_flags(g, gfp_mask)
            and (costly_order or order > 0 and gfp_migratetype(g, gfp_mask) != MIGRATE_MOVABLE)):
        pfn = __alloc_pages_direct_compact(g, gfp_mask, order, alloc_flags, COMPACT_PRIO_ASYNC, &compact_result)
        if pfn != NO_PAGE:
            return pfn
        if costly_order and gfp_mask & __GFP_NORETRY:
            if compact_result == COMPACT_SKIPPED or compact_result == COMPACT_DEFERRED:
                return nofail(g, gfp_mask, order) if gfp_mask & __GFP_NOFAIL else NO_PAGE
            compact_priority = COMPACT_PRIO_ASYNC
    while True:
        reserve_flags = __gfp_pfmemalloc_flags(g, gfp_mask)
        if reserve_flags:
            alloc_flags = current_alloc_flags(g, gfp_mask, reserve_flags)
        pfn = get_page_from_freelist(g, gfp_mask, order, alloc_flags)
        if pfn != NO_PAGE:
            return pfn
        if not gfp_mask & __GFP_DIRECT_RECLAIM or g.pf_memalloc:
            break
        pfn = __alloc_pages_direct_reclaim(g, gfp_mask, order, alloc_flags, &did_some_progress)
        if pfn != NO_PAGE:
            return pfn
        pfn = __alloc_pages_direct_compact(g, gfp_mask, order, alloc_flags, compact_priority, &compact_result)
        if pfn != NO_PAGE:
            return pfn
        if gfp_mask & __GFP_NORETRY or costly_order and not (gfp_mask & __GFP_RETRY_MAYFAIL and can_compact):
            break
        if should_reclaim_retry(g, gfp_mask, order, alloc_flags, did_some_progress, &no_progress_loops):
            continue
        if did_some_progress and can_compact and should_compact_retry(
                g, gfp_mask, order, alloc_flags, compact_result, &compact_priority, &compaction_retries):
            continue
        pfn = __alloc_pages_may_oom(g, gfp_mask, order, &did_some_progress, &at_an_end)
        if pfn != NO_PAGE or at_an_end:
            return pfn
        if not did_some_progress or (current_is_victim(g) and (
                alloc_flags & ALLOC_OOM or gfp_mask & __GFP_NOMEMALLOC)):
            break
        no_progress_loops = 0
    return nofail(g, gfp_mask, order) if gfp_mask & __GFP_NOFAIL else NO_PAGE


cdef inline uint32_t page_at_hand(Pgdat *g, uint32_t gfp_mask) noexcept nogil:
    # Most requests are for one page, which this CPU has on its list for the first zone, and that has plenty: the same
    # as in get_page_from_freelist(), in one go. NO_PAGE when it is not so.
    cdef uint32_t highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef uint32_t mt = gfp_migratetype(g, gfp_mask)
    cdef uint32_t i = g.zonelist_from[highest_zoneidx]
    cdef uint32_t pfn
    cdef PerCpuPages *pcp
    cdef Zone *zone
    if i == g.nr_zonelist or g.checks_pcp:
        return NO_PAGE
    zone = &g.zones[g.zonelist[i]]
    pcp = &zone.pageset[g.cpu]
    if list_empty(g.map, pcp.lists + mt) or zone.boosted_watermark:
        return NO_PAGE
    if not enough_for_one(g, zone, highest_zoneidx, WMARK_LOW | (ALLOC_CMA if mt == MIGRATE_MOVABLE else 0)):
        return NO_PAGE
    pfn = take_first(g, pcp, pcp.lists + mt)
    count_vm_events(g, PGALLOC + zone.index, 1)
    prep_single_page(&g.map[pfn], 0)
    return pfn


cdef uint32_t alloc_pages_further(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    cdef uint32_t pfn
    if order >= g.max_order or g.nr_zonelist == 0:
        return NO_PAGE
    pfn = get_page_from_freelist(g, gfp_mask, order, current_alloc_flags(
        g, gfp_mask, WMARK_LOW | (gfp_mask & __GFP_KSWAPD_RECLAIM)))
    return pfn if pfn != NO_PAGE else __alloc_pages_slowpath(g, gfp_mask, order)


cdef uint32_t alloc_pages_nodemask(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    # __alloc_pages_nodemask(); NO_PAGE when there is none
    cdef uint32_t pfn
    if gfp_mask & GFP_MOVABLE_MASK == GFP_MOVABLE_MASK:
        return NO_PAGE
    gfp_mask &= g.gfp_allowed_mask
    if not order:
        pfn = page_at_hand(g, gfp_mask)
        if pfn != NO_PAGE:
            return pfn
    return alloc_pages_further(g, gfp_mask, order)
