# What compaction remembers: when to try again, where its scanners stopped, which pageblocks to skip (mm/compaction.c).
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    COMPACT_CLUSTER_MAX = 32
    COMPACT_PRIO_SYNC_FULL = 0
    COMPACT_PRIO_SYNC_LIGHT = 1
    COMPACT_PRIO_ASYNC = 2
    COMPACT_MAX_DEFER_SHIFT = 6


cdef inline int64_t compact_gap(int order) noexcept nogil:
    # how many free pages compaction wants to work with
    return <int64_t>2 << order


cdef inline void tell_owners(Pgdat *g, int what, uint32_t a, uint32_t b, uint32_t c) noexcept nogil:
    if g.owners.told != NULL:
        g.owners.told(g.owners.self, what, a, b, c)


cdef inline void turn_list(Pgdat *g, uint32_t head, uint32_t first) noexcept nogil:
    # What was before `first` goes to the end of the list.
    list_del(g.map, head)
    g.map[head].prev = g.map[first].prev
    g.map[head].next = first
    g.map[g.map[first].prev].next = head
    g.map[first].prev = head


cdef inline uint32_t freelist_scan_limit(const CompactControl *cc) noexcept nogil:
    return (COMPACT_CLUSTER_MAX >> min(31, cc.fast_search_fail)) + 1


cdef inline bint compact_scanners_met(const Pgdat *g, const CompactControl *cc) noexcept nogil:
    return cc.free_pfn >> g.pageblock_order <= cc.migrate_pfn >> g.pageblock_order


# ------------------------------------------------------------------ deferral

cdef inline void defer_compaction(Zone *zone, int order) noexcept nogil:
    zone.compact_considered = 0
    zone.compact_defer_shift += 1
    if order < zone.compact_order_failed:
        zone.compact_order_failed = order
    if zone.compact_defer_shift > COMPACT_MAX_DEFER_SHIFT:
        zone.compact_defer_shift = COMPACT_MAX_DEFER_SHIFT


cdef inline bint compaction_deferred(Zone *zone, int order) noexcept nogil:
    cdef uint32_t defer_limit = <uint32_t>1 << zone.compact_defer_shift
    if order < zone.compact_order_failed:
        return False
    zone.compact_considered += 1
    if zone.compact_considered >= defer_limit:
        zone.compact_considered = defer_limit
        return False
    return True


cdef inline void compaction_defer_reset(Zone *zone, int order, bint alloc_success) noexcept nogil:
    if alloc_success:
        zone.compact_considered = 0
        zone.compact_defer_shift = 0
    if order >= zone.compact_order_failed:
        zone.compact_order_failed = order + 1


cdef inline bint compaction_restarting(const Zone *zone, int order) noexcept nogil:
    if order < zone.compact_order_failed:
        return False
    return (zone.compact_defer_shift == COMPACT_MAX_DEFER_SHIFT
            and zone.compact_considered >= <uint32_t>1 << zone.compact_defer_shift)


# ------------------------------------------------------------------ where to look, and where not to look again

cdef inline int64_t zone_end_pfn(const Zone *zone) noexcept nogil:
    return <int64_t>zone.start_pfn + zone.spanned_pages


cdef inline int64_t block_start(int64_t pfn, int order) noexcept nogil:
    return pfn & ~((<int64_t>1 << order) - 1)


cdef inline int64_t block_end(int64_t pfn, int order) noexcept nogil:
    return block_start(pfn, order) + (<int64_t>1 << order)


cdef inline int64_t pageblock_start_pfn(const Pgdat *g, int64_t pfn) noexcept nogil:
    return block_start(pfn, g.pageblock_order)


cdef inline int64_t pageblock_end_pfn(const Pgdat *g, int64_t pfn) noexcept nogil:
    return block_end(pfn, g.pageblock_order)


cdef inline bint pageblock_in_zone(const Zone *zone, int64_t start_pfn, int64_t end_pfn) noexcept nogil:
    # pageblock_pfn_to_page(): both ends belong to the zone
    return start_pfn >= zone.start_pfn and end_pfn <= zone_end_pfn(zone)


cdef inline bint is_migrate_movable(uint32_t mt) noexcept nogil:
    return mt == MIGRATE_CMA or mt == MIGRATE_MOVABLE


