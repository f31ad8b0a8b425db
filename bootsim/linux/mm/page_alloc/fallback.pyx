"""When a migrate type has no free block: what it takes from another, and high-atomic reserves (mm/page_alloc.c)."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *

cdef uint32_t move_freepages(Pgdat *g, Zone *zone, uint32_t start_pfn, uint32_t end_pfn, uint32_t mt,
                             uint32_t *num_movable) noexcept nogil:
    cdef uint32_t pfn = start_pfn, moved = 0
    cdef uint32_t order
    cdef Page *page
    while pfn < end_pfn:
        page = &g.map[pfn]
        if not PageBuddy(page):
            # LRU pages and movable driver pages count as movable
            if num_movable != NULL and (page.flags & PG_lru or page.mapping & 3 == 2):
                num_movable[0] += 1
            pfn += 1
            continue
        order = page.private_
        move_to_free_list(g, pfn, zone, order, mt)
        pfn += <uint32_t>1 << order
        moved += <uint32_t>1 << order
    return moved


cdef uint32_t move_freepages_block(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t mt,
                                   uint32_t *num_movable) noexcept nogil:
    cdef uint32_t pageblock_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t start_pfn = pfn & ~(pageblock_pages - 1)
    cdef uint32_t end_pfn = start_pfn + pageblock_pages
    if num_movable != NULL:
        num_movable[0] = 0
    if not zone_spans_pfn(zone, start_pfn):
        start_pfn = pfn
    if not zone_spans_pfn(zone, end_pfn - 1):
        return 0
    return move_freepages(g, zone, start_pfn, end_pfn, mt, num_movable)


cdef bint can_steal_fallback(Pgdat *g, uint32_t order, uint32_t start_mt) noexcept nogil:
    return (order >= g.pageblock_order // 2 or start_mt == MIGRATE_RECLAIMABLE or start_mt == MIGRATE_UNMOVABLE
            or g.page_group_by_mobility_disabled)


cdef bint boost_watermark(Pgdat *g, Zone *zone) noexcept nogil:
    cdef uint32_t pageblock_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t high = zone.watermark[WMARK_HIGH]
    cdef uint32_t max_boost
    if not g.watermark_boost_factor or pageblock_pages * 4 > zone.managed_pages:
        return False
    max_boost = (high // 10000) * g.watermark_boost_factor + (high % 10000) * g.watermark_boost_factor // 10000
    if not max_boost:
        return False
    if max_boost < pageblock_pages:
        max_boost = pageblock_pages
    zone.watermark_boost = min_u32(zone.watermark_boost + pageblock_pages, max_boost)
    return True


cdef void steal_suitable_fallback(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t alloc_flags, uint32_t start_type,
                                  bint whole_block) noexcept nogil:
    cdef uint32_t current_order = g.map[pfn].private_
    cdef uint32_t pageblock_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t old_block_type = get_pfnblock_migratetype(g, zone, pfn)
    cdef uint32_t free_pages, block
    cdef uint32_t movable_pages = 0, alike_pages = 0
    cdef bint single_page = old_block_type == MIGRATE_HIGHATOMIC
    if not single_page and current_order >= g.pageblock_order:
        for block in range(<uint32_t>1 << (current_order - g.pageblock_order)):
            set_pfnblock_migratetype(g, zone, pfn + block * pageblock_pages, start_type)
        single_page = True
    if not single_page:
        if boost_watermark(g, zone) and alloc_flags & ALLOC_KSWAPD:
            zone.boosted_watermark = True
        single_page = not whole_block
    if not single_page:
        free_pages = move_freepages_block(g, zone, pfn, start_type, &movable_pages)
        if g.movable_used < g.nr_movable_seen:
            movable_pages = g.movable_seen[g.movable_used & 15]
            g.movable_used += 1
        if start_type == MIGRATE_MOVABLE:
            alike_pages = movable_pages
        elif old_block_type == MIGRATE_MOVABLE:
            alike_pages = pageblock_pages - (free_pages + movable_pages)
        if free_pages:
            if (free_pages + alike_pages >= <uint32_t>1 << (g.pageblock_order - 1)
                    or g.page_group_by_mobility_disabled):
                set_pfnblock_migratetype(g, zone, pfn, start_type)
            return
    move_to_free_list(g, pfn, zone, current_order, start_type)


cdef int find_suitable_fallback(Pgdat *g, const Zone *zone, uint32_t order, uint32_t mt, bint only_stealable,
                                bint *can_steal) noexcept nogil:
    # The two types a type may fall back to, in order. CMA and isolated pages never fall back.
    cdef uint32_t[2] fallbacks
    cdef int i
    if zone.nr_free[order] == 0:
        return -1
    can_steal[0] = False
    if mt >= MIGRATE_PCPTYPES:
        return -1
    fallbacks[0] = MIGRATE_UNMOVABLE if mt == MIGRATE_RECLAIMABLE else MIGRATE_RECLAIMABLE
    fallbacks[1] = MIGRATE_UNMOVABLE if mt == MIGRATE_MOVABLE else MIGRATE_MOVABLE
    for i in range(2):
        if list_empty(g.map, free_list(zone, order, fallbacks[i])):
            continue
        if can_steal_fallback(g, order, mt):
            can_steal[0] = True
        if not only_stealable or can_steal[0]:
            return fallbacks[i]
    return -1


cdef bint __rmqueue_fallback(Pgdat *g, Zone *zone, uint32_t order, uint32_t start_mt,
                             uint32_t alloc_flags) noexcept nogil:
    cdef int current_order = g.max_order - 1
    cdef int fallback_mt = -1
    cdef bint can_steal = False
    # The largest block first: it pollutes the fewest pageblocks. A movable request that may not take the whole
    # pageblock takes the smallest instead.
    while current_order >= <int>order:
        fallback_mt = find_suitable_fallback(g, zone, current_order, start_mt, False, &can_steal)
        if fallback_mt != -1:
            break
        current_order -= 1
    if fallback_mt == -1:
        return False
    if not can_steal and start_mt == MIGRATE_MOVABLE and current_order > <int>order:
        for current_order in range(order, g.max_order):
            fallback_mt = find_suitable_fallback(g, zone, current_order, start_mt, False, &can_steal)
            if fallback_mt != -1:
                break
    steal_suitable_fallback(g, zone, g.map[free_list(zone, current_order, fallback_mt)].next, alloc_flags, start_mt,
                            can_steal)
    return True


cdef void reserve_highatomic_pageblock(Pgdat *g, uint32_t pfn, Zone *zone) noexcept nogil:
    cdef uint32_t pageblock_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t max_managed = zone.managed_pages // 100 + pageblock_pages
    cdef uint32_t mt
    if zone.nr_reserved_highatomic >= max_managed:
        return
    mt = get_pfnblock_migratetype(g, zone, pfn)
    if mt < MIGRATE_PCPTYPES:
        zone.nr_reserved_highatomic += pageblock_pages
        set_pfnblock_migratetype(g, zone, pfn, MIGRATE_HIGHATOMIC)
        move_freepages_block(g, zone, pfn, MIGRATE_HIGHATOMIC, NULL)
