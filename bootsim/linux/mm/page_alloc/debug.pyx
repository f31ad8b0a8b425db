# cython: nonecheck=True
"""Looking at the allocator: snapshots and invariants."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist, check_pfn, migratetypes
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.linux.mm.page_alloc.node import PageFrameError


cdef list _list_pfns(const Pgdat *g, uint32_t head, uint32_t most):
    # The list's pfns, at most `most` of them, so that a broken list cannot hang.
    cdef list pfns = []
    cdef uint32_t pfn = g.map[head].next
    while pfn != head and most:
        pfns.append(pfn)
        pfn = g.map[pfn].next
        most -= 1
    return pfns


def zones_snapshot(k):
    """Every zone as `stages.json` shows it: numbers, free lists in list order, per-cpu lists.

    Source: none, bootsim's own
    """
    cdef Pglist p = k.mm.pgdat
    return [_zone_snapshot(p, i, k.nr_cpu_ids) for i in range(p.g.nr_zones)]


def _zone_snapshot(Pglist p not None, uint32_t i, uint32_t nr_cpus):
    cdef Pgdat *g = p.g
    cdef Zone *zone = &g.zones[i]
    cdef uint32_t order, mt, cpu
    cdef bint mapped = g.map != NULL
    return {
        "name": p.zone_names[i], "start_pfn": zone.start_pfn, "spanned": zone.spanned_pages,
        "present": zone.present_pages, "managed": zone.managed_pages, "nr_free_pages": zone.vm_stat[NR_FREE_PAGES],
        "watermark": [zone.watermark[0], zone.watermark[1], zone.watermark[2]],
        **({"watermark_boost": zone.watermark_boost} if zone.watermark_boost else {}),
        "lowmem_reserve": [zone.lowmem_reserve[j] for j in range(g.nr_zones)],
        "free_area": [{
            "nr_free": zone.nr_free[order],
            "lists": [_list_pfns(g, free_list(zone, order, mt), zone.spanned_pages) if mapped else []
                      for mt in migratetypes(p)],
        } for order in range(g.max_order)],
        "pcp": [{
            "count": zone.pageset[cpu].count, "high": zone.pageset[cpu].high, "batch": zone.pageset[cpu].batch,
            "lists": [_list_pfns(g, zone.pageset[cpu].lists + mt, zone.spanned_pages) if mapped else []
                      for mt in range(MIGRATE_PCPTYPES)],
        } for cpu in range(min_u32(nr_cpus, g.nr_cpus))],
    }


def page_info(k, uint32_t pfn):
    """One struct page as plain values: flags, refcount, mapcount, buddy and order, zone, migrate type.

    Source: include/linux/mm_types.h struct page
    """
    if not hasattr(k.mm, "pgdat"):
        raise PageFrameError(f"pfn {pfn:#x}: no struct page yet; bootmem_init() makes them")
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    cdef Page *page = &p.g.map[pfn]
    cdef Zone *zone = page_zone(p.g, pfn)
    tail = bool(PageTail(page))
    return {
        "pfn": pfn, "flags": page.flags & PAGE_FLAGS_CHECK_AT_PREP,
        "refcount": page.refcount, "mapcount": <int32_t>~page.page_type,
        "buddy": bool(PageBuddy(page)), "private": page.private_, "index": page.index, "mapping": page.mapping,
        "compound_head": page.next & ~<uint32_t>TAIL_MARK if tail else pfn,
        "head": bool(page.flags & PG_head), "reserved": bool(page.flags & PG_reserved),
        "zone": p.zone_names[zone.index], "migratetype": get_pfnblock_migratetype(p.g, zone, pfn),
    }


def is_pageblock_skipped(k, uint32_t pfn):
    """Whether compaction's scanners are to pass the pageblock that holds `pfn` by.

    Source: include/linux/pageblock-flags.h get_pageblock_skip()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    return get_pageblock_skip(p.g, page_zone(p.g, pfn), pfn)


# ------------------------------------------------------------------ invariants