cdef inline bint pageblock_skip_persistent(const Pgdat *g, uint32_t pfn) noexcept nogil:
    return PageCompound(&g.map[pfn]) and compound_order(g, compound_head(g, pfn)) >= g.pageblock_order


cdef inline void reset_cached_positions(const Pgdat *g, Zone *zone) noexcept nogil:
    zone.compact_cached_migrate_pfn[0] = zone.start_pfn
    zone.compact_cached_migrate_pfn[1] = zone.start_pfn
    zone.compact_cached_free_pfn = pageblock_start_pfn(g, zone_end_pfn(zone) - 1)


cdef inline bint __reset_isolation_pfn(Pgdat *g, Zone *zone, int64_t pfn, bint check_source,
                                       bint check_target) noexcept nogil:
    cdef int64_t end_pfn
    if pageblock_skip_persistent(g, pfn):
        return False
    if check_source and check_target and not get_pageblock_skip(g, zone, pfn):
        return True
    if not check_source and check_target and get_pfnblock_migratetype(g, zone, pfn) != MIGRATE_MOVABLE:
        return False
    pfn = max(pageblock_start_pfn(g, pfn), <int64_t>zone.start_pfn)
    end_pfn = min(pageblock_end_pfn(g, pfn), zone_end_pfn(zone)) - 1
    while pfn <= end_pfn:
        if check_source and g.map[pfn].flags & PG_lru or check_target and PageBuddy(&g.map[pfn]):
            set_pageblock_skip(g, zone, pfn, False)
            return True
        pfn += 1 << PAGE_ALLOC_COSTLY_ORDER
    return False


cdef inline void __reset_isolation_suitable(Pgdat *g, Zone *zone) noexcept nogil:
    cdef int64_t migrate_pfn = zone.start_pfn
    cdef int64_t free_pfn = zone_end_pfn(zone) - 1
    cdef int64_t reset_migrate = free_pfn, reset_free = migrate_pfn
    cdef int64_t pageblock_pages = <int64_t>1 << g.pageblock_order
    cdef bint source_set = False, free_set = False
    if not zone.compact_blockskip_flush:
        return
    zone.compact_blockskip_flush = False
    while migrate_pfn < free_pfn:
        if __reset_isolation_pfn(g, zone, migrate_pfn, True, source_set) and migrate_pfn < reset_migrate:
            source_set = True
            reset_migrate = migrate_pfn
            zone.compact_init_migrate_pfn = migrate_pfn
            zone.compact_cached_migrate_pfn[0] = zone.compact_cached_migrate_pfn[1] = migrate_pfn
        if __reset_isolation_pfn(g, zone, free_pfn, free_set, True) and free_pfn > reset_free:
            free_set = True
            reset_free = free_pfn
            zone.compact_init_free_pfn = zone.compact_cached_free_pfn = free_pfn
        migrate_pfn += pageblock_pages
        free_pfn -= pageblock_pages
    if reset_migrate >= reset_free:
        zone.compact_cached_migrate_pfn[0] = zone.compact_cached_migrate_pfn[1] = migrate_pfn
        zone.compact_cached_free_pfn = free_pfn


cdef inline bint test_and_set_skip(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    cdef bint skip
    if cc.ignore_skip_hint or pfn & ((1 << g.pageblock_order) - 1):
        return False
    skip = get_pageblock_skip(g, cc.zone, pfn)
    if not skip and not cc.no_set_skip_hint:
        set_pageblock_skip(g, cc.zone, pfn, True)
    return skip


cdef inline void update_cached_migrate(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    pfn = pageblock_end_pfn(g, pfn)
    if cc.no_set_skip_hint:
        return
    if pfn > cc.zone.compact_cached_migrate_pfn[0]:
        cc.zone.compact_cached_migrate_pfn[0] = pfn
    if cc.mode != MIGRATE_ASYNC and pfn > cc.zone.compact_cached_migrate_pfn[1]:
        cc.zone.compact_cached_migrate_pfn[1] = pfn


cdef inline void update_pageblock_skip(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    if cc.no_set_skip_hint:
        return
    set_pageblock_skip(g, cc.zone, pfn, True)
    if pfn < cc.zone.compact_cached_free_pfn:
        cc.zone.compact_cached_free_pfn = pfn
