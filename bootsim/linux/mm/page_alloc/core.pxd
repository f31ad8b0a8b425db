# Lists, pageblock flags, zones, counters and merging: what both ways share (mm/page_alloc.c).
from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.gfp cimport (
    GFP_MOVABLE_MASK, GFP_MOVABLE_SHIFT, MIGRATE_CMA, MIGRATE_ISOLATE, MIGRATE_MOVABLE, MIGRATE_UNMOVABLE)
from bootsim.linux.mm.page_alloc.events cimport *
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.vmstat cimport *

cdef inline uint32_t min_u32(uint32_t a, uint32_t b) noexcept nogil:
    return a if a < b else b


# ------------------------------------------------------------------ lists (include/linux/list.h)

cdef inline void list_init(Page *map, uint32_t head) noexcept nogil:
    map[head].next = head
    map[head].prev = head


cdef inline bint list_empty(Page *map, uint32_t head) noexcept nogil:
    return map[head].next == head


cdef inline void list_add(Page *map, uint32_t item, uint32_t head) noexcept nogil:
    cdef uint32_t first = map[head].next
    map[first].prev = item
    map[item].next = first
    map[item].prev = head
    map[head].next = item


cdef inline void list_add_tail(Page *map, uint32_t item, uint32_t head) noexcept nogil:
    cdef uint32_t last = map[head].prev
    map[head].prev = item
    map[item].next = head
    map[item].prev = last
    map[last].next = item


cdef inline void list_del(Page *map, uint32_t item) noexcept nogil:
    cdef uint32_t prev = map[item].prev
    cdef uint32_t next_ = map[item].next
    map[next_].prev = prev
    map[prev].next = next_


# ------------------------------------------------------------------ struct page

cdef inline bint PageBuddy(const Page *page) noexcept nogil:
    return (page.page_type & (0xF0000000U | PG_buddy)) == PG_buddy


cdef inline void set_buddy_order(Page *page, uint32_t order) noexcept nogil:
    page.private_ = order
    page.page_type |= PG_buddy


cdef inline uint32_t block_of(const Pgdat *g, uint32_t pfn) noexcept nogil:
    # The first page of the block on a free list that holds the page, or NO_PAGE.
    cdef uint32_t order, outer
    for order in range(g.max_order):
        outer = pfn & ~<uint32_t>0 << order
        if outer < g.base:
            return NO_PAGE
        if PageBuddy(&g.map[outer]) and g.map[outer].private_ >= order:
            return outer
    return NO_PAGE


cdef inline bint in_free_block(const Pgdat *g, uint32_t pfn) noexcept nogil:
    return block_of(g, pfn) != NO_PAGE


cdef inline bint PageTail(const Page *page) noexcept nogil:
    return (page.next & TAIL_MARK) != 0


cdef inline bint PageCompound(const Page *page) noexcept nogil:
    return (page.flags & PG_head) != 0 or PageTail(page)


cdef inline uint32_t compound_head(const Pgdat *g, uint32_t pfn) noexcept nogil:
    return g.map[pfn].next & ~<uint32_t>TAIL_MARK if PageTail(&g.map[pfn]) else pfn


cdef inline uint32_t compound_order(const Pgdat *g, uint32_t pfn) noexcept nogil:
    # of the head; a tail page answers 0
    return g.map[pfn + 1].prev & 0xFF if g.map[pfn].flags & PG_head else 0


# ------------------------------------------------------------------ zones and pageblocks

cdef inline bint zone_spans_pfn(const Zone *zone, uint32_t pfn) noexcept nogil:
    return pfn - zone.start_pfn < zone.spanned_pages  # wraps below the start


cdef inline Zone *page_zone(Pgdat *g, uint32_t pfn) noexcept nogil:
    # The kernel keeps the zone in page->flags; a zone's frames are contiguous, so its place tells as well.
    cdef uint32_t i = g.nr_spans - 1
    while i > 0 and pfn < g.span_start[i]:
        i -= 1
    return &g.zones[g.span_zone[i]]


