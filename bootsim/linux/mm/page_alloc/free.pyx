"""The way back: per-cpu lists, the free lists, and the boot's way in (mm/page_alloc.c)."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    CLEARED_WHEN_FREED = PAGE_FLAGS_CHECK_AT_PREP | PG_poisoned


cdef const char *tail_fault(const Pgdat *g, uint32_t head_pfn, uint32_t pfn) noexcept nogil:
    # free_tail_pages_check(): why a tail page is bad, or NULL
    cdef const Page *page = &g.map[pfn]
    if pfn == head_pfn + 1 and page.mapping != 0xFFFFFFFFU:
        return b"nonzero compound_mapcount"
    if pfn > head_pfn + 2 and page.mapping != TAIL_MAPPING:
        return b"corrupted mapping in tail page"
    if not PageTail(page):
        return b"PageTail not set"
    if compound_head(g, pfn) != head_pfn:
        return b"compound_head not consistent"
    return NULL


cdef void free_tail_pages(Pgdat *g, uint32_t pfn, uint32_t order, int *bad) noexcept nogil:
    cdef bint compound = PageCompound(&g.map[pfn])
    cdef uint32_t i
    cdef Page *page
    cdef const char *fault
    for i in range(pfn + 1, pfn + (<uint32_t>1 << order)):
        page = &g.map[i]
        if compound:
            fault = tail_fault(g, pfn, i) if g.debug_vm else NULL
            if fault != NULL:
                bad_page(g, i, fault)
                bad[0] += 1
            page.mapping = 0
            page.next &= ~<uint32_t>TAIL_MARK
        if check_free_page(g, i):
            bad[0] += 1
        else:
            page.flags &= ~<uint32_t>CLEARED_WHEN_FREED


cdef inline bint free_pages_prepare(Pgdat *g, uint32_t pfn, uint32_t order, bint check_free) noexcept nogil:
    cdef Page *page = &g.map[pfn]
    cdef int bad = 0
    if order:
        free_tail_pages(g, pfn, order, &bad)
    if page.mapping & 3:
        page.mapping = 0
    if check_free and check_free_page(g, pfn):
        bad += 1
    if bad:
        return False
    page.flags &= ~<uint32_t>CLEARED_WHEN_FREED
    return True


cdef void free_pcppages_bulk(Pgdat *g, Zone *zone, int32_t count, PerCpuPages *pcp) noexcept nogil:
    cdef Page *map = g.map
    cdef uint32_t mt = 0
    cdef uint32_t head = g.tmp_list
    cdef uint32_t list_, pfn, next_
    cdef int32_t batch_free = 0
    if count > pcp.count:
        count = pcp.count
    list_init(map, head)
    while count:
        # Round-robin over the types; every empty list met lets the next one give a page more.
        while True:
            batch_free += 1
            mt += 1
            if mt == MIGRATE_PCPTYPES:
                mt = 0
            list_ = pcp.lists + mt
            if not list_empty(map, list_):
                break
        if batch_free == MIGRATE_PCPTYPES:
            batch_free = count
        while True:
            pfn = map[list_].prev
            list_del(map, pfn)
            map[pfn].flags &= ~<uint32_t>PG_on_pcp
            pcp.count -= 1
            if not g.checks_lists or not check_free_page(g, pfn):
                list_add_tail(map, pfn, head)
            count -= 1
            if count == 0:
                break
            batch_free -= 1
            if batch_free == 0 or list_empty(map, list_):
                break
    pfn = map[head].next
    while pfn != head:
        next_ = map[pfn].next
        mt = map[pfn].index
        if zone.nr_isolate_pageblock:
            mt = get_pfnblock_migratetype(g, zone, pfn)
        __free_one_page(g, pfn, zone, 0, mt, FPI_NONE)
        pfn = next_


cdef void free_one_page(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t order, uint32_t mt,
                        uint32_t fpi_flags) noexcept nogil:
    if zone.nr_isolate_pageblock or mt == MIGRATE_ISOLATE:
        mt = get_pfnblock_migratetype(g, zone, pfn)
    __free_one_page(g, pfn, zone, order, mt, fpi_flags)


cdef void free_pages_ok(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t fpi_flags) noexcept nogil:
    # __free_pages_ok()
    cdef Zone *zone
    if not free_pages_prepare(g, pfn, order, True):
        return
    zone = page_zone(g, pfn)
    count_vm_events(g, PGFREE, <int64_t>1 << order)
    free_one_page(g, zone, pfn, order, get_pfnblock_migratetype(g, zone, pfn), fpi_flags)


cdef inline void free_unref_page_commit(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t mt) noexcept nogil:
    cdef PerCpuPages *pcp
    count_vm_events(g, PGFREE, 1)
    if mt >= MIGRATE_PCPTYPES:
        if mt == MIGRATE_ISOLATE:
            free_one_page(g, zone, pfn, 0, mt, FPI_NONE)
            return
        mt = MIGRATE_MOVABLE
    pcp = &zone.pageset[g.cpu]
    list_add(g.map, pfn, pcp.lists + mt)
    g.map[pfn].flags |= PG_on_pcp
    pcp.count += 1
    if pcp.count >= pcp.high:
        free_pcppages_bulk(g, zone, pcp.batch, pcp)


cdef void free_unref_page_of(Pgdat *g, uint32_t pfn) noexcept nogil:
    # free_unref_page(). Only with DEBUG_VM or debug_pagealloc=on is the page checked now, else when it leaves its list.
    cdef Zone *zone
    cdef uint32_t mt
    if not free_pages_prepare(g, pfn, 0, g.checks_pcp):
        return
    zone = page_zone(g, pfn)
    mt = get_pfnblock_migratetype(g, zone, pfn)
    g.map[pfn].index = mt
    free_unref_page_commit(g, zone, pfn, mt)


cdef void free_pages_by_refcount(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # __free_pages(): drops one reference. If others remain on a page that is no compound page, all but the first page
    # are freed now: nobody else could.
    g.map[pfn].refcount -= 1
    if g.map[pfn].refcount:
        free_rest_of_block(g, pfn, order)
    elif order:
        free_pages_ok(g, pfn, order, FPI_NONE)
    else:
        free_unref_page_of(g, pfn)


cdef void free_rest_of_block(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    if g.map[pfn].flags & PG_head:
        return
    while order > 1:
        order -= 1
        free_pages_ok(g, pfn + (<uint32_t>1 << order), order, FPI_NONE)
    if order:
        free_unref_page_of(g, pfn + 1)


cdef void drain_pages_zone_of(Pgdat *g, uint32_t cpu, Zone *zone) noexcept nogil:
    cdef PerCpuPages *pcp = &zone.pageset[cpu]
    if pcp.count:
        free_pcppages_bulk(g, zone, pcp.count, pcp)


cdef void drain_all_pages_of(Pgdat *g, int zone) noexcept nogil:
    # every cpu's lists, of one zone or, with -1, of all
    cdef uint32_t cpu, i
    for cpu in range(g.nr_cpus):
        for i in range(g.nr_zones):
            if g.zones[i].present_pages and (zone < 0 or <uint32_t>zone == i):
                drain_pages_zone_of(g, cpu, &g.zones[i])


# ------------------------------------------------------------------ the boot's way in

cdef void __free_pages_core(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        g.map[i].flags &= ~<uint32_t>PG_reserved
        g.map[i].refcount = 0
    page_zone(g, pfn).managed_pages += <uint32_t>1 << order
    free_pages_ok(g, pfn, order, FPI_TO_TAIL)


cdef void free_untouched_pages(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # __free_pages_core() of pages that nobody has touched since memmap_init(): their records are zero, as they must be
    # inside a free block, so only the block's first page is written.
    cdef Zone *zone = page_zone(g, pfn)
    zone.managed_pages += <uint32_t>1 << order
    count_vm_events(g, PGFREE, <int64_t>1 << order)
    free_one_page(g, zone, pfn, order, get_pfnblock_migratetype(g, zone, pfn), FPI_TO_TAIL)


cdef void free_untouched_highmem_page(Pgdat *g, uint32_t pfn) noexcept nogil:
    # __free_reserved_page() and the count of free_highmem_page()
    g.map[pfn].flags &= ~<uint32_t>PG_reserved
    g.map[pfn].refcount = 0
    free_unref_page_of(g, pfn)
    page_zone(g, pfn).managed_pages += 1


cdef bint block_can_pass_whole(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t end_pfn) noexcept nogil:
    # Whether freeing the largest block from `pfn` on page by page comes to the same as putting it whole at the head of
    # its list: the per-cpu list passes every page on at once, and nothing outside the block can merge with it.
    cdef uint32_t block_pages = <uint32_t>1 << (g.max_order - 1)
    cdef PerCpuPages *pcp = &zone.pageset[g.cpu]
    return (pfn & (block_pages - 1) == 0 and end_pfn - pfn >= block_pages
            and zone_spans_pfn(zone, pfn) and zone_spans_pfn(zone, pfn + block_pages - 1)
            and g.pageblock_order == g.max_order - 1 and pcp.count == 0 and pcp.high <= 1 and pcp.batch >= 1
            and pcp.stat_threshold == 0 and zone.nr_isolate_pageblock == 0
            and get_pfnblock_migratetype(g, zone, pfn) != MIGRATE_ISOLATE)


cdef void free_untouched_highmem(Pgdat *g, uint32_t pfn, uint32_t end_pfn) noexcept nogil:
    cdef uint32_t top = g.max_order - 1
    cdef uint32_t block_pages = <uint32_t>1 << top
    cdef uint32_t mt
    cdef Zone *zone
    while pfn < end_pfn:
        zone = page_zone(g, pfn)
        if not block_can_pass_whole(g, zone, pfn, end_pfn):
            free_untouched_highmem_page(g, pfn)
            pfn += 1
            continue
        mt = get_pfnblock_migratetype(g, zone, pfn)
        __mod_zone_freepage_state(g, zone, block_pages, mt)
        set_buddy_order(&g.map[pfn], top)
        add_to_free_list(g, pfn, zone, top, mt)
        zone.managed_pages += block_pages
        count_vm_events(g, PGFREE, block_pages)
        pfn += block_pages
