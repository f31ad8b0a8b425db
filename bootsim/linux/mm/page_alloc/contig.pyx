# cython: nonecheck=True
"""Taking a given range of pages: isolation of pageblocks, alloc_contig_range() (mm/page_alloc.c)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.errno cimport EBUSY
from bootsim.linux.mm.page_alloc.api cimport drop_reference
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist, check_migratetype, check_pfn_range, round_up
from bootsim.linux.mm.page_alloc.report cimport log_bad_pages
from bootsim.linux.mm.page_alloc.fallback cimport move_freepages_block
from bootsim.linux.mm.page_alloc.zonelist cimport isolate_free_page
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.mm.page_alloc.node import PageFrameError


cdef int has_unmovable_pages(Pgdat *g, const Zone *zone, uint32_t pfn, uint32_t mt) noexcept nogil:
    # The pageblock from `pfn` on; True when a page in it can neither be taken nor moved away.
    cdef uint32_t end_pfn = (pfn | ((<uint32_t>1 << g.pageblock_order) - 1)) + 1
    cdef const Page *page
    cdef bint movable_zone = zone.index == g.gfp_zone[__GFP_MOVABLE | __GFP_HIGHMEM]
    if get_pfnblock_migratetype(g, zone, pfn) == MIGRATE_CMA:
        return mt != MIGRATE_CMA
    while pfn < end_pfn:
        page = &g.map[pfn]
        if page.flags & PG_reserved:
            return True
        if movable_zone:  # whatever is in it is taken for movable
            pfn += 1
            continue
        if PageBuddy(page) and page.refcount == 0:
            pfn += <uint32_t>1 << page.private_
            continue
        if page.refcount and not (page.flags & PG_lru or page.mapping & 3 == 2):
            return True
        pfn += 1
    return False


cdef int isolate_pageblock(Pgdat *g, uint32_t pfn, uint32_t mt) noexcept nogil:
    # set_migratetype_isolate() without its drain of the per-cpu lists; 0 or -EBUSY
    cdef Zone *zone = page_zone(g, pfn)
    cdef uint32_t old_mt = get_pfnblock_migratetype(g, zone, pfn)
    cdef uint32_t moved
    if old_mt == MIGRATE_ISOLATE or has_unmovable_pages(g, zone, pfn, mt):
        return -16
    set_pfnblock_migratetype(g, zone, pfn, MIGRATE_ISOLATE)
    zone.nr_isolate_pageblock += 1
    moved = move_freepages_block(g, zone, pfn, MIGRATE_ISOLATE, NULL)
    __mod_zone_freepage_state(g, zone, -<int64_t>moved, old_mt)
    return 0


cdef void unisolate_pageblock(Pgdat *g, uint32_t pfn, uint32_t mt) noexcept nogil:
    # unset_migratetype_isolate()
    cdef Zone *zone = page_zone(g, pfn)
    cdef uint32_t order = 0
    cdef uint32_t buddy_pfn, moved
    cdef bint isolated_page = False
    if get_pfnblock_migratetype(g, zone, pfn) != MIGRATE_ISOLATE:
        return
    if PageBuddy(&g.map[pfn]):
        # A block this large may not have merged across the border of the isolated range: take it and free it again.
        order = g.map[pfn].private_
        buddy_pfn = pfn ^ (<uint32_t>1 << order)
        if (order >= g.pageblock_order and zone_spans_pfn(zone, buddy_pfn)
                and get_pfnblock_migratetype(g, zone, buddy_pfn) != MIGRATE_ISOLATE):
            isolate_free_page(g, pfn, order)
            isolated_page = True
    if not isolated_page:
        moved = move_freepages_block(g, zone, pfn, mt, NULL)
        __mod_zone_freepage_state(g, zone, moved, mt)
    set_pfnblock_migratetype(g, zone, pfn, mt)
    if isolated_page:
        __free_one_page(g, pfn, zone, order, mt, FPI_SKIP_REPORT_NOTIFY | FPI_TO_TAIL)
    zone.nr_isolate_pageblock -= 1


cdef uint32_t isolate_freepages_range(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil:
    # Takes every free block in the range and makes single pages of it; where it ended, at or above end_pfn, or 0.
    cdef uint32_t pfn = start_pfn
    cdef uint32_t order, i
    while pfn < end_pfn:
        if not PageBuddy(&g.map[pfn]):
            return 0
        order = g.map[pfn].private_
        if isolate_free_page(g, pfn, order) == 0:
            return 0
        for i in range(pfn, pfn + (<uint32_t>1 << order)):
            g.map[i].private_ = 0
            g.map[i].refcount = 1
        pfn += <uint32_t>1 << order
    count_vm_events(g, COMPACTISOLATED, pfn - start_pfn)
    return pfn


cdef uint32_t block_over(Pgdat *g, uint32_t pfn) noexcept nogil:
    # The start of the free block that holds `pfn`, or `pfn` when none does.
    cdef uint32_t order = 0
    cdef uint32_t outer = pfn
    while not PageBuddy(&g.map[outer]):
        order += 1
        outer &= ~<uint32_t>0 << order
        if order >= g.max_order or outer < g.base:
            return pfn
    if outer != pfn and outer + (<uint32_t>1 << g.map[outer].private_) <= pfn:
        return pfn
    return outer


cdef bint pages_isolated(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil:
    # !test_pages_isolated(): every pageblock isolated, every page on a free list
    cdef uint32_t pfn = start_pfn
    while pfn < end_pfn:
        if get_pfnblock_migratetype(g, page_zone(g, pfn), pfn) != MIGRATE_ISOLATE:
            return False
        pfn += <uint32_t>1 << g.pageblock_order
    pfn = start_pfn
    while pfn < end_pfn and PageBuddy(&g.map[pfn]):
        pfn += <uint32_t>1 << g.map[pfn].private_
    return pfn >= end_pfn


# ------------------------------------------------------------------ the parts, for those who replay them one by one

cdef Zone *zone_of(Pgdat *g, uint32_t pfn) noexcept nogil:
    return page_zone(g, pfn)


cdef uint32_t free_list_of(const Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    return free_list(zone, order, mt)


cdef uint32_t get_pageblock(Pgdat *g, uint32_t pfn) noexcept nogil:
    return get_pfnblock_migratetype(g, page_zone(g, pfn), pfn)


cdef void move_block(Pgdat *g, uint32_t pfn, uint32_t mt, bint with_pages) noexcept nogil:
    # A pageblock changes its type, and with it, if `with_pages`, the lists of its free pages. Isolated pages do not
    # count as free.
    cdef Zone *zone = page_zone(g, pfn)
    cdef uint32_t old_mt = get_pfnblock_migratetype(g, zone, pfn)
    cdef uint32_t moved = move_freepages_block(g, zone, pfn, mt, NULL) if with_pages else 0
    set_pfnblock_migratetype(g, zone, pfn, mt)
    if mt == MIGRATE_ISOLATE and old_mt != MIGRATE_ISOLATE:
        zone.nr_isolate_pageblock += 1
        __mod_zone_freepage_state(g, zone, -<int64_t>moved, old_mt)
    elif old_mt == MIGRATE_ISOLATE and mt != MIGRATE_ISOLATE:
        zone.nr_isolate_pageblock -= 1
        __mod_zone_freepage_state(g, zone, moved, mt)


cdef bint isolate_contig(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil:
    # Takes all free blocks that the range touches, if all of it is free.
    cdef uint32_t outer = block_over(g, start_pfn)
    return pages_isolated(g, outer, end_pfn) and isolate_freepages_range(g, outer, end_pfn) != 0


cdef void put_free_block(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t mt, uint32_t fpi_flags) noexcept nogil:
    # __putback_isolated_page()
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        g.map[i].refcount = 0
    __free_one_page(g, pfn, page_zone(g, pfn), order, mt, fpi_flags)


cdef void take_one(Pgdat *g, uint32_t pfn) noexcept nogil:
    # Takes one page off whatever list holds it; what is left of its block goes back in smaller blocks.
    cdef Zone *zone = page_zone(g, pfn)
    cdef uint32_t cpu, order, half, mt
    cdef uint32_t block = block_of(g, pfn)
    cdef uint32_t head = pfn
    if g.map[pfn].flags & PG_on_pcp:
        while head < g.heads_base:
            head = g.map[head].next
        list_del(g.map, pfn)
        g.map[pfn].flags &= ~<uint32_t>PG_on_pcp
        for cpu in range(g.nr_cpus):
            if zone.pageset[cpu].lists <= head < zone.pageset[cpu].lists + MIGRATE_PCPTYPES:
                zone.pageset[cpu].count -= 1
    elif block != NO_PAGE:
        order = g.map[block].private_
        mt = get_pfnblock_migratetype(g, zone, pfn)
        del_page_from_free_list(g, block, zone, order)
        __mod_zone_freepage_state(g, zone, -1, mt)
        while order > 0:
            order -= 1
            half = block + (<uint32_t>1 << order)
            if pfn < half:
                half, block = block, half
            add_to_free_list(g, block, zone, order, mt)
            set_buddy_order(&g.map[block], order)
            block = half


cdef void take_free_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # Takes a block out of the lists, however it lies in them, and makes it allocated.
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        take_one(g, i)
    g.map[pfn].refcount = 1


def take_isolated_range(k, uint32_t start, uint32_t end):
    """Take the free pages of [start, end), isolated before, from the allocator, and with them the blocks they lie in.

    Returns the first and the end pfn of what was taken, or None when a page is in use: the middle of
    alloc_contig_range(), for those who replay its parts one by one.
    Source: mm/page_alloc.c alloc_contig_range(), mm/compaction.c isolate_freepages_range()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t outer_start, outer_end
    check_pfn_range(p.g, start, end)
    outer_start = block_over(p.g, start)
    if not pages_isolated(p.g, outer_start, end):
        printk(k, KERN_INFO, "alloc_contig_range: [{start:x}, {end:x}) PFNs busy", func="alloc_contig_range",
               start=outer_start, end=end)
        return None
    outer_end = isolate_freepages_range(p.g, outer_start, end)
    return (outer_start, outer_end) if outer_end else None


