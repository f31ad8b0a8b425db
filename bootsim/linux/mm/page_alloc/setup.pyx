# cython: nonecheck=True
"""Making the zones ready for use: zonelists, pagesets, watermarks (mm/page_alloc.c, mm/vmstat.c)."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist, clamp, zone_fact_names
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.vmstat cimport normal_threshold

from math import isqrt

from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step


# ------------------------------------------------------------------ zonelists and pagesets

def build_all_zonelists(k):
    """Order the zones for allocation, prepare the boot pagesets, and decide on mobility grouping.

    Source: mm/page_alloc.c build_all_zonelists(), build_all_zonelists_init()
    """
    cdef Pglist p = k.mm.pgdat
    cdef Pgdat *g = p.g
    cdef uint32_t i, cpu
    g.nr_zonelist = 0
    for i in reversed(range(g.nr_zones)):
        if g.zones[i].present_pages and g.zones[i].pageblock_flags != NULL:
            g.zonelist[g.nr_zonelist] = i
            g.nr_zonelist += 1
        if i:
            g.zonelist_from[i - 1] = g.nr_zonelist
    for i in range(g.nr_zones):
        for cpu in range(g.nr_cpus):
            _pageset_update(&g.zones[i].pageset[cpu], 0, 1)
    vm_total_pages = _nr_free_zone_pages(g, g.nr_zones - 1)
    g.page_group_by_mobility_disabled = vm_total_pages < (p.nr_migrate_types << g.pageblock_order)
    printk(k, KERN_INFO, "Built {nodes} zonelists, mobility grouping {grouping}.  Total pages: {pages}",
           func="build_all_zonelists", nodes=1, grouping="off" if g.page_group_by_mobility_disabled else "on",
           pages=vm_total_pages)


cdef _nr_free_zone_pages(const Pgdat *g, uint32_t highest_zoneidx):
    # nr_free_zone_pages(): managed pages above the high watermark
    cdef uint32_t i
    cdef const Zone *zone
    total = 0
    for i in range(g.zonelist_from[highest_zoneidx], g.nr_zonelist):
        zone = &g.zones[g.zonelist[i]]
        if zone.managed_pages > zone.watermark[WMARK_HIGH]:
            total += zone.managed_pages - zone.watermark[WMARK_HIGH]
    return total


cdef void _pageset_update(PerCpuPages *pcp, uint32_t high, uint32_t batch) noexcept:
    pcp.high = high
    pcp.batch = batch


cdef uint32_t zone_batchsize(const Zone *zone) noexcept nogil:
    # a quarter of a thousandth of the zone, at most 256 KiB, and one less than a power of two
    cdef uint32_t batch = zone.managed_pages // 1024
    cdef uint32_t power = 1
    if batch * PAGE_SIZE > 1024 * 1024:
        batch = 1024 * 1024 // PAGE_SIZE
    batch //= 4
    if batch < 1:
        batch = 1
    batch += batch // 2
    while power * 2 <= batch:
        power *= 2
    return power - 1


def setup_per_cpu_pageset(k):
    """Replace the boot pagesets of the populated zones: from now on order-0 pages gather in per-cpu lists.

    Source: mm/page_alloc.c setup_per_cpu_pageset(), zone_pageset_init()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i, cpu, batch
    for i in range(p.g.nr_zones):
        if p.g.zones[i].present_pages:
            batch = zone_batchsize(&p.g.zones[i])
            for cpu in range(p.g.nr_cpus):
                _pageset_update(&p.g.zones[i].pageset[cpu], 6 * batch, max(1, batch))
            step(k, "per-cpu lists of zone {zone}: high {high}, batch {batch}", func="setup_per_cpu_pageset",
                 zone=p.zone_names[i], high=6 * batch, batch=max(1, batch))


# ------------------------------------------------------------------ watermarks

