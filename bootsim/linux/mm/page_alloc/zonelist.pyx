"""What zones allow, and who of the zonelist gives the pages (mm/page_alloc.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.fallback cimport reserve_highatomic_pageblock
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.rmqueue cimport prep_compound_page, rmqueue_block, rmqueue_bulk
from bootsim.linux.mm.page_alloc.structs cimport *

# ------------------------------------------------------------------ watermarks

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


cdef bint zone_watermark_fast(Pgdat *g, const Zone *z, uint32_t order, uint32_t highest_zoneidx, uint32_t alloc_flags,
                              uint32_t gfp_mask) noexcept nogil:
    cdef int64_t free_pages = z.vm_stat[NR_FREE_PAGES]
    cdef int64_t mark = watermark_of(z, alloc_flags)
    if not order and enough_for_one(g, z, highest_zoneidx, alloc_flags):
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


# ------------------------------------------------------------------ requests

cdef uint32_t rmqueue_pcplist(Pgdat *g, Zone *zone, uint32_t mt, uint32_t alloc_flags) noexcept nogil:
    cdef PerCpuPages *pcp = &zone.pageset[g.cpu]
    cdef uint32_t head = pcp.lists + mt
    cdef uint32_t pfn
    while True:
        if list_empty(g.map, head):
            pcp.count += rmqueue_bulk(g, zone, pcp.batch, head, mt, alloc_flags)
            if list_empty(g.map, head):
                return NO_PAGE
        pfn = take_first(g, pcp, head)
        if not g.checks_pcp or not check_new_page(g, pfn):
            break
    count_vm_events(g, PGALLOC + zone.index, 1)
    return pfn


cdef inline bint has_pcplist(const Pgdat *g, uint32_t mt, uint32_t alloc_flags) noexcept nogil:
    # The list of movable pages may hold some of a CMA area, so that it is not for everybody.
    return not g.cma or alloc_flags & ALLOC_CMA or mt != MIGRATE_MOVABLE


cdef uint32_t rmqueue(Pgdat *g, Zone *zone, uint32_t order, uint32_t alloc_flags, uint32_t mt) noexcept nogil:
    cdef uint32_t pfn
    if order == 0 and has_pcplist(g, mt, alloc_flags):
        pfn = rmqueue_pcplist(g, zone, mt, alloc_flags)
    else:
        pfn = rmqueue_block(g, zone, order, alloc_flags, mt)
        if pfn == NO_PAGE:
            return NO_PAGE
    if zone.boosted_watermark:
        zone.boosted_watermark = False
        tell(g, WOKE_KSWAPD, zone.index, 0)
    return pfn


cdef void prep_new_page(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t gfp_flags,
                        uint32_t alloc_flags) noexcept nogil:
    prep_single_page(&g.map[pfn], alloc_flags)
    if order and gfp_flags & __GFP_COMP:
        prep_compound_page(g, pfn, order)


cdef uint32_t get_page_from_freelist(Pgdat *g, uint32_t gfp_mask, uint32_t order,
                                     uint32_t alloc_flags) noexcept nogil:
    cdef uint32_t highest_zoneidx = g.gfp_zone[gfp_mask & GFP_ZONEMASK]
    cdef uint32_t mt = gfp_migratetype(g, gfp_mask)
    cdef uint32_t i, pfn
    cdef Zone *zone
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if (not zone_watermark_fast(g, zone, order, highest_zoneidx, alloc_flags, gfp_mask)
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