cdef int _needs_contig_alloc(k, str who) except -1:
    if not k.build.config.CONTIG_ALLOC:
        raise PageFrameError(f"{who}(): this kernel has no CONFIG_CONTIG_ALLOC")
    return 0


def alloc_contig_range(k, uint32_t start, uint32_t end, uint32_t migratetype):
    """Take exactly the pages [start, end), whose pageblocks have `migratetype`; return 0 or -errno.

    Raises PageFrameError for a range that is not the machine's, and without CONFIG_CONTIG_ALLOC.
    Source: mm/page_alloc.c alloc_contig_range(), mm/compaction.c isolate_freepages_range()
    Differs: pages of processes and files move away, and those with a holder (mm/migrate); the range is busy when
        another is in use.
    """
    from bootsim.linux.mm.migrate import empty_range
    from bootsim.linux.mm.page_isolation import start_isolate_page_range, undo_isolate_page_range

    cdef Pglist p = k.mm.pgdat
    cdef uint32_t block_pages = <uint32_t>1 << (p.g.max_order - 1)
    _needs_contig_alloc(k, "alloc_contig_range")
    check_pfn_range(p.g, start, end)
    check_migratetype(p, migratetype)
    first, last = start & ~(block_pages - 1), round_up(end, block_pages)
    if start_isolate_page_range(k, first, last, migratetype):
        return -EBUSY
    ret = empty_range(k, start, end)
    if ret in (0, -EBUSY):  # what was busy may be free by now
        taken = take_isolated_range(k, start, end)
        ret = 0 if taken else -EBUSY
        if taken:
            free_contig_range(k, taken[0], start - taken[0])
            free_contig_range(k, end, taken[1] - end)
    undo_isolate_page_range(k, first, last, migratetype)
    return ret