cdef inline uint32_t get_pfnblock_migratetype(Pgdat *g, const Zone *zone, uint32_t pfn) noexcept nogil:
    cdef uint32_t block = (pfn >> g.pageblock_order) - zone.first_block
    return (zone.pageblock_flags[block // PAGEBLOCKS_PER_WORD]
            >> (block % PAGEBLOCKS_PER_WORD * PAGEBLOCK_BITS)) & 7


cdef inline void set_pfnblock_migratetype(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t mt) noexcept nogil:
    cdef uint32_t block = (pfn >> g.pageblock_order) - zone.first_block
    cdef uint32_t shift = block % PAGEBLOCKS_PER_WORD * PAGEBLOCK_BITS
    cdef uint32_t *word = &zone.pageblock_flags[block // PAGEBLOCKS_PER_WORD]
    if g.page_group_by_mobility_disabled and mt < MIGRATE_PCPTYPES:
        mt = MIGRATE_UNMOVABLE
    word[0] = (word[0] & ~(<uint32_t>7 << shift)) | (mt << shift)


cdef inline bint get_pageblock_skip(const Pgdat *g, const Zone *zone, uint32_t pfn) noexcept nogil:
    cdef uint32_t block = (pfn >> g.pageblock_order) - zone.first_block
    return (zone.pageblock_flags[block // PAGEBLOCKS_PER_WORD] >> (block % PAGEBLOCKS_PER_WORD * PAGEBLOCK_BITS)) & 8


cdef inline void set_pageblock_skip(const Pgdat *g, Zone *zone, uint32_t pfn, bint skip) noexcept nogil:
    cdef uint32_t block = (pfn >> g.pageblock_order) - zone.first_block
    cdef uint32_t bit = <uint32_t>8 << (block % PAGEBLOCKS_PER_WORD * PAGEBLOCK_BITS)
    if skip:
        zone.pageblock_flags[block // PAGEBLOCKS_PER_WORD] |= bit
    else:
        zone.pageblock_flags[block // PAGEBLOCKS_PER_WORD] &= ~bit


cdef inline bint has_pageblock(const Pgdat *g, const Zone *zone, uint32_t pfn) noexcept nogil:
    # The zone's pageblock flags reach to the end of the pageblock in which it ends.
    return (zone.pageblock_flags != NULL
            and pfn >> g.pageblock_order <= (zone.start_pfn + zone.spanned_pages - 1) >> g.pageblock_order)


# ------------------------------------------------------------------ counters (mm/vmstat.c)

cdef inline void count_vm_events(Pgdat *g, int item, int64_t delta) noexcept nogil:
    # The kernel counts by processor and shows the sum. Of an item by zone: PGALLOC + zone.index
    g.vm_events[item] += delta


cdef inline void __mod_zone_page_state(Pgdat *g, Zone *zone, int item, int64_t delta) noexcept nogil:
    # Small changes gather in the cpu's pageset until they pass the threshold: watermarks see only vm_stat.
    cdef PerCpuPages *pcp = &zone.pageset[g.cpu]
    cdef int64_t x = delta + pcp.vm_stat_diff[item]
    if x > pcp.stat_threshold or -x > pcp.stat_threshold:
        zone.vm_stat[item] += x
        x = 0
    pcp.vm_stat_diff[item] = <int32_t>x


cdef inline void __mod_zone_freepage_state(Pgdat *g, Zone *zone, int64_t pages, uint32_t mt) noexcept nogil:
    __mod_zone_page_state(g, zone, NR_FREE_PAGES, pages)
    if mt == MIGRATE_CMA:
        __mod_zone_page_state(g, zone, NR_FREE_CMA_PAGES, pages)


# ------------------------------------------------------------------ free lists

cdef inline uint32_t free_list(const Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    return zone.free_list + order * MIGRATE_TYPES + mt


cdef inline void add_to_free_list(Pgdat *g, uint32_t pfn, Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    list_add(g.map, pfn, free_list(zone, order, mt))
    zone.nr_free[order] += 1


cdef inline void add_to_free_list_tail(Pgdat *g, uint32_t pfn, Zone *zone, uint32_t order,
                                       uint32_t mt) noexcept nogil:
    list_add_tail(g.map, pfn, free_list(zone, order, mt))
    zone.nr_free[order] += 1


cdef inline void move_to_free_list(Pgdat *g, uint32_t pfn, Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    list_del(g.map, pfn)
    list_add_tail(g.map, pfn, free_list(zone, order, mt))


cdef inline void del_page_from_free_list(Pgdat *g, uint32_t pfn, Zone *zone, uint32_t order) noexcept nogil:
    cdef Page *page = &g.map[pfn]
    page.flags &= ~<uint32_t>PG_reported
    list_del(g.map, pfn)
    page.page_type &= ~<uint32_t>PG_buddy
    page.private_ = 0
    zone.nr_free[order] -= 1


# ------------------------------------------------------------------ bad pages

cdef inline bint page_expected_state(const Page *page, uint32_t check_flags) noexcept nogil:
    return (page.page_type | page.mapping | <uint32_t>page.refcount | (page.flags & check_flags)) == 0


cdef inline bint check_free_page(Pgdat *g, uint32_t pfn) noexcept nogil:
    if page_expected_state(&g.map[pfn], PAGE_FLAGS_CHECK_AT_FREE):
        return False
    bad_page_with(g, pfn, PAGE_FLAGS_CHECK_AT_FREE)
    return True


cdef inline bint check_new_page(Pgdat *g, uint32_t pfn) noexcept nogil:
    if page_expected_state(&g.map[pfn], PAGE_FLAGS_CHECK_AT_PREP):
        return False
    bad_page_with(g, pfn, PAGE_FLAGS_CHECK_AT_PREP)
    return True


# ------------------------------------------------------------------ merging

cdef inline bint page_is_buddy(Pgdat *g, const Zone *zone, uint32_t buddy_pfn, uint32_t order) noexcept nogil:
    cdef const Page *buddy = &g.map[buddy_pfn]
    return PageBuddy(buddy) and buddy.private_ == order and zone_spans_pfn(zone, buddy_pfn)


cdef inline bint buddy_merge_likely(Pgdat *g, const Zone *zone, uint32_t pfn, uint32_t buddy_pfn,
                                    uint32_t order) noexcept nogil:
    # The next higher block may soon be whole: then this one had better wait at the tail.
    cdef uint32_t combined_pfn = buddy_pfn & pfn
    if order >= g.max_order - 2:
        return False
    return page_is_buddy(g, zone, combined_pfn ^ (<uint32_t>1 << (order + 1)), order + 1)


cdef inline bint isolation_border(Pgdat *g, const Zone *zone, uint32_t pfn, uint32_t order, uint32_t mt) noexcept nogil:
    # Above pageblock_order, blocks on the two sides of an isolated range must not merge.
    cdef uint32_t buddy_mt
    if not zone.nr_isolate_pageblock:
        return False
    buddy_mt = get_pfnblock_migratetype(g, zone, pfn ^ (<uint32_t>1 << order))
    return mt != buddy_mt and (mt == MIGRATE_ISOLATE or buddy_mt == MIGRATE_ISOLATE)


cdef inline bint compaction_capture(Pgdat *g, const Zone *zone, uint32_t pfn, uint32_t order,
                                    uint32_t mt) noexcept nogil:
    # Direct compaction waits for a block of this order, and gets it before any list does.
    if (g.captured != NO_PAGE or g.capturing.zone != zone or g.capturing.order != <int>order
            or mt == MIGRATE_CMA or mt == MIGRATE_ISOLATE or order < g.pageblock_order and mt == MIGRATE_MOVABLE):
        return False
    g.captured = pfn
    return True


cdef inline void __free_one_page(Pgdat *g, uint32_t pfn, Zone *zone, uint32_t order, uint32_t mt,
                                 uint32_t fpi_flags) noexcept nogil:
    cdef uint32_t top = g.max_order - 1
    cdef uint32_t buddy_pfn = pfn
    if mt != MIGRATE_ISOLATE:
        __mod_zone_freepage_state(g, zone, <int64_t>1 << order, mt)
    while order < top:
        if g.capturing != NULL and compaction_capture(g, zone, pfn, order, mt):
            __mod_zone_freepage_state(g, zone, -(<int64_t>1 << order), mt)
            return
        buddy_pfn = pfn ^ (<uint32_t>1 << order)
        if order >= g.pageblock_order and isolation_border(g, zone, pfn, order, mt):
            break
        if not page_is_buddy(g, zone, buddy_pfn, order):
            break
        del_page_from_free_list(g, buddy_pfn, zone, order)
        pfn &= buddy_pfn
        order += 1
    set_buddy_order(&g.map[pfn], order)
    if fpi_flags & FPI_TO_TAIL or buddy_merge_likely(g, zone, pfn, buddy_pfn, order):
        add_to_free_list_tail(g, pfn, zone, order, mt)
    else:
        add_to_free_list(g, pfn, zone, order, mt)


# ------------------------------------------------------------------ requests

cdef inline uint32_t gfp_migratetype(const Pgdat *g, uint32_t gfp_mask) noexcept nogil:
    if g.page_group_by_mobility_disabled:
        return MIGRATE_UNMOVABLE
    return (gfp_mask & GFP_MOVABLE_MASK) >> GFP_MOVABLE_SHIFT


cdef inline uint32_t current_alloc_flags(const Pgdat *g, uint32_t gfp_mask, uint32_t alloc_flags) noexcept nogil:
    if g.cma and gfp_migratetype(g, gfp_mask) == MIGRATE_MOVABLE:
        alloc_flags |= ALLOC_CMA
    return alloc_flags