def check_buddy_invariants(Pglist pgdat not None):
    """What is broken in the free lists and per-cpu lists, as sentences; an empty list when all is well.

    Free blocks are aligned, inside their zone, marked as buddies of their order, linked both ways, disjoint, and never
    mergeable with their buddy; counts are the lists' lengths; no zone holds more than it manages.
    Source: none, bootsim's own
    """
    cdef Pglist p = pgdat
    cdef uint32_t i
    broken = []
    owned = []
    for i in range(p.g.nr_zones):
        if p.g.zones[i].pageblock_flags != NULL:
            free_pages = _check_free_lists(p, i, owned, broken)
            cached = _check_pcp_lists(p, i, owned, broken)
            if free_pages + cached > p.g.zones[i].managed_pages:
                broken.append(f"{p.zone_names[i]}: {free_pages} free and {cached} cached pages, "
                              f"{p.g.zones[i].managed_pages} managed")
    owned.sort()
    for n in range(len(owned) - 1):
        pfn, pages, where = owned[n]
        if pfn + pages > owned[n + 1][0]:
            broken.append(f"{where} pfn {pfn:#x} overlaps {owned[n + 1][2]} pfn {owned[n + 1][0]:#x}")
    return broken


cdef _check_free_lists(Pglist p, uint32_t i, list owned, list broken):
    cdef Pgdat *g = p.g
    cdef Zone *zone = &g.zones[i]
    cdef uint32_t order, mt, pfn
    cdef int64_t drift = 0
    free_pages = isolated = 0
    for order in range(g.max_order):
        blocks = 0
        for mt in range(MIGRATE_TYPES):
            pfns = _list_pfns(g, free_list(zone, order, mt), zone.spanned_pages)
            blocks += len(pfns)
            isolated += len(pfns) << order if mt == MIGRATE_ISOLATE else 0
            where = f"{p.zone_names[i]} order {order} type {mt}" if pfns else ""
            for pfn in pfns:
                for what in _block_faults(g, zone, order, pfn):
                    broken.append(f"{where} pfn {pfn:#x}: {what}")
                owned.append((pfn, 1 << order, where))
        if blocks != zone.nr_free[order]:
            broken.append(f"{p.zone_names[i]} order {order}: nr_free {zone.nr_free[order]}, {blocks} blocks on lists")
        free_pages += blocks << order
    for cpu in range(g.nr_cpus):
        drift += zone.pageset[cpu].vm_stat_diff[NR_FREE_PAGES]
    if zone.vm_stat[NR_FREE_PAGES] + drift != free_pages - isolated:
        broken.append(f"{p.zone_names[i]}: NR_FREE_PAGES {zone.vm_stat[NR_FREE_PAGES]} and {drift} pending, "
                      f"{free_pages - isolated} pages on lists")
    return free_pages


cdef list _block_faults(Pgdat *g, const Zone *zone, uint32_t order, uint32_t pfn):
    cdef list faults = []
    cdef const Page *page = &g.map[pfn]
    cdef uint32_t buddy_pfn = pfn ^ (<uint32_t>1 << order)
    if pfn >= g.heads_base or not zone_spans_pfn(zone, pfn):
        return ["outside the zone"]
    if pfn & ((<uint32_t>1 << order) - 1):
        faults.append("not aligned")
    if not PageBuddy(page) or page.private_ != order:
        faults.append(f"not marked as a free block of this order (private {page.private_})")
    if page.refcount:
        faults.append(f"refcount {page.refcount}")
    if g.map[page.next].prev != pfn or g.map[page.prev].next != pfn:
        faults.append("links disagree")
    if (order < g.max_order - 1 and page_is_buddy(g, zone, buddy_pfn, order)
            and not (order >= g.pageblock_order and zone.nr_isolate_pageblock)):
        faults.append(f"its buddy {buddy_pfn:#x} is free, too")
    return faults


cdef _check_pcp_lists(Pglist p, uint32_t i, list owned, list broken):
    cdef Zone *zone = &p.g.zones[i]
    cdef uint32_t cpu, mt, pfn
    cached = 0
    for cpu in range(p.g.nr_cpus):
        length = 0
        for mt in range(MIGRATE_PCPTYPES):
            pfns = _list_pfns(p.g, zone.pageset[cpu].lists + mt, zone.spanned_pages)
            length += len(pfns)
            where = f"{p.zone_names[i]} cpu {cpu} type {mt}" if pfns else ""
            for pfn in pfns:
                owned.append((pfn, 1, where))
                if p.g.map[pfn].refcount or PageBuddy(&p.g.map[pfn]):
                    broken.append(f"{where} pfn {pfn:#x}: refcount {p.g.map[pfn].refcount}, "
                                  f"buddy {PageBuddy(&p.g.map[pfn])}")
                if p.g.map[p.g.map[pfn].next].prev != pfn or p.g.map[p.g.map[pfn].prev].next != pfn:
                    broken.append(f"{where} pfn {pfn:#x}: links disagree")
        if length != zone.pageset[cpu].count:
            broken.append(f"{p.zone_names[i]} cpu {cpu}: count {zone.pageset[cpu].count}, {length} pages on lists")
        cached += length
    return cached
