# cython: nonecheck=True
"""Keeping ranges of pageblocks from being allocated (mm/page_isolation.c)."""

from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.page_alloc cimport Pglist, check_pageblocks, isolate_pageblock, unisolate_pageblock

from bootsim.linux.mm.page_alloc import drain_all_pages, page_zone_index


def set_migratetype_isolate(k, uint32_t pfn, uint32_t migratetype, bint drain=True):
    """Isolate the pageblock at `pfn`: its free pages leave the allocator. Returns 0 or -errno.

    Without `drain` the per-cpu lists stay as they are, as before the kernel's workers have got round to them.

    Source: mm/page_isolation.c set_migratetype_isolate()
    """
    cdef Pglist p = k.mm.pgdat
    check_pageblocks(p, pfn, <uint64_t>pfn + 1, migratetype)
    zone = page_zone_index(k, pfn)
    ret = isolate_pageblock(p.g, pfn, migratetype)
    if ret == 0 and drain:
        drain_all_pages(k, zone)
    return ret


def unset_migratetype_isolate(k, uint32_t pfn, uint32_t migratetype):
    """Give the pageblock at `pfn` and its free pages back, as `migratetype`.

    Source: mm/page_isolation.c unset_migratetype_isolate()
    """
    cdef Pglist p = k.mm.pgdat
    check_pageblocks(p, pfn, <uint64_t>pfn + 1, migratetype)
    unisolate_pageblock(p.g, pfn, migratetype)


def start_isolate_page_range(k, uint32_t start_pfn, uint32_t end_pfn, uint32_t migratetype):
    """Isolate all pageblocks of [start_pfn, end_pfn), or none; return 0 or -errno.

    Source: mm/page_isolation.c start_isolate_page_range()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t block_pages = <uint32_t>1 << p.g.pageblock_order
    cdef uint32_t pfn
    check_pageblocks(p, start_pfn, end_pfn, migratetype)
    for pfn in range(start_pfn, end_pfn, block_pages):
        ret = set_migratetype_isolate(k, pfn, migratetype)
        if ret:
            undo_isolate_page_range(k, start_pfn, pfn, migratetype)
            return ret
    return 0


def undo_isolate_page_range(k, uint32_t start_pfn, uint32_t end_pfn, uint32_t migratetype):
    """End the isolation of [start_pfn, end_pfn).

    Source: mm/page_isolation.c undo_isolate_page_range()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t pfn
    if start_pfn == end_pfn:
        return
    check_pageblocks(p, start_pfn, end_pfn, migratetype)
    for pfn in range(start_pfn, end_pfn, <uint32_t>1 << p.g.pageblock_order):
        unset_migratetype_isolate(k, pfn, migratetype)
