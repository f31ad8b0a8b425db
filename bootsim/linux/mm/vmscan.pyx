# cython: nonecheck=True
"""kswapd, as on a machine without pages to reclaim: it lets go of watermark boosts, and wakes kcompactd (mm/vmscan.c).

    a request finds too little --> wakeup_kswapd() --> kswapd: balance_pgdat() --> wakeup_kcompactd() --> kcompactd

The two threads run one after the other when the request that woke them has returned.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.compaction.compact cimport kcompactd_do_work, wakeup_kcompactd
from bootsim.linux.mm.compaction.skip cimport __reset_isolation_suitable
from bootsim.linux.mm.migrate cimport raise_what_a_holder_raised
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.rmqueue cimport zone_watermark_ok_of
from bootsim.linux.mm.page_alloc.slowpath cimport MAX_RECLAIM_RETRIES
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.page_alloc.node import PageFrameError


cdef bint pgdat_balanced(Pgdat *g, uint32_t order, uint32_t highest_zoneidx) noexcept nogil:
    # one zone up to the highest has enough, or none has pages at all
    cdef uint32_t i, cpu
    cdef bint managed = False
    cdef int64_t free_pages
    cdef Zone *zone
    for i in range(highest_zoneidx + 1):
        zone = &g.zones[i]
        if not zone.managed_pages:
            continue
        managed = True
        free_pages = zone.vm_stat[NR_FREE_PAGES]
        if zone.percpu_drift_mark and free_pages < zone.percpu_drift_mark:  # zone_watermark_ok_safe()
            for cpu in range(g.nr_cpus):
                free_pages += zone.pageset[cpu].vm_stat_diff[NR_FREE_PAGES]
        if zone_watermark_ok_of(g, zone, order, <int64_t>zone.watermark[WMARK_HIGH] + zone.watermark_boost,
                                highest_zoneidx, 0, free_pages):
            return True
    return not managed


cdef uint32_t boosted(const Pgdat *g, uint32_t highest_zoneidx) noexcept nogil:
    cdef uint32_t i, boost = 0
    for i in range(highest_zoneidx + 1):
        boost += g.zones[i].watermark_boost
    return boost


cdef void balance_pgdat(Pgdat *g, uint32_t order, uint32_t highest_zoneidx) noexcept nogil:
    # Nothing is reclaimed: the first look at a boost is the last one, and all priorities pass without progress.
    cdef uint32_t i
    cdef uint32_t boost = boosted(g, highest_zoneidx)
    if boost or not pgdat_balanced(g, order, highest_zoneidx):
        g.kswapd_failures += 1
    if boost:
        for i in range(highest_zoneidx + 1):
            if g.zones[i].managed_pages:
                g.zones[i].watermark_boost = 0
        wakeup_kcompactd(g, g.pageblock_order, highest_zoneidx)


cdef void kswapd(Pgdat *g, uint32_t order, uint32_t highest_zoneidx) noexcept nogil:
    # from waking to sleep; what it was woken for is looked at once, then whether there are pages at all
    cdef uint32_t i
    while True:
        balance_pgdat(g, order, highest_zoneidx)
        order = 0
        if g.kswapd_failures >= MAX_RECLAIM_RETRIES or pgdat_balanced(g, order, highest_zoneidx):
            break
    for i in range(g.nr_zones):
        if g.zones[i].present_pages and g.zones[i].compact_blockskip_flush:
            __reset_isolation_suitable(g, &g.zones[i])


def wakeup_kswapd(k, uint32_t gfp_mask, uint32_t order, uint32_t highest_zoneidx):
    """Have kswapd run, and then kcompactd, unless there is enough or kswapd is past hope.

    Source: mm/vmscan.c wakeup_kswapd(), kswapd(), balance_pgdat(), mm/compaction.c kcompactd()
    Differs: nothing is reclaimed, pages of processes and files neither, which a line tells; the two threads run at
        once, one after the other, and what else wakes them meanwhile does so later.
    """
    cdef Pglist p = k.mm.pgdat
    cdef Pgdat *g = p.g
    cdef uint32_t boost, failures = g.kswapd_failures
    if highest_zoneidx >= g.nr_zones or order >= g.max_order:
        raise PageFrameError(f"zone {highest_zoneidx}, order {order}: expected a zone below {g.nr_zones}, an order "
                             f"below {g.max_order}")
    boost = boosted(g, highest_zoneidx)
    if failures < MAX_RECLAIM_RETRIES and (boost or not pgdat_balanced(g, order, highest_zoneidx)):
        kswapd(g, order, highest_zoneidx)
        pages = p.lru.evictable() if p.lru is not None else 0
        left = "nothing to reclaim"
        if pages:
            left = "the {pages} pages of processes and files on LRU lists are not reclaimed"
        step(k, "kswapd runs for order {order}: " + left
             + ", watermark boosts of {boost} pages let go, {failures} runs without progress", func="balance_pgdat",
             order=order, pages=pages, boost=boost, failures=g.kswapd_failures)
    elif not gfp_mask & __GFP_DIRECT_RECLAIM:
        wakeup_kcompactd(g, order, highest_zoneidx)
    if g.kcompactd_woken:
        g.kcompactd_woken = False
        run_kcompactd(k, p)


cdef int run_kcompactd(k, Pglist p) except -1:
    order, holders = p.g.kcompactd_max_order, page_holders(k)
    before = holders.moved
    kcompactd_do_work(p.g)
    raise_what_a_holder_raised(p)
    step(k, "kcompactd runs for order {order}: {pages} pages moved", func="kcompactd_do_work", order=order,
         pages=holders.moved - before)
    return 0
