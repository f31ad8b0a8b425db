"""The way out: free lists, fallback between migrate types, per-cpu lists, watermarks, zonelists (mm/page_alloc.c)."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    COMPOUND_PAGE_DTOR = 1
    MAX_STEALS = 64


cdef inline void expand(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t low, uint32_t high, uint32_t mt) noexcept nogil:
    while high > low:
        high -= 1
        add_to_free_list(g, pfn + (<uint32_t>1 << high), zone, high, mt)
        set_buddy_order(&g.map[pfn + (<uint32_t>1 << high)], high)


cdef inline uint32_t __rmqueue_smallest(Pgdat *g, Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    cdef uint32_t current_order, pfn, head
    for current_order in range(order, g.max_order):
        head = free_list(zone, current_order, mt)
        pfn = g.map[head].next
        if pfn == head:
            continue
        del_page_from_free_list(g, pfn, zone, current_order)
        expand(g, zone, pfn, order, current_order, mt)
        g.map[pfn].index = mt
        return pfn
    return NO_PAGE


# ------------------------------------------------------------------ fallback between migrate types

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


cdef inline uint32_t __rmqueue(Pgdat *g, Zone *zone, uint32_t order, uint32_t mt, uint32_t alloc_flags) noexcept nogil:
    cdef uint32_t pfn
    cdef int _tries
    # Movable requests take from CMA once more than half of the free memory is there.
    if alloc_flags & ALLOC_CMA and zone.vm_stat[NR_FREE_CMA_PAGES] > zone.vm_stat[NR_FREE_PAGES] // 2:
        pfn = __rmqueue_smallest(g, zone, order, MIGRATE_CMA)
        if pfn != NO_PAGE:
            return pfn
    # One round of stealing gives the page, unless a bad page lost its mark on the free list: there the kernel hangs.
    for _tries in range(MAX_STEALS):
        pfn = __rmqueue_smallest(g, zone, order, mt)
        if pfn == NO_PAGE and alloc_flags & ALLOC_CMA:
            pfn = __rmqueue_smallest(g, zone, order, MIGRATE_CMA)
        if pfn != NO_PAGE or not __rmqueue_fallback(g, zone, order, mt, alloc_flags):
            return pfn
    return NO_PAGE


cdef int32_t rmqueue_bulk(Pgdat *g, Zone *zone, int32_t count, uint32_t head, uint32_t mt,
                          uint32_t alloc_flags) noexcept nogil:
    # At order 0, the only one it is used for.
    cdef int32_t _i, alloced = 0, taken = 0
    cdef uint32_t pfn
    for _i in range(count):
        pfn = __rmqueue(g, zone, 0, mt, alloc_flags)
        if pfn == NO_PAGE:
            break
        taken += 1
        if not g.debug_vm and check_new_page(g, pfn):
            continue
        list_add_tail(g.map, pfn, head)
        g.map[pfn].flags |= PG_on_pcp
        alloced += 1
        if g.map[pfn].index == MIGRATE_CMA:
            __mod_zone_page_state(g, zone, NR_FREE_CMA_PAGES, -1)
    __mod_zone_page_state(g, zone, NR_FREE_PAGES, -taken)
    return alloced


cdef inline uint32_t rmqueue_pcplist(Pgdat *g, Zone *zone, uint32_t mt, uint32_t alloc_flags) noexcept nogil:
    cdef PerCpuPages *pcp = &zone.pageset[g.cpu]
    cdef uint32_t head = pcp.lists + mt
    cdef uint32_t pfn
    while True:
        if list_empty(g.map, head):
            pcp.count += rmqueue_bulk(g, zone, pcp.batch, head, mt, alloc_flags)
            if list_empty(g.map, head):
                return NO_PAGE
        pfn = g.map[head].next
        list_del(g.map, pfn)
        g.map[pfn].flags &= ~<uint32_t>PG_on_pcp
        pcp.count -= 1
        if not g.debug_vm or not check_new_page(g, pfn):
            break
    count_vm_events(g, PGALLOC + zone.index, 1)
    return pfn


cdef bint check_new_pages(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        if check_new_page(g, i):
            return True
    return False


cdef inline uint32_t rmqueue(Pgdat *g, Zone *zone, uint32_t order, uint32_t alloc_flags, uint32_t mt) noexcept nogil:
    cdef uint32_t pfn
    if order == 0 and (not g.cma or alloc_flags & ALLOC_CMA or mt != MIGRATE_MOVABLE):
        pfn = rmqueue_pcplist(g, zone, mt, alloc_flags)
    else:
        while True:
            pfn = NO_PAGE
            if order > 0 and alloc_flags & ALLOC_HARDER:
                pfn = __rmqueue_smallest(g, zone, order, MIGRATE_HIGHATOMIC)
            if pfn == NO_PAGE:
                pfn = __rmqueue(g, zone, order, mt, alloc_flags)
            if pfn == NO_PAGE:
                return NO_PAGE
            if not check_new_pages(g, pfn, order):
                break
        __mod_zone_freepage_state(g, zone, -(<int64_t>1 << order), g.map[pfn].index)
        count_vm_events(g, PGALLOC + zone.index, <int64_t>1 << order)
    if zone.boosted_watermark:
        zone.boosted_watermark = False
        tell(g, WOKE_KSWAPD, zone.index, 0)
    return pfn


# ------------------------------------------------------------------ watermarks

cdef inline int64_t __zone_watermark_unusable_free(Pgdat *g, const Zone *z, uint32_t order,
                                                   uint32_t alloc_flags) noexcept nogil:
    cdef int64_t unusable_free = (<int64_t>1 << order) - 1
    if not alloc_flags & (ALLOC_HARDER | ALLOC_OOM):
        unusable_free += z.nr_reserved_highatomic
    if g.cma and not alloc_flags & ALLOC_CMA:
        unusable_free += z.vm_stat[NR_FREE_CMA_PAGES]
    return unusable_free


cdef bint zone_watermark_ok_of(Pgdat *g, const Zone *z, uint32_t order, int64_t mark, uint32_t highest_zoneidx,
                               uint32_t alloc_flags, int64_t free_pages) noexcept nogil:
    # __zone_watermark_ok()
    cdef int64_t min_ = mark
    cdef uint32_t o, mt
    free_pages -= __zone_watermark_unusable_free(g, z, order, alloc_flags)
    if alloc_flags & ALLOC_HIGH:
        min_ -= min_ // 2
    if alloc_flags & ALLOC_OOM:
        min_ -= min_ // 2
    elif alloc_flags & ALLOC_HARDER:
        min_ -= min_ // 4
    if free_pages <= min_ + z.lowmem_reserve[highest_zoneidx]:
        return False
    if not order:
        return True
    for o in range(order, g.max_order):
        if not z.nr_free[o]:
            continue
        for mt in range(MIGRATE_PCPTYPES):
            if not list_empty(g.map, free_list(z, o, mt)):
                return True
        if alloc_flags & ALLOC_CMA and not list_empty(g.map, free_list(z, o, MIGRATE_CMA)):
            return True
        if alloc_flags & (ALLOC_HARDER | ALLOC_OOM) and not list_empty(g.map, free_list(z, o, MIGRATE_HIGHATOMIC)):
            return True
    return False


cdef inline bint zone_watermark_fast(Pgdat *g, const Zone *z, uint32_t order, int64_t mark, uint32_t highest_zoneidx,
                                     uint32_t alloc_flags, uint32_t gfp_mask) noexcept nogil:
    cdef int64_t free_pages = z.vm_stat[NR_FREE_PAGES]
    cdef int64_t usable_free
    if not order:
        usable_free = free_pages - __zone_watermark_unusable_free(g, z, 0, alloc_flags)
        if usable_free < 0:
            usable_free = 0
        if usable_free > mark + z.lowmem_reserve[highest_zoneidx]:
            return True
    if zone_watermark_ok_of(g, z, order, mark, highest_zoneidx, alloc_flags, free_pages):
        return True
    # Order-0 atomic requests may ignore the boost.
    if (not order and gfp_mask & __GFP_ATOMIC and z.watermark_boost
            and alloc_flags & ALLOC_WMARK_MASK == WMARK_MIN):
        return zone_watermark_ok_of(g, z, order, z.watermark[WMARK_MIN], highest_zoneidx, alloc_flags, free_pages)
    return False


cdef uint32_t isolate_free_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # __isolate_free_page(): takes a block off its free list; the pages taken, 0 when the watermark forbids it
    cdef Zone *zone = page_zone(g, pfn)
    cdef uint32_t mt = get_pfnblock_migratetype(g, zone, pfn)
    cdef uint32_t pages = <uint32_t>1 << order
    cdef uint32_t block = pfn
    if mt != MIGRATE_ISOLATE:
        if not zone_watermark_ok_of(g, zone, 0, <int64_t>zone.watermark[WMARK_MIN] + pages, 0, ALLOC_CMA,
                                    zone.vm_stat[NR_FREE_PAGES]):
            return 0
        __mod_zone_freepage_state(g, zone, -<int64_t>pages, mt)
    del_page_from_free_list(g, pfn, zone, order)
    if order >= g.pageblock_order - 1:
        while block < pfn + pages - 1:
            if get_pfnblock_migratetype(g, zone, block) < MIGRATE_PCPTYPES:
                set_pfnblock_migratetype(g, zone, block, MIGRATE_MOVABLE)
            block += <uint32_t>1 << g.pageblock_order
    return pages


# ------------------------------------------------------------------ high-atomic reserves

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


# ------------------------------------------------------------------ requests

cdef void prep_compound_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    g.map[pfn].flags |= PG_head
    for i in range(pfn + 1, pfn + (<uint32_t>1 << order)):
        g.map[i].refcount = 0
        g.map[i].mapping = TAIL_MAPPING
        g.map[i].next = TAIL_MARK | pfn
    g.map[pfn + 1].prev = COMPOUND_PAGE_DTOR << 8 | order


cdef void prep_new_page(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t gfp_flags,
                        uint32_t alloc_flags) noexcept nogil:
    cdef Page *page = &g.map[pfn]
    page.private_ = 0
    page.refcount = 1
    if order and gfp_flags & __GFP_COMP:
        prep_compound_page(g, pfn, order)
    # page_is_pfmemalloc(): an index of -1
    page.index = 0xFFFFFFFFU if alloc_flags & ALLOC_NO_WATERMARKS else 0


cdef uint32_t get_page_from_freelist(Pgdat *g, uint32_t gfp_mask, uint32_t order,
                                     uint32_t alloc_flags) noexcept nogil:
    cdef uint32_t highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef uint32_t mt = gfp_migratetype(g, gfp_mask)
    cdef uint32_t i, pfn
    cdef int64_t mark
    cdef Zone *zone
    for i in range(g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if zone.index > highest_zoneidx:
            continue
        mark = <int64_t>zone.watermark[alloc_flags & ALLOC_WMARK_MASK] + zone.watermark_boost
        if (not zone_watermark_fast(g, zone, order, mark, highest_zoneidx, alloc_flags, gfp_mask)
                and not alloc_flags & ALLOC_NO_WATERMARKS):
            continue
        if order > 1 and gfp_mask & __GFP_NOFAIL:
            tell(g, NOFAIL_SEVERAL, order, 0)
        pfn = rmqueue(g, zone, order, alloc_flags, mt)
        if pfn != NO_PAGE:
            prep_new_page(g, pfn, order, gfp_mask, alloc_flags)
            if order and alloc_flags & ALLOC_HARDER:
                reserve_highatomic_pageblock(g, pfn, zone)
            return pfn
    return NO_PAGE