def __setup_per_zone_wmarks(k):  # noqa: N807
    """Set every zone's watermarks from min_free_kbytes.

    Source: mm/page_alloc.c __setup_per_zone_wmarks()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    cdef Zone *zone
    pages_min = p.min_free_kbytes >> (PAGE_SHIFT - 10)
    lowmem_pages = 0
    for i in range(p.g.nr_zones):
        if not p.g.zones[i].highmem:
            lowmem_pages += p.g.zones[i].managed_pages
    for i in range(p.g.nr_zones):
        zone = &p.g.zones[i]
        managed = zone.managed_pages
        share = pages_min * managed // lowmem_pages if lowmem_pages else 0
        zone.watermark[WMARK_MIN] = clamp(managed // 1024, 32, 128) if zone.highmem else share
        scale = p.watermark_scale_factor
        gap = max(share >> 2, managed // 10000 * scale + managed % 10000 * scale // 10000)
        zone.watermark_boost = 0
        zone.watermark[WMARK_LOW] = zone.watermark[WMARK_MIN] + gap
        zone.watermark[WMARK_HIGH] = zone.watermark[WMARK_MIN] + gap * 2
    _calculate_totalreserve_pages(p)


setup_per_zone_wmarks = __setup_per_zone_wmarks  # without its lock it is the same


cdef _calculate_totalreserve_pages(Pglist p):
    cdef uint32_t i
    cdef Zone *zone
    total = 0
    for i in range(p.g.nr_zones):
        zone = &p.g.zones[i]
        reserve = max(zone.lowmem_reserve[j] for j in range(i, p.g.nr_zones)) + zone.watermark[WMARK_HIGH]
        total += min(reserve, zone.managed_pages)
    p.totalreserve_pages = total


def setup_per_zone_lowmem_reserve(k):
    """Set what each zone keeps from requests that could use a higher one.

    Source: mm/page_alloc.c setup_per_zone_lowmem_reserve()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i, j
    for i in range(p.g.nr_zones - 1):
        ratio = p.sysctl_lowmem_reserve_ratio[i]
        managed_above = 0
        for j in range(i + 1, p.g.nr_zones):
            managed_above += p.g.zones[j].managed_pages
            p.g.zones[i].lowmem_reserve[j] = managed_above // ratio if ratio and p.g.zones[i].managed_pages else 0
    _calculate_totalreserve_pages(p)


def refresh_zone_stat_thresholds(k):
    """Set how far the zone counters may lag behind on each online cpu.

    Source: mm/vmstat.c refresh_zone_stat_thresholds(), calculate_normal_threshold()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i, cpu
    cdef Zone *zone
    online = k.nr_online_cpus
    if not k.build.config.SMP:
        return
    for i in range(p.g.nr_zones):
        zone = &p.g.zones[i]
        if not zone.present_pages:
            continue
        threshold = normal_threshold(zone.managed_pages, online)
        for cpu in range(min(online, p.g.nr_cpus)):
            zone.pageset[cpu].stat_threshold = threshold
        if online * threshold > zone.watermark[WMARK_LOW] - zone.watermark[WMARK_MIN]:
            zone.percpu_drift_mark = zone.watermark[WMARK_HIGH] + online * threshold


def init_per_zone_wmark_min(k):
    """Choose min_free_kbytes by the size of lowmem; set watermarks and lowmem reserves.

    Source: mm/page_alloc.c init_per_zone_wmark_min()
    """
    cdef Pglist p = k.mm.pgdat
    # GFP_USER: lowmem only
    lowmem_kbytes = _nr_free_zone_pages(p.g, p.g.gfp_zone[0]) * (PAGE_SIZE >> 10)
    new = isqrt(lowmem_kbytes * 16)
    if new > p.user_min_free_kbytes:
        p.min_free_kbytes = clamp(new, 128, 262144)
    else:
        printk(k, KERN_WARNING, "min_free_kbytes is not updated to {new} because user defined value {user} is "
               "preferred", func="init_per_zone_wmark_min", new=new, user=p.user_min_free_kbytes)
    __setup_per_zone_wmarks(k)
    refresh_zone_stat_thresholds(k)
    setup_per_zone_lowmem_reserve(k)
    k.facts.add("min_free_kbytes", p.min_free_kbytes, "KiB", "the square root of 16 times the lowmem in KiB",
                ("totalram_pages", *zone_fact_names(k, "managed_pages")),
                "mm/page_alloc.c init_per_zone_wmark_min()")
    for i, name in enumerate(p.zone_names):
        for mark, what in enumerate(("min", "low", "high") if p.g.zones[i].spanned_pages else ()):
            k.facts.add(f"zone.{name}.watermark.{what}", p.g.zones[i].watermark[mark], "pages",
                        "the zone's share of min_free_kbytes",
                        ("min_free_kbytes", *zone_fact_names(k, "managed_pages"), "CONFIG_HIGHMEM"),
                        "mm/page_alloc.c __setup_per_zone_wmarks()")
