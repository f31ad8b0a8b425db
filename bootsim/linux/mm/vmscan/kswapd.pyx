# cython: nonecheck=True
"""kswapd: it reclaims until there is enough, lets go of watermark boosts, and wakes kcompactd (mm/vmscan.c).

    a request finds too little --> wakeup_kswapd() --> kswapd: balance_pgdat() --> wakeup_kcompactd() --> kcompactd

The two threads run one after the other when the request that woke them has returned.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from bootsim.linux.mm.compaction.compact cimport kcompactd_do_work, wakeup_kcompactd
from bootsim.linux.mm.compaction.skip cimport __reset_isolation_suitable, compact_gap
from bootsim.linux.mm.migrate cimport raise_what_a_holder_raised
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.zonelist cimport zone_watermark_ok_of
from bootsim.linux.mm.page_alloc.slowpath cimport MAX_RECLAIM_RETRIES, zone_free_pages_snapshot
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.vmscan.control cimport DEF_PRIORITY, SWAP_CLUSTER_MAX, Reclaimer, ScanControl
from bootsim.linux.mm.vmstat cimport KSWAPD_HIGH_WMARK_HIT_QUICKLY, PAGEOUTRUN

from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.page_alloc.node import PageFrameError


cdef bint pgdat_balanced(Pgdat *g, uint32_t order, uint32_t highest_zoneidx) noexcept nogil:
    # one zone up to the highest has enough, or none has pages at all
    cdef uint32_t i
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
            free_pages = zone_free_pages_snapshot(g, zone)
        if zone_watermark_ok_of(g, zone, order, <int64_t>zone.watermark[WMARK_HIGH] + zone.watermark_boost,
                                highest_zoneidx, 0, free_pages):
            return True
    return not managed


cdef uint32_t boosted(const Pgdat *g, uint32_t highest_zoneidx) noexcept nogil:
    cdef uint32_t i, boost = 0
    for i in range(highest_zoneidx + 1):
        boost += g.zones[i].watermark_boost
    return boost


cdef bint kswapd_shrink_node(Pgdat *g, Reclaimer reclaimer, ScanControl *sc) except -1:
    # Whether as many pages were looked at as this priority is for. Source: mm/vmscan.c kswapd_shrink_node()
    cdef uint32_t z
    sc.nr_to_reclaim = 0
    for z in range(sc.reclaim_idx + 1):
        if g.zones[z].managed_pages:
            sc.nr_to_reclaim += max(g.zones[z].watermark[WMARK_HIGH] + g.zones[z].watermark_boost,
                                    <uint32_t>SWAP_CLUSTER_MAX)
    reclaimer.shrink_node(sc)
    if sc.order and sc.nr_reclaimed >= compact_gap(sc.order):
        sc.order = 0
    return sc.nr_scanned >= sc.nr_to_reclaim


cdef int balance_pgdat(Pgdat *g, Reclaimer reclaimer, int order, uint32_t highest_zoneidx) except -1:
    """Reclaim until some zone has enough; the order that is still asked for. Source: mm/vmscan.c balance_pgdat()"""
    cdef ScanControl sc
    cdef uint32_t boost = boosted(g, highest_zoneidx)
    cdef uint32_t zone_boosts[MAX_ZONES]
    cdef int64_t nr_boost_reclaim = boost
    cdef int64_t nr_reclaimed
    cdef uint32_t i
    cdef bint balanced, raise_priority
    memset(&sc, 0, sizeof(ScanControl))
    sc.gfp_mask, sc.order, sc.kswapd, sc.may_unmap = GFP_KERNEL, order, True, True
    sc.reclaim_idx, sc.priority = highest_zoneidx, DEF_PRIORITY
    for i in range(highest_zoneidx + 1):
        zone_boosts[i] = g.zones[i].watermark_boost if g.zones[i].managed_pages else 0
    count_vm_events(g, PAGEOUTRUN, 1)
    while sc.priority >= 1:
        nr_reclaimed, raise_priority = sc.nr_reclaimed, True
        balanced = pgdat_balanced(g, sc.order, highest_zoneidx)
        if not balanced and nr_boost_reclaim:
            nr_boost_reclaim, sc.priority = 0, DEF_PRIORITY
            continue
        if not nr_boost_reclaim and balanced:
            break
        if nr_boost_reclaim and sc.priority == DEF_PRIORITY - 2:
            raise_priority = False
        sc.may_swap = sc.may_writepage = nr_boost_reclaim == 0
        reclaimer.age_active_anon(&sc)
        if sc.priority < DEF_PRIORITY - 2:
            sc.may_writepage = True
        sc.nr_scanned = 0
        if kswapd_shrink_node(g, reclaimer, &sc):
            raise_priority = False
        nr_reclaimed = sc.nr_reclaimed - nr_reclaimed
        nr_boost_reclaim -= min(nr_boost_reclaim, nr_reclaimed)
        if nr_boost_reclaim and not nr_reclaimed:
            sc.priority = 0
        elif raise_priority or not nr_reclaimed:
            sc.priority -= 1
    if sc.priority < 1 and not sc.nr_reclaimed:
        g.kswapd_failures += 1
    if boost:
        for i in range(highest_zoneidx + 1):
            g.zones[i].watermark_boost -= min_u32(g.zones[i].watermark_boost, zone_boosts[i])
        wakeup_kcompactd(g, g.pageblock_order, highest_zoneidx)
    reclaimer.snapshot_refaults()
    return sc.order


cdef bint kswapd_sleeps(Pgdat *g, Reclaimer reclaimer, int alloc_order, int reclaim_order,
                        uint32_t highest_zoneidx) except -1:
    # Source: mm/vmscan.c kswapd_try_to_sleep(), prepare_kswapd_sleep(); nothing wakes it in its first tenth of a second
    cdef uint32_t i
    cdef bint balanced = pgdat_balanced(g, reclaim_order, highest_zoneidx)
    if g.kswapd_failures < MAX_RECLAIM_RETRIES:
        if not balanced:
            count_vm_events(g, KSWAPD_HIGH_WMARK_HIT_QUICKLY, 1)
            return False
        reclaimer.pgdat_dirty = False
    for i in range(g.nr_zones):
        if g.zones[i].present_pages and g.zones[i].compact_blockskip_flush:
            __reset_isolation_suitable(g, &g.zones[i])
    wakeup_kcompactd(g, alloc_order, highest_zoneidx)
    return True


cdef int kswapd(Pgdat *g, Reclaimer reclaimer, int order, uint32_t highest_zoneidx) except -1:
    """From waking to sleep. Source: mm/vmscan.c kswapd()"""
    cdef int reclaim_order
    while True:
        reclaim_order = balance_pgdat(g, reclaimer, order, highest_zoneidx)
        if reclaim_order < order and kswapd_sleeps(g, reclaimer, order, reclaim_order, highest_zoneidx):
            return 0
        if reclaim_order == order and kswapd_sleeps(g, reclaimer, 0, 0, highest_zoneidx):
            return 0
        order = 0


cdef int run_kswapd(Pglist p, Reclaimer reclaimer, int order, uint32_t highest_zoneidx) except -1:
    # kswapd() as the thread that it is: it may use all reserves, and does not reclaim for its own requests
    cdef bint before = p.g.pf_memalloc
    p.g.pf_memalloc = True
    try:
        kswapd(p.g, reclaimer, order, highest_zoneidx)
    finally:
        p.g.pf_memalloc = before
    return 0


cdef Reclaimer reclaimer_of(k):
    # what reclaims on a machine: nothing does without processes
    return Reclaimer() if k.processes is None else k.processes.reclaimer


def wakeup_kswapd(k, uint32_t gfp_mask, uint32_t order, uint32_t highest_zoneidx):
    """Have kswapd run, and then kcompactd, unless there is enough or kswapd is past hope.

    Source: mm/vmscan.c wakeup_kswapd(), mm/compaction.c kcompactd()
    Differs: the two threads run at once, one after the other, and what else wakes them meanwhile does so later.
    """
    cdef Pglist p = k.mm.pgdat
    cdef Pgdat *g = p.g
    cdef Reclaimer reclaimer
    cdef uint32_t boost
    if highest_zoneidx >= g.nr_zones or order >= g.max_order:
        raise PageFrameError(f"zone {highest_zoneidx}, order {order}: expected a zone below {g.nr_zones}, an order "
                             f"below {g.max_order}")
    if g.pf_memalloc:
        return  # who reclaims does not wait for kswapd
    boost = boosted(g, highest_zoneidx)
    if g.kswapd_failures < MAX_RECLAIM_RETRIES and (boost or not pgdat_balanced(g, order, highest_zoneidx)):
        reclaimer = reclaimer_of(k)
        before = reclaimer.reclaimed
        run_kswapd(p, reclaimer, order, highest_zoneidx)
        step(k, "kswapd runs for order {order}: {pages} pages reclaimed, watermark boosts of {boost} pages let go, "
             "{failures} runs without progress", func="balance_pgdat", order=order, boost=boost,
             pages=reclaimer.reclaimed - before, failures=g.kswapd_failures)
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