cdef bint pfn_range_valid_contig(Pgdat *g, const Zone *zone, uint32_t start_pfn, uint32_t nr_pages) noexcept nogil:
    cdef uint32_t pfn
    for pfn in range(start_pfn, start_pfn + nr_pages):
        if (not has_pageblock(g, zone, pfn) or page_zone(g, pfn) != zone or g.map[pfn].flags & PG_reserved
                or g.map[compound_head(g, pfn)].refcount > 0):
            return False
    return True


def alloc_contig_pages(k, uint32_t nr_pages, uint32_t gfp_mask):
    """Take `nr_pages` single pages that lie one behind the other, free or to be emptied; the first pfn, or None.

    A number that is a power of two is also how they are aligned. Raises PageFrameError without CONFIG_CONTIG_ALLOC.
    Source: mm/page_alloc.c alloc_contig_pages(), __alloc_contig_pages()
    """
    cdef Pglist p = k.mm.pgdat
    cdef Zone *zone
    cdef uint64_t pfn
    cdef int i
    _needs_contig_alloc(k, "alloc_contig_pages")
    if not nr_pages:
        return None
    for i in range(<int>p.g.gfp_zone[gfp_mask & GFP_ZONEMASK], -1, -1):
        zone = &p.g.zones[i]
        if not zone.managed_pages:
            continue
        pfn = (<uint64_t>zone.start_pfn + nr_pages - 1) & ~(<uint64_t>nr_pages - 1)
        while pfn + nr_pages <= <uint64_t>zone.start_pfn + zone.spanned_pages:
            if (pfn_range_valid_contig(p.g, zone, <uint32_t>pfn, nr_pages)
                    and alloc_contig_range(k, <uint32_t>pfn, <uint32_t>(pfn + nr_pages), MIGRATE_MOVABLE) == 0):
                return pfn
            pfn += nr_pages
    return None


def free_contig_range(k, uint32_t pfn, uint32_t nr_pages):
    """Free `nr_pages` single pages from `pfn` on; False when the kernel stops on the way.

    Source: mm/page_alloc.c free_contig_range()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    cdef uint32_t count = 0
    if nr_pages:
        check_pfn_range(p.g, pfn, <uint64_t>pfn + nr_pages)
        for i in range(pfn, pfn + nr_pages):
            count += p.g.map[i].refcount != 1
            if (p.fills_freed or p.g.map[i].refcount != 1 or p.g.map[i].flags & PG_on_pcp or p.g.map[i].mapping
                    or block_of(p.g, i) != NO_PAGE):
                if not drop_reference(k, p, i, 0):
                    return False
            else:
                free_pages_by_refcount(p.g, i, 0)
        if p.g.nr_bad:
            log_bad_pages(k, p)
    if count:
        warn(k, "mm/page_alloc.c:8814", f"{count} pages are still in use!", func="free_contig_range")
    return True
