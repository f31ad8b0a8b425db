"""The free scanner: free pages from the end of a zone, for movable ones to go to (mm/compaction.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.compaction.skip cimport *
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.zonelist cimport isolate_free_page
from bootsim.linux.mm.page_alloc.structs cimport *


cdef uint32_t take_free_block(Pgdat *g, CompactControl *cc, uint32_t pfn, uint32_t order) noexcept nogil:
    # A free block goes to the list of the free scanner; how many pages.
    cdef uint32_t pages = isolate_free_page(g, pfn, order)
    if pages:
        g.map[pfn].private_ = order
        cc.nr_freepages += pages
        list_add_tail(g.map, pfn, cc.freepages)
        tell_owners(g, TOOK_FREE_BLOCK, pfn, order, 0)
    return pages


cdef uint32_t isolate_freepages_block(Pgdat *g, CompactControl *cc, int64_t *start_pfn, int64_t end_pfn,
                                      uint32_t stride) noexcept nogil:
    cdef int64_t pfn = start_pfn[0]
    cdef uint32_t total_isolated = 0, isolated, order
    while pfn < end_pfn:
        if g.owners.stop:
            break
        cc.total_free_scanned += 1
        if PageCompound(&g.map[pfn]):
            order = compound_order(g, pfn)
            pfn += stride + ((<int64_t>1 << order) - 1 if order < g.max_order else 0)
            continue
        if not PageBuddy(&g.map[pfn]):
            pfn += stride
            continue
        isolated = take_free_block(g, cc, pfn, g.map[pfn].private_)
        if not isolated:
            break
        total_isolated += isolated
        if cc.nr_migratepages <= cc.nr_freepages:
            pfn += isolated
            break
        pfn += isolated - 1 + stride
    start_pfn[0] = min(pfn, end_pfn)
    count_vm_events(g, COMPACTISOLATED, total_isolated)
    return total_isolated


cdef void split_map_pages(Pgdat *g, uint32_t head) noexcept nogil:
    # Blocks become single pages, the last page of the last block first.
    cdef Page *map = g.map
    cdef uint32_t pfn = map[head].next
    cdef uint32_t next_, i, end
    list_init(map, head)
    while pfn != head:
        next_ = map[pfn].next
        end = pfn + (<uint32_t>1 << map[pfn].private_)
        for i in range(pfn, end):
            map[i].private_ = 0
            map[i].refcount = 1
            list_add(map, i, head)
        pfn = next_


cdef bint suitable_migration_target(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    if PageBuddy(&g.map[pfn]) and g.map[pfn].private_ >= g.pageblock_order:
        return False
    return cc.ignore_block_suitable or is_migrate_movable(get_pfnblock_migratetype(g, cc.zone, pfn))


cdef void move_freelist_head(Pgdat *g, uint32_t head, uint32_t freepage, uint32_t order) noexcept nogil:
    # A search that found nothing ends at the head itself: as in the kernel, nothing changes then.
    if freepage != head and g.map[head].next != freepage:
        turn_list(g, head, freepage)
        tell_owners(g, TURNED_LIST, freepage, 0, order)


cdef void fast_isolate_around(Pgdat *g, CompactControl *cc, int64_t pfn) noexcept nogil:
    cdef int64_t start_pfn, end_pfn, block
    if cc.nr_freepages >= cc.nr_migratepages or cc.direct_compaction and cc.mode == MIGRATE_ASYNC:
        return
    block = start_pfn = max(pageblock_start_pfn(g, pfn), <int64_t>cc.zone.start_pfn)
    end_pfn = min(pageblock_end_pfn(g, pfn), zone_end_pfn(cc.zone))
    isolate_freepages_block(g, cc, &start_pfn, end_pfn, 1)
    if cc.nr_freepages < cc.nr_migratepages:
        set_pageblock_skip(g, cc.zone, block, True)


cdef int next_search_order(CompactControl *cc, int order) noexcept nogil:
    order -= 1
    if order < 0:
        order = cc.order - 1
    if order == cc.search_order:
        cc.search_order -= 1
        if cc.search_order < 0:
            cc.search_order = cc.order - 1
        return -1
    return order


cdef uint32_t search_free_list(Pgdat *g, CompactControl *cc, int order, int64_t low_pfn, int64_t min_pfn,
                               int64_t *highest, uint32_t *limit, uint32_t *order_scanned) noexcept nogil:
    # fast_isolate_freepages() on one list, from its end: the block to take, or NO_PAGE
    cdef uint32_t head = free_list(cc.zone, order, MIGRATE_MOVABLE)
    cdef uint32_t freepage = g.map[head].prev
    cdef uint32_t page = NO_PAGE
    cdef int64_t high_pfn = 0
    order_scanned[0] = 0
    while freepage != head:
        order_scanned[0] += 1
        if freepage >= highest[0]:
            highest[0] = max(pageblock_start_pfn(g, freepage), <int64_t>cc.zone.start_pfn)
        if freepage >= low_pfn:
            cc.fast_search_fail = 0
            cc.search_order = order
            page = freepage
            break
        if freepage >= min_pfn and freepage > high_pfn:
            high_pfn = freepage
            limit[0] >>= 1
        if order_scanned[0] >= limit[0]:
            break
        freepage = g.map[freepage].prev
    if page == NO_PAGE and high_pfn:
        page = freepage = <uint32_t>high_pfn
    move_freelist_head(g, head, freepage, order)
    return page


cdef int64_t fast_search_failed(Pgdat *g, CompactControl *cc, bint scan_start, int64_t highest,
                                int64_t min_pfn) noexcept nogil:
    # Where the scan begins when the lists gave nothing: 0 when it is not moved
    cc.fast_search_fail += 1
    if scan_start and highest:
        cc.free_pfn = highest
        return highest
    if scan_start and cc.direct_compaction and cc.zone.start_pfn <= min_pfn < zone_end_pfn(cc.zone):
        cc.free_pfn = min_pfn
        if pageblock_in_zone(cc.zone, min_pfn, min(pageblock_end_pfn(g, min_pfn), zone_end_pfn(cc.zone))):
            return min_pfn
    return 0


cdef int64_t fast_isolate_freepages(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef uint32_t limit = min(<uint32_t>1, freelist_scan_limit(cc) >> 1)
    cdef uint32_t order_scanned, page = NO_PAGE
    cdef int64_t low_pfn, min_pfn, highest = 0, found
    cdef uint32_t distance
    cdef bint scan_start = False
    cdef int order
    if cc.order <= 0:
        return cc.free_pfn
    if cc.free_pfn >= cc.zone.compact_init_free_pfn:
        limit = (<uint32_t>1 << g.pageblock_order) >> 1
        scan_start = True
    # Unsigned: when the free scanner has passed the other, no list can give what is asked for.
    distance = <uint32_t>(cc.free_pfn - cc.migrate_pfn)
    low_pfn = pageblock_start_pfn(g, <uint32_t>(cc.free_pfn - (distance >> 2)))
    min_pfn = pageblock_start_pfn(g, <uint32_t>(cc.free_pfn - (distance >> 1)))
    if min_pfn > low_pfn:
        low_pfn = min_pfn
    cc.search_order = min(cc.order - 1, cc.search_order)
    order = cc.search_order
    while page == NO_PAGE and order >= 0 and not g.owners.stop:
        if cc.zone.nr_free[order]:
            page = search_free_list(g, cc, order, low_pfn, min_pfn, &highest, &limit, &order_scanned)
            cc.total_free_scanned += order_scanned
            if page != NO_PAGE and take_free_block(g, cc, page, order):
                count_vm_events(g, COMPACTISOLATED, <int64_t>1 << order)
            elif page != NO_PAGE:
                order = cc.search_order + 1
                page = NO_PAGE
            if order_scanned >= limit:
                limit = min(<uint32_t>1, limit >> 1)
        order = next_search_order(cc, order)
    found = page
    if page == NO_PAGE:
        found = fast_search_failed(g, cc, scan_start, highest, min_pfn)
    if highest and highest >= cc.zone.compact_cached_free_pfn:
        cc.zone.compact_cached_free_pfn = highest - (<int64_t>1 << g.pageblock_order)
    if found == 0:
        return cc.free_pfn
    fast_isolate_around(g, cc, found)
    return found


cdef void isolate_freepages(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef int64_t pageblock_pages = <int64_t>1 << g.pageblock_order
    cdef int64_t start_pfn, end_pfn, isolate_start_pfn, low_pfn
    cdef uint32_t stride, nr_isolated
    fast_isolate_freepages(g, cc)
    if cc.nr_freepages:
        split_map_pages(g, cc.freepages)
        return
    isolate_start_pfn = cc.free_pfn
    start_pfn = pageblock_start_pfn(g, isolate_start_pfn)
    end_pfn = min(start_pfn + pageblock_pages, zone_end_pfn(cc.zone))
    low_pfn = pageblock_end_pfn(g, cc.migrate_pfn)
    stride = COMPACT_CLUSTER_MAX if cc.mode == MIGRATE_ASYNC else 1
    while start_pfn >= low_pfn and not g.owners.stop:
        if (pageblock_in_zone(cc.zone, start_pfn, end_pfn) and suitable_migration_target(g, cc, start_pfn)
                and (cc.ignore_skip_hint or not get_pageblock_skip(g, cc.zone, start_pfn))):
            nr_isolated = isolate_freepages_block(g, cc, &isolate_start_pfn, end_pfn, stride)
            if isolate_start_pfn == end_pfn:
                update_pageblock_skip(g, cc, start_pfn)
            if cc.nr_freepages >= cc.nr_migratepages:
                if isolate_start_pfn >= end_pfn:
                    isolate_start_pfn = start_pfn - pageblock_pages
                break
            if isolate_start_pfn < end_pfn:
                break
            stride = 1 if nr_isolated else min(<uint32_t>COMPACT_CLUSTER_MAX, stride << 1)
        end_pfn = start_pfn
        start_pfn -= pageblock_pages
        isolate_start_pfn = start_pfn
    cc.free_pfn = isolate_start_pfn
    split_map_pages(g, cc.freepages)


cdef uint32_t compaction_alloc(Pgdat *g, CompactControl *cc) noexcept nogil:
    cdef uint32_t pfn
    if list_empty(g.map, cc.freepages):
        isolate_freepages(g, cc)
        if list_empty(g.map, cc.freepages):
            return NO_PAGE
    pfn = g.map[cc.freepages].next
    list_del(g.map, pfn)
    cc.nr_freepages -= 1
    return pfn


cdef int64_t release_freepages(Pgdat *g, uint32_t head) noexcept nogil:
    cdef uint32_t pfn = g.map[head].next
    cdef uint32_t next_
    cdef int64_t high_pfn = 0
    list_init(g.map, head)
    while pfn != head:
        next_ = g.map[pfn].next
        if g.owners.frees:
            free_pages_by_refcount(g, pfn, 0)
        high_pfn = max(high_pfn, <int64_t>pfn)
        pfn = next_
    return high_pfn
