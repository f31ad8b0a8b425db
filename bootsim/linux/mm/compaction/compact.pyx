"""The migrate scanner, and a zone's compaction from beginning to end (mm/compaction.c, mm/migrate.c).

Two scanners walk a zone towards each other: one takes movable pages from its start, the other free pages from its end.
Whether a page may move, and who is told when it has, is the business of the machine's PageOwners alone.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from bootsim.errno cimport EAGAIN, ENOMEM
from bootsim.linux.mm.compaction.free_scanner cimport compaction_alloc, release_freepages
from bootsim.linux.mm.compaction.skip cimport *
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport drain_pages_zone_of, free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.fallback cimport find_suitable_fallback
from bootsim.linux.mm.page_alloc.zonelist cimport zone_watermark_ok_of
from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    SYSCTL_EXTFRAG_THRESHOLD = 500
    SYSCTL_COMPACTION_PROACTIVENESS = 20
    COMPACTION_HPAGE_ORDER = 9      # PMD_SHIFT - PAGE_SHIFT, with two levels of page tables
    MIGRATE_PASSES = 10

cdef int64_t NOWHERE = <int64_t>1 << 40     # ULONG_MAX of fast_start_pfn


# ------------------------------------------------------------------ the migrate scanner

cdef void putback_movable_pages(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef uint32_t pfn = g.map[cc.migratepages].next
    cdef uint32_t next_
    list_init(g.map, cc.migratepages)
    while pfn != cc.migratepages:
        next_ = g.map[pfn].next
        g.owners.putback(g.owners.self, pfn)
        pfn = next_
    cc.nr_migratepages = 0


cdef inline bint take_movable(Pgdat *g, CompactControl *cc, uint32_t pfn) noexcept nogil:
    if not g.owners.isolate(g.owners.self, pfn, cc.mode):
        return False
    list_add(g.map, pfn, cc.migratepages)
    cc.nr_migratepages += 1
    return True


cdef int64_t isolate_migratepages_block(Pgdat *g, CompactControl *cc, int64_t low_pfn, int64_t end_pfn) noexcept nogil:
    # Movable pages of [low_pfn, end_pfn), which lies in one pageblock; the first page that was not looked at.
    cdef uint32_t nr_isolated = 0
    cdef int64_t nr_scanned = 0
    cdef int64_t valid_pfn = -1, next_skip_pfn = 0
    cdef int64_t pageblock_mask = (<int64_t>1 << g.pageblock_order) - 1
    cdef bint skip_on_failure = cc.direct_compaction and cc.mode == MIGRATE_ASYNC
    cdef bint skip_updated = False, failed
    cdef int kind
    if skip_on_failure:
        next_skip_pfn = block_end(low_pfn, cc.order)
    while low_pfn < end_pfn and not g.owners.stop:
        if skip_on_failure and low_pfn >= next_skip_pfn:
            if nr_isolated:
                break
            next_skip_pfn = block_end(low_pfn, cc.order)
        nr_scanned += 1
        if valid_pfn < 0 and not low_pfn & pageblock_mask:
            if not cc.ignore_skip_hint and get_pageblock_skip(g, cc.zone, low_pfn):
                low_pfn = end_pfn
                break
            valid_pfn = low_pfn
        if PageBuddy(&g.map[low_pfn]):
            low_pfn += <int64_t>1 << g.map[low_pfn].private_
            continue
        failed = True
        if PageCompound(&g.map[low_pfn]) and not cc.alloc_contig:
            if compound_order(g, low_pfn) < g.max_order:
                low_pfn += (<int64_t>1 << compound_order(g, low_pfn)) - 1
        else:
            kind = g.owners.movable(g.owners.self, low_pfn, cc.mode, cc.gfp_mask)
            if kind == MOVABLE_LRU and not skip_updated:
                skip_updated = True
                if test_and_set_skip(g, cc, low_pfn):
                    break
            if kind != NOT_MOVABLE and take_movable(g, cc, low_pfn):
                failed = False
                nr_isolated += 1
                if cc.nr_migratepages >= COMPACT_CLUSTER_MAX and not cc.rescan and not cc.contended:
                    low_pfn += 1
                    break
        if failed and skip_on_failure:
            if nr_isolated:
                putback_movable_pages(g, cc)
                nr_isolated = 0
            if low_pfn < next_skip_pfn:
                low_pfn = next_skip_pfn - 1
                next_skip_pfn += <int64_t>1 << cc.order
        low_pfn += 1
    low_pfn = min(low_pfn, end_pfn)
    if low_pfn == end_pfn and (not nr_isolated or cc.rescan):
        if valid_pfn >= 0 and not skip_updated:
            set_pageblock_skip(g, cc.zone, valid_pfn, True)
            tell_owners(g, FOUND_NOTHING, valid_pfn, 0, 0)
        update_cached_migrate(g, cc, low_pfn)
    cc.total_migrate_scanned += nr_scanned
    count_vm_events(g, COMPACTISOLATED, nr_isolated)
    return low_pfn


cdef void move_freelist_tail(Pgdat *g, uint32_t head, uint32_t freepage, uint32_t order) noexcept nogil:
    cdef bint turns = g.map[head].prev != freepage
    if turns:
        turn_list(g, head, g.map[freepage].next)
    tell_owners(g, TURNED_LIST, freepage, 1 if turns else STAYS_LAST, order)


cdef bint suitable_migration_source(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    cdef uint32_t block_mt
    if pageblock_skip_persistent(g, pfn):
        return False
    if cc.mode != MIGRATE_ASYNC or not cc.direct_compaction:
        return True
    block_mt = get_pfnblock_migratetype(g, cc.zone, pfn)
    if cc.migratetype == MIGRATE_MOVABLE:
        return is_migrate_movable(block_mt)
    return block_mt == cc.migratetype


cdef void update_fast_start_pfn(CompactControl *cc, int64_t pfn) noexcept nogil:
    if cc.fast_start_pfn != NOWHERE:
        cc.fast_start_pfn = min(cc.fast_start_pfn, pfn) if cc.fast_start_pfn else pfn


cdef int64_t reinit_migrate_pfn(CompactControl *cc) noexcept nogil:
    if cc.fast_start_pfn and cc.fast_start_pfn != NOWHERE:
        cc.migrate_pfn = cc.fast_start_pfn
        cc.fast_start_pfn = NOWHERE
    return cc.migrate_pfn


cdef uint32_t search_source(Pgdat *g, CompactControl *cc, int order, int64_t high_pfn, uint32_t limit,
                            uint32_t *nr_scanned) noexcept nogil:
    # fast_find_migrateblock() on one list: a free block below high_pfn in a pageblock not yet looked at, or NO_PAGE
    cdef uint32_t head = free_list(cc.zone, order, MIGRATE_MOVABLE)
    cdef uint32_t freepage = g.map[head].next
    while freepage != head:
        nr_scanned[0] += 1
        if nr_scanned[0] > limit:
            move_freelist_tail(g, head, freepage, order)
            break
        if freepage < high_pfn and not get_pageblock_skip(g, cc.zone, freepage):
            move_freelist_tail(g, head, freepage, order)
            return freepage
        freepage = g.map[freepage].next
    return NO_PAGE


cdef int64_t fast_find_migrateblock(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef uint32_t limit = freelist_scan_limit(cc)
    cdef uint32_t nr_scanned = 0, found
    cdef int64_t distance, high_pfn, pfn = cc.migrate_pfn
    cdef int order
    if cc.ignore_skip_hint or pfn != cc.zone.start_pfn and pfn != pageblock_start_pfn(g, pfn):
        return pfn
    if cc.order <= PAGE_ALLOC_COSTLY_ORDER or cc.direct_compaction and cc.migratetype != MIGRATE_MOVABLE:
        return pfn
    distance = <uint32_t>(cc.free_pfn - cc.migrate_pfn) >> 1
    if cc.migrate_pfn != cc.zone.start_pfn:
        distance >>= 2
    high_pfn = pageblock_start_pfn(g, cc.migrate_pfn + distance)
    order = cc.order - 1
    while order >= PAGE_ALLOC_COSTLY_ORDER and nr_scanned < limit and not g.owners.stop:
        if cc.zone.nr_free[order]:
            found = search_source(g, cc, order, high_pfn, limit, &nr_scanned)
            if found != NO_PAGE:
                update_fast_start_pfn(cc, found)
                cc.fast_search_fail = 0
                cc.total_migrate_scanned += nr_scanned
                set_pageblock_skip(g, cc.zone, found, True)
                return max(pageblock_start_pfn(g, found), <int64_t>cc.zone.start_pfn)
        order -= 1
    cc.total_migrate_scanned += nr_scanned
    cc.fast_search_fail += 1
    return reinit_migrate_pfn(cc)


cdef bint isolate_migratepages(Pgdat *g, CompactControl *cc) noexcept nogil:
    # Movable pages from the first suitable pageblock; whether there were any.
    cdef int64_t low_pfn = fast_find_migrateblock(g, cc)
    cdef int64_t start_pfn = max(pageblock_start_pfn(g, low_pfn), <int64_t>cc.zone.start_pfn)
    cdef int64_t end_pfn = pageblock_end_pfn(g, low_pfn)
    cdef int64_t pageblock_mask = (<int64_t>1 << g.pageblock_order) - 1
    cdef bint fast_find_block = low_pfn != cc.migrate_pfn and not cc.fast_search_fail
    while end_pfn <= cc.free_pfn:
        if pageblock_in_zone(cc.zone, start_pfn, end_pfn) and (
                low_pfn & pageblock_mask or fast_find_block or cc.ignore_skip_hint
                or not get_pageblock_skip(g, cc.zone, start_pfn)):
            if suitable_migration_source(g, cc, start_pfn):
                low_pfn = isolate_migratepages_block(g, cc, low_pfn, end_pfn)
                break
            update_cached_migrate(g, cc, end_pfn)
        fast_find_block = False
        low_pfn = start_pfn = end_pfn
        end_pfn += pageblock_mask + 1
    cc.migrate_pfn = low_pfn
    return cc.nr_migratepages > 0


# ------------------------------------------------------------------ moving (mm/migrate.c)

cdef int unmap_and_move(Pgdat *g, CompactControl *cc, uint32_t pfn) noexcept nogil:
    cdef uint32_t new_ = compaction_alloc(g, cc)
    cdef uint32_t next_ = g.map[pfn].next
    cdef int rc
    if new_ == NO_PAGE:
        return -ENOMEM
    list_del(g.map, pfn)  # whoever hears of the move may free the page at once
    rc = g.owners.move(g.owners.self, pfn, new_, cc.mode)
    if rc == 0:
        if g.owners.frees:
            free_pages_by_refcount(g, pfn, 0)
        return 0
    if rc != -EAGAIN:
        g.owners.putback(g.owners.self, pfn)
    else:
        list_add_tail(g.map, pfn, next_)  # where it was
    list_add(g.map, new_, cc.freepages)
    cc.nr_freepages += 1
    return rc


cdef int migrate_pages(Pgdat *g, CompactControl *cc) noexcept nogil:
    # 0 when all have moved, how many have not, or -ENOMEM when there were no free pages left
    cdef int passes = 0, retry = 1, nr_succeeded = 0, nr_failed = 0, rc
    cdef bint no_target = False
    cdef uint32_t pfn, next_
    while passes < MIGRATE_PASSES and retry and not no_target and not g.owners.stop:
        passes += 1
        retry = 0
        pfn = g.map[cc.migratepages].next
        while pfn != cc.migratepages and not g.owners.stop:
            next_ = g.map[pfn].next
            rc = unmap_and_move(g, cc, pfn)
            if rc == -ENOMEM:
                nr_failed += 1
                no_target = True
                break
            if rc == -EAGAIN:
                retry += 1
            elif rc:
                nr_failed += 1
            else:
                nr_succeeded += 1
            pfn = next_
    if not no_target:
        nr_failed += retry
    count_vm_events(g, PGMIGRATE_SUCCESS, nr_succeeded)
    count_vm_events(g, PGMIGRATE_FAIL, nr_failed)
    return -ENOMEM if no_target else nr_failed


# ------------------------------------------------------------------ whether to go on

cdef uint32_t fragmentation_score_zone(const Pgdat *g, const Zone *zone) noexcept nogil:
    # How much of its free memory lies in blocks smaller than a huge page, in percent, weighed by the zone's share.
    cdef int64_t free_pages = 0, suitable = 0
    cdef uint32_t order
    for order in range(g.max_order):
        free_pages += <int64_t>zone.nr_free[order] << order
        if order >= COMPACTION_HPAGE_ORDER:
            suitable += <int64_t>zone.nr_free[order] << order
    if not free_pages:
        return 0
    return <uint32_t>(zone.present_pages * ((free_pages - suitable) * 100 // free_pages)
                      // (<int64_t>g.node_present_pages + 1))


cdef int __compact_finished(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef int order
    cdef bint can_steal = False
    if g.owners.stop:
        return COMPACT_CONTENDED
    if compact_scanners_met(g, cc):
        reset_cached_positions(g, cc.zone)
        if cc.direct_compaction:
            cc.zone.compact_blockskip_flush = True
        return COMPACT_COMPLETE if cc.whole_zone else COMPACT_PARTIAL_SKIPPED
    if cc.order == -1 and cc.mode == MIGRATE_SYNC_LIGHT:  # proactive_compact_node()
        if fragmentation_score_zone(g, cc.zone) > 100 - SYSCTL_COMPACTION_PROACTIVENESS:
            return COMPACT_CONTINUE
        return COMPACT_SUCCESS
    if cc.order == -1 or cc.migrate_pfn & ((<int64_t>1 << g.pageblock_order) - 1):
        return COMPACT_CONTINUE
    for order in range(cc.order, <int>g.max_order):
        if not list_empty(g.map, free_list(cc.zone, order, cc.migratetype)):
            return COMPACT_SUCCESS
        if (g.cma and cc.migratetype == MIGRATE_MOVABLE
                and not list_empty(g.map, free_list(cc.zone, order, MIGRATE_CMA))):
            return COMPACT_SUCCESS
        if find_suitable_fallback(g, cc.zone, order, cc.migratetype, True, &can_steal) != -1:
            return COMPACT_SUCCESS
    return COMPACT_CONTINUE


cdef int fragmentation_index_of(const Pgdat *g, const Zone *zone, uint32_t order) noexcept nogil:
    # Thousandths: towards 0 a request fails for lack of memory, towards 1000 because memory is in pieces.
    cdef int64_t free_pages = 0, free_blocks_total = 0, free_blocks_suitable = 0
    cdef uint32_t o
    for o in range(g.max_order):
        free_blocks_total += zone.nr_free[o]
        free_pages += <int64_t>zone.nr_free[o] << o
        if o >= order:
            free_blocks_suitable += <int64_t>zone.nr_free[o] << (o - order)
    if not free_blocks_total:
        return 0
    if free_blocks_suitable:
        return -1000
    return <int>(1000 - (1000 + free_pages * 1000 // (<int64_t>1 << order)) // free_blocks_total)


cdef int __compaction_suitable(Pgdat *g, Zone *zone, int order, uint32_t alloc_flags, uint32_t highest_zoneidx,
                               int64_t wmark_target) noexcept nogil:
    cdef int64_t watermark, free_pages = max(zone.vm_stat[NR_FREE_PAGES], <int64_t>0)
    if order == -1:
        return COMPACT_CONTINUE
    watermark = <int64_t>zone.watermark[alloc_flags & ALLOC_WMARK_MASK] + zone.watermark_boost
    if zone_watermark_ok_of(g, zone, order, watermark, highest_zoneidx, alloc_flags, free_pages):
        return COMPACT_SUCCESS
    watermark = <int64_t>zone.watermark[WMARK_LOW if order > PAGE_ALLOC_COSTLY_ORDER else WMARK_MIN]
    watermark += zone.watermark_boost + compact_gap(order)
    if not zone_watermark_ok_of(g, zone, 0, watermark, highest_zoneidx, ALLOC_CMA, wmark_target):
        return COMPACT_SKIPPED
    return COMPACT_CONTINUE


cdef int compaction_suitable_of(Pgdat *g, Zone *zone, int order, uint32_t alloc_flags,
                                uint32_t highest_zoneidx) noexcept nogil:
    cdef int fragindex
    cdef int ret = __compaction_suitable(g, zone, order, alloc_flags, highest_zoneidx,
                                         max(zone.vm_stat[NR_FREE_PAGES], <int64_t>0))
    if ret == COMPACT_CONTINUE and order > PAGE_ALLOC_COSTLY_ORDER:
        fragindex = fragmentation_index_of(g, zone, order)
        if 0 <= fragindex <= SYSCTL_EXTFRAG_THRESHOLD:
            return COMPACT_SKIPPED
    return ret


# ------------------------------------------------------------------ a zone

cdef void start_scanners(const Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef Zone *zone = cc.zone
    cdef int64_t end_pfn = zone_end_pfn(zone)
    cc.fast_start_pfn = 0
    if cc.whole_zone:
        cc.migrate_pfn = zone.start_pfn
        cc.free_pfn = pageblock_start_pfn(g, end_pfn - 1)
        return
    cc.migrate_pfn = zone.compact_cached_migrate_pfn[cc.mode != MIGRATE_ASYNC]
    cc.free_pfn = zone.compact_cached_free_pfn
    if cc.free_pfn < zone.start_pfn or cc.free_pfn >= end_pfn:
        cc.free_pfn = zone.compact_cached_free_pfn = pageblock_start_pfn(g, end_pfn - 1)
    if cc.migrate_pfn < zone.start_pfn or cc.migrate_pfn >= end_pfn:
        cc.migrate_pfn = zone.start_pfn
        zone.compact_cached_migrate_pfn[0] = zone.compact_cached_migrate_pfn[1] = cc.migrate_pfn
    if cc.migrate_pfn <= zone.compact_init_migrate_pfn:
        cc.whole_zone = True


cdef int compact_pages(Pgdat *g, CompactControl *cc, int64_t *last_migrated_pfn) noexcept nogil:
    # Moves what the migrate scanner took; COMPACT_CONTENDED when the free scanner gave nothing
    cdef int err = migrate_pages(g, cc)
    cc.nr_migratepages = 0
    if err:
        putback_movable_pages(g, cc)
        if err == -ENOMEM and not compact_scanners_met(g, cc):
            return COMPACT_CONTENDED
        if cc.direct_compaction and cc.mode == MIGRATE_ASYNC:
            cc.migrate_pfn = block_end(cc.migrate_pfn - 1, cc.order)
            last_migrated_pfn[0] = 0
    return COMPACT_CONTINUE


cdef int run_scanners(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef Zone *zone = cc.zone
    cdef int64_t last_migrated_pfn = 0, start_pfn
    cdef bint update_cached = (cc.mode == MIGRATE_ASYNC
                               and zone.compact_cached_migrate_pfn[0] == zone.compact_cached_migrate_pfn[1])
    cdef int ret = __compact_finished(g, cc)
    while ret == COMPACT_CONTINUE:
        start_pfn = cc.migrate_pfn
        cc.rescan = pageblock_start_pfn(g, last_migrated_pfn) == pageblock_start_pfn(g, start_pfn)
        if isolate_migratepages(g, cc):
            update_cached = False
            last_migrated_pfn = start_pfn
            if compact_pages(g, cc, &last_migrated_pfn) == COMPACT_CONTENDED:
                return COMPACT_CONTENDED
        elif update_cached:
            zone.compact_cached_migrate_pfn[1] = zone.compact_cached_migrate_pfn[0]
        if cc.order > 0 and last_migrated_pfn and last_migrated_pfn < block_start(cc.migrate_pfn, cc.order):
            if g.owners.frees:  # lru_add_drain_cpu_zone()
                if g.owners.drain != NULL:
                    g.owners.drain(g.owners.self, False)
                drain_pages_zone_of(g, g.cpu, zone)
            last_migrated_pfn = 0
        if g.capturing == cc and g.captured != NO_PAGE:
            return COMPACT_SUCCESS
        ret = __compact_finished(g, cc)
    return ret


cdef int compact_zone(Pgdat *g, CompactControl *cc) noexcept nogil:
    # One of COMPACT_*. The caller says what is to be compacted, how, and for whom.
    cdef Zone *zone = cc.zone
    cdef int64_t free_pfn
    cdef int ret
    cc.migratetype = gfp_migratetype(g, cc.gfp_mask)
    cc.nr_freepages = cc.nr_migratepages = 0
    cc.total_migrate_scanned = cc.total_free_scanned = 0
    ret = compaction_suitable_of(g, zone, cc.order, cc.alloc_flags, cc.highest_zoneidx)
    if ret == COMPACT_SUCCESS or ret == COMPACT_SKIPPED or g.owners == NULL or g.compactions == MAX_COMPACTIONS:
        return ret if ret != COMPACT_CONTINUE else COMPACT_SKIPPED
    cc.freepages = g.compact_lists + 2 * g.compactions
    cc.migratepages = cc.freepages + 1
    g.compactions += 1
    if compaction_restarting(zone, cc.order):
        __reset_isolation_suitable(g, zone)
    start_scanners(g, cc)
    if g.owners.drain != NULL:  # migrate_prep_local()
        g.owners.drain(g.owners.self, False)
    ret = run_scanners(g, cc)
    putback_movable_pages(g, cc)
    if not list_empty(g.map, cc.freepages):
        free_pfn = pageblock_start_pfn(g, release_freepages(g, cc.freepages))
        if free_pfn > zone.compact_cached_free_pfn:
            zone.compact_cached_free_pfn = free_pfn
    count_vm_events(g, COMPACTMIGRATE_SCANNED, cc.total_migrate_scanned)
    count_vm_events(g, COMPACTFREE_SCANNED, cc.total_free_scanned)
    g.compactions -= 1
    return ret


cdef int compact_zone_order(Pgdat *g, Zone *zone, int order, uint32_t gfp_mask, int prio, uint32_t alloc_flags,
                            uint32_t highest_zoneidx, uint32_t *capture) noexcept nogil:
    cdef CompactControl cc
    cdef CompactControl *outer = g.capturing
    cdef int ret
    memset(&cc, 0, sizeof(cc))
    cc.order = cc.search_order = order
    cc.gfp_mask = gfp_mask
    cc.zone = zone
    cc.mode = MIGRATE_ASYNC if prio == COMPACT_PRIO_ASYNC else MIGRATE_SYNC_LIGHT
    cc.alloc_flags = alloc_flags
    cc.highest_zoneidx = highest_zoneidx
    cc.direct_compaction = True
    cc.whole_zone = cc.ignore_skip_hint = cc.ignore_block_suitable = prio == COMPACT_PRIO_SYNC_FULL
    g.capturing = &cc
    g.captured = NO_PAGE
    ret = compact_zone(g, &cc)
    capture[0] = g.captured
    g.capturing = outer
    g.captured = NO_PAGE
    return ret


cdef int try_to_compact_pages(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags, int prio,
                              uint32_t *capture) noexcept nogil:
    cdef uint32_t i, highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef int status, rc = COMPACT_SKIPPED
    cdef Zone *zone
    if not gfp_mask & __GFP_IO:
        return COMPACT_SKIPPED
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if prio > COMPACT_PRIO_SYNC_FULL and compaction_deferred(zone, order):
            rc = max(rc, <int>COMPACT_DEFERRED)
            continue
        status = compact_zone_order(g, zone, order, gfp_mask, prio, alloc_flags, highest_zoneidx, capture)
        rc = max(rc, status)
        if status == COMPACT_SUCCESS:
            compaction_defer_reset(zone, order, False)
            break
        if prio != COMPACT_PRIO_ASYNC and (status == COMPACT_COMPLETE or status == COMPACT_PARTIAL_SKIPPED):
            defer_compaction(zone, order)
    return rc


cdef int compact_node(Pgdat *g) noexcept nogil:
    # What writing to /proc/sys/vm/compact_memory does; the last zone's result.
    cdef CompactControl cc
    cdef uint32_t i
    cdef int ret = COMPACT_SKIPPED
    if g.owners != NULL and g.owners.drain != NULL:
        g.owners.drain(g.owners.self, True)
    for i in range(g.nr_zones):
        if g.zones[i].present_pages:
            memset(&cc, 0, sizeof(cc))
            cc.order = -1
            cc.mode = MIGRATE_SYNC
            cc.ignore_skip_hint = cc.whole_zone = True
            cc.gfp_mask = GFP_KERNEL
            cc.zone = &g.zones[i]
            ret = compact_zone(g, &cc)
    return ret


cdef void wakeup_kcompactd(Pgdat *g, int order, uint32_t highest_zoneidx) noexcept nogil:
    # it runs when whoever wakes it lets it
    cdef uint32_t i
    if not order or not g.compaction:
        return
    g.kcompactd_max_order = max(g.kcompactd_max_order, order)
    g.kcompactd_highest_zoneidx = min_u32(g.kcompactd_highest_zoneidx, highest_zoneidx)
    for i in range(min_u32(g.kcompactd_highest_zoneidx + 1, g.nr_zones)):
        if g.zones[i].present_pages and compaction_suitable_of(g, &g.zones[i], g.kcompactd_max_order, 0,
                                                               g.kcompactd_highest_zoneidx) == COMPACT_CONTINUE:
            g.kcompactd_woken = True
            return


cdef void kcompactd_do_work(Pgdat *g) noexcept nogil:
    cdef CompactControl cc
    cdef uint32_t i, cpu
    cdef int status, order = g.kcompactd_max_order
    cdef uint32_t highest_zoneidx = g.kcompactd_highest_zoneidx
    cdef Zone *zone
    count_vm_events(g, KCOMPACTD_WAKE, 1)
    for i in range(min_u32(highest_zoneidx + 1, g.nr_zones)):
        zone = &g.zones[i]
        if (not zone.present_pages or compaction_deferred(zone, order)
                or compaction_suitable_of(g, zone, order, 0, i) != COMPACT_CONTINUE):
            continue
        memset(&cc, 0, sizeof(cc))
        cc.order = cc.search_order = order
        cc.highest_zoneidx = highest_zoneidx
        cc.mode = MIGRATE_SYNC_LIGHT
        cc.gfp_mask = GFP_KERNEL
        cc.zone = zone
        status = compact_zone(g, &cc)
        if status == COMPACT_SUCCESS:
            compaction_defer_reset(zone, order, False)
        elif status == COMPACT_PARTIAL_SKIPPED or status == COMPACT_COMPLETE:
            for cpu in range(g.nr_cpus):
                drain_pages_zone_of(g, cpu, zone)
            defer_compaction(zone, order)
        count_vm_events(g, KCOMPACTD_MIGRATE_SCANNED, cc.total_migrate_scanned)
        count_vm_events(g, KCOMPACTD_FREE_SCANNED, cc.total_free_scanned)
    g.kcompactd_max_order = 0
    g.kcompactd_highest_zoneidx = MAX_ZONES
