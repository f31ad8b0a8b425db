"""The counters of events and of pages (mm/vmstat.c): their names in a build, and their values."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.mm.page_alloc.core cimport PageBuddy
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.slowpath cimport MAX_RECLAIM_RETRIES
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.swap cimport (
    LRU_FILE, LRU_UNEVICTABLE, NR_LRU_LISTS, PAGE_MAPPING_ANON, LruVec, PG_dirty, PG_swapbacked, PG_swapcache)

from bootsim.linux.mm.slab_common import SLAB_RECLAIM_ACCOUNT

# What is counted of each zone by looking at its struct pages; the first are LRU lists, in the order of enum lru_list.
cdef enum:
    UNEVICTABLE = LRU_UNEVICTABLE
    MLOCKED
    ANON_MAPPED
    FILE_MAPPED
    FILE_PAGES
    FILE_DIRTY
    WRITEBACK
    SHMEM
    NR_COUNTED

# The names of a zone's and of the node's counters (enum zone_stat_item, node_stat_item), in the files' order.
cdef tuple _LRU = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
cdef tuple _ZONE = ("nr_free_pages", *(f"nr_zone_{name}" for name in _LRU), "nr_zone_write_pending", "nr_mlock",
                    "nr_page_table_pages", "nr_bounce", "nr_zspages", "nr_free_cma")
cdef tuple _NODE = (
    *(f"nr_{name}" for name in _LRU), "nr_slab_reclaimable", "nr_slab_unreclaimable", "nr_isolated_anon",
    "nr_isolated_file", "workingset_nodes", "workingset_refault_anon", "workingset_refault_file",
    "workingset_activate_anon", "workingset_activate_file", "workingset_restore_anon", "workingset_restore_file",
    "workingset_nodereclaim", "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback",
    "nr_writeback_temp", "nr_shmem", "nr_shmem_hugepages", "nr_shmem_pmdmapped", "nr_file_hugepages",
    "nr_file_pmdmapped", "nr_anon_transparent_hugepages", "nr_vmscan_write", "nr_vmscan_immediate_reclaim",
    "nr_dirtied", "nr_written", "nr_kernel_misc_reclaimable", "nr_foll_pin_acquired", "nr_foll_pin_released",
    "nr_kernel_stack",
)
cdef tuple _SUMS = (("nr_anon_pages", ANON_MAPPED), ("nr_mapped", FILE_MAPPED), ("nr_file_pages", FILE_PAGES),
                    ("nr_dirty", FILE_DIRTY), ("nr_writeback", WRITEBACK), ("nr_shmem", SHMEM))
# By zone, in the order of zones; then what every build has.
cdef tuple _BY_ZONE = (("pgalloc", PGALLOC), ("allocstall", ALLOCSTALL), ("pgskip", PGSCAN_SKIP))
cdef dict _ZONE_TEXT = {"DMA": "dma", "Normal": "normal", "HighMem": "high", "Movable": "movable"}
cdef tuple _FIRST = (("pgpgin", PGPGIN), ("pgpgout", PGPGOUT), ("pswpin", PSWPIN), ("pswpout", PSWPOUT))
cdef tuple _GENERAL = (
    ("pgfree", PGFREE), ("pgactivate", PGACTIVATE), ("pgdeactivate", PGDEACTIVATE), ("pglazyfree", PGLAZYFREE),
    ("pgfault", PGFAULT), ("pgmajfault", PGMAJFAULT), ("pglazyfreed", PGLAZYFREED), ("pgrefill", PGREFILL),
    ("pgreuse", PGREUSE), ("pgsteal_kswapd", PGSTEAL_KSWAPD), ("pgsteal_direct", PGSTEAL_DIRECT),
    ("pgscan_kswapd", PGSCAN_KSWAPD), ("pgscan_direct", PGSCAN_DIRECT),
    ("pgscan_direct_throttle", PGSCAN_DIRECT_THROTTLE), ("pgscan_anon", PGSCAN_ANON), ("pgscan_file", PGSCAN_FILE),
    ("pgsteal_anon", PGSTEAL_ANON), ("pgsteal_file", PGSTEAL_FILE), ("pginodesteal", PGINODESTEAL),
    ("slabs_scanned", SLABS_SCANNED), ("kswapd_inodesteal", KSWAPD_INODESTEAL),
    ("kswapd_low_wmark_hit_quickly", KSWAPD_LOW_WMARK_HIT_QUICKLY),
    ("kswapd_high_wmark_hit_quickly", KSWAPD_HIGH_WMARK_HIT_QUICKLY), ("pageoutrun", PAGEOUTRUN),
    ("pgrotated", PGROTATED), ("drop_pagecache", DROP_PAGECACHE), ("drop_slab", DROP_SLAB), ("oom_kill", OOM_KILL),
)
cdef tuple _MIGRATION = (
    ("pgmigrate_success", PGMIGRATE_SUCCESS), ("pgmigrate_fail", PGMIGRATE_FAIL),
    ("thp_migration_success", THP_MIGRATION_SUCCESS), ("thp_migration_fail", THP_MIGRATION_FAIL),
    ("thp_migration_split", THP_MIGRATION_SPLIT),
)
cdef tuple _COMPACTION = (
    ("compact_migrate_scanned", COMPACTMIGRATE_SCANNED), ("compact_free_scanned", COMPACTFREE_SCANNED),
    ("compact_isolated", COMPACTISOLATED), ("compact_stall", COMPACTSTALL), ("compact_fail", COMPACTFAIL),
    ("compact_success", COMPACTSUCCESS), ("compact_daemon_wake", KCOMPACTD_WAKE),
    ("compact_daemon_migrate_scanned", KCOMPACTD_MIGRATE_SCANNED),
    ("compact_daemon_free_scanned", KCOMPACTD_FREE_SCANNED),
)
cdef tuple _UNEVICTABLE = (
    ("unevictable_pgs_culled", UNEVICTABLE_PGCULLED), ("unevictable_pgs_scanned", UNEVICTABLE_PGSCANNED),
    ("unevictable_pgs_rescued", UNEVICTABLE_PGRESCUED), ("unevictable_pgs_mlocked", UNEVICTABLE_PGMLOCKED),
    ("unevictable_pgs_munlocked", UNEVICTABLE_PGMUNLOCKED), ("unevictable_pgs_cleared", UNEVICTABLE_PGCLEARED),
    ("unevictable_pgs_stranded", UNEVICTABLE_PGSTRANDED),
)

# What a kernel counts in code that is not replayed, though the machine does what that code is for: zero here, maybe not
# there. The other items that nothing counts are zero in a kernel, too, since what they count does not happen.
NOT_COUNTED = (
    "nr_kernel_stack", "workingset_nodes", "nr_vmscan_write", "nr_vmscan_immediate_reclaim", "nr_dirtied", "nr_written",
    "pgpgin", "pgpgout", "kswapd_low_wmark_hit_quickly", "slabs_scanned", "vmacache_find_calls", "vmacache_find_hits",
)


cdef list _items(config, list zone_names):
    # vmstat_text[] from its counters of events on
    cdef list found = list(_FIRST)
    for start, item in _BY_ZONE:
        found += [(f"{start}_{_ZONE_TEXT[name]}", item + i) for i, name in enumerate(zone_names)]
    found += _GENERAL
    if config.COMPACTION or config.CMA:  # both select MIGRATION
        found += _MIGRATION
    found += _COMPACTION if config.COMPACTION else ()
    found += _UNEVICTABLE
    if config.MEMORY_BALLOON:
        found += [("balloon_inflate", BALLOON_INFLATE), ("balloon_deflate", BALLOON_DEFLATE)]
        found += [("balloon_migrate", BALLOON_MIGRATE)] if config.BALLOON_COMPACTION else []
    if config.DEBUG_VM_VMACACHE:
        found += [("vmacache_find_calls", VMACACHE_FIND_CALLS), ("vmacache_find_hits", VMACACHE_FIND_HITS)]
    return found + ([("swap_ra", SWAP_RA), ("swap_ra_hit", SWAP_RA_HIT)] if config.SWAP else [])


def calculate_normal_threshold(uint32_t managed_pages, uint32_t online_cpus):
    """How far a processor's counters of a zone of so many pages may run before they are added to the zone's.

    Source: mm/vmstat.c calculate_normal_threshold()
    """
    return normal_threshold(managed_pages, online_cpus)


def all_vm_events(k):
    """The build's counters of events by name, in the file's order; none without CONFIG_VM_EVENT_COUNTERS.

    Source: mm/vmstat.c all_vm_events(), vmstat_text[]
    Differs: those in NOT_COUNTED stay zero.
    """
    cdef Pglist p = k.mm.pgdat
    config = k.build.config
    return {name: p.g.vm_events[<int>item] for name, item in _items(config, p.zone_names)
            } if config.VM_EVENT_COUNTERS else {}


cdef void count_page(const Page *page, int64_t *counts) noexcept nogil:
    # What kind of page it is. Those that wait in a vector for their LRU list count on none yet.
    cdef bint swapbacked = (page.flags & PG_swapbacked) != 0
    cdef bint anon = (page.mapping & PAGE_MAPPING_ANON) != 0
    if page.refcount <= 0 or PageBuddy(page) or page.flags & (PG_slab | PG_reserved):
        return
    if page.flags & PG_lru:
        if page.flags & PG_unevictable:
            counts[LRU_UNEVICTABLE] += 1
        else:
            counts[(0 if swapbacked else LRU_FILE) + ((page.flags & PG_active) != 0)] += 1
    counts[MLOCKED] += (page.flags & PG_mlocked) != 0
    if -<int>page.page_type > 0:
        counts[ANON_MAPPED if anon else FILE_MAPPED] += 1
    counts[WRITEBACK] += (page.flags & PG_writeback) != 0
    if page.mapping and not anon:
        counts[FILE_PAGES] += 1
        counts[SHMEM] += swapbacked
        counts[FILE_DIRTY] += (page.flags & PG_dirty) != 0 and not swapbacked
    elif swapbacked and page.flags & PG_swapcache:
        counts[FILE_PAGES] += 1


cdef list pages_of_tables(k, Pglist p):
    # NR_PAGETABLE by zone: second-level tables of processes
    cdef PhysicalMemory ram = k.machine.ram
    cdef uint32_t i, word
    counts = [0] * p.g.nr_zones
    mms = {} if k.processes is None else {id(t.mm): t.mm for t in k.processes.tasks.values() if t.mm is not None}
    for mm in mms.values():
        for i in range(<uint32_t>mm.task_size >> 21 if mm.pgd_pa else 0):
            word = ram.load32(<uint32_t>mm.pgd_pa + 8 * i)
            if word:
                counts[zone_of(p.g, word >> 12)] += 1
    return counts


cdef uint32_t zone_of(const Pgdat *g, uint32_t pfn) noexcept nogil:
    cdef uint32_t i = g.nr_spans
    while i > 1 and pfn < g.span_start[i - 1]:
        i -= 1
    return g.span_zone[i - 1] if i else 0


cdef void count_pages(const Pgdat *g, int64_t[4][NR_COUNTED] counts) noexcept nogil:
    cdef uint32_t i, pfn, end
    memset(counts, 0, 4 * NR_COUNTED * sizeof(int64_t))
    for i in range(g.nr_spans if g.map != NULL else 0):
        end = g.span_start[i + 1] if i + 1 < g.nr_spans else g.end
        for pfn in range(max(g.span_start[i], g.base), min(end, g.end)):
            count_page(&g.map[pfn], counts[g.span_zone[i]])


def zone_page_state(k):
    """Every zone's counters by name, in the order of /proc/zoneinfo; pages.

    Source: mm/vmstat.c zone_page_state(), vmstat_text[]
    Differs: pages are counted when it is asked for, so that no processor keeps a part of a count to itself, but for
        free pages; nr_bounce and nr_zspages are zero, as nothing has such pages.
    """
    cdef Pglist p = k.mm.pgdat
    cdef int64_t counts[4][NR_COUNTED]
    cdef int lru
    cdef uint32_t i
    count_pages(p.g, counts)
    tables, found = pages_of_tables(k, p), []
    for i in range(p.g.nr_zones):
        zone = dict.fromkeys(zone_stat_names(k.build.config), 0)
        for lru in range(NR_LRU_LISTS):
            zone["nr_zone_" + _LRU[lru]] = counts[i][lru]
        zone["nr_free_pages"] = max(p.g.zones[i].vm_stat[NR_FREE_PAGES], 0)
        zone["nr_free_cma"] = max(p.g.zones[i].vm_stat[NR_FREE_CMA_PAGES], 0)
        zone["nr_zone_write_pending"] = counts[i][FILE_DIRTY] + counts[i][WRITEBACK]
        zone["nr_mlock"], zone["nr_page_table_pages"] = counts[i][MLOCKED], tables[i]
        found.append(zone)
    return found


cdef dict workingset(LruVec lru):
    # what reclaim counts of pages that come back
    cdef int i
    found = {}
    for i in range(2 if lru is not None else 0):
        kind = "file" if i else "anon"
        found[f"workingset_refault_{kind}"] = lru.costs.workingset_refault[i]
        found[f"workingset_activate_{kind}"] = lru.costs.workingset_activate[i]
        found[f"workingset_restore_{kind}"] = lru.costs.workingset_restore[i]
    return found


def node_page_state(k):
    """The node's counters by name, in the order of /proc/vmstat; pages, nr_kernel_stack in KiB.

    Source: mm/vmstat.c node_page_state_pages(), vmstat_text[]
    Differs: pages are counted when it is asked for, so that no processor keeps a part of a count to itself. Kernel
        stacks, huge pages and pages that get_user_pages() pins are zero, as nothing is taken for them; NOT_COUNTED.
    """
    cdef Pglist p = k.mm.pgdat
    cdef int64_t counts[4][NR_COUNTED]
    cdef int item, zone
    count_pages(p.g, counts)
    sums = [sum(counts[zone][item] for zone in range(4)) for item in range(NR_COUNTED)]
    found = dict.fromkeys(_NODE, 0)
    found.update((f"nr_{name}", sums[lru]) for lru, name in enumerate(_LRU))
    found.update((name, sums[<int>counted]) for name, counted in _SUMS)
    found.update(workingset(p.lru))
    slab = k.mm.slab
    if slab is not None:
        reclaimable = {s.name for s in slab.slab_caches if s.flags & SLAB_RECLAIM_ACCOUNT}
        found["nr_slab_unreclaimable"] = max(slab.large_pages, 0)
        for _, pages, name in slab.slabs():
            found["nr_slab_reclaimable" if name in reclaimable else "nr_slab_unreclaimable"] += pages
    return found


def zone_stat_names(config):
    """The names of a zone's counters in a build. Source: mm/vmstat.c vmstat_text"""
    return tuple(name for name in _ZONE if name != "nr_zspages" or config.ZSMALLOC)


def node_stat_names():
    """The names of the node's counters. Source: mm/vmstat.c vmstat_text"""
    return _NODE


def node_unreclaimable(k):
    """Whether kswapd has given up. Source: mm/vmstat.c zoneinfo_show_print()"""
    return (<Pglist>k.mm.pgdat).g.kswapd_failures >= MAX_RECLAIM_RETRIES


def si_mem_available(k, zones, node):
    """How many pages programs could get without swapping, by the counters of zones and node.

    Source: mm/page_alloc.c si_mem_available()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    wmark_low = sum(p.g.zones[i].watermark[WMARK_LOW] + p.g.zones[i].watermark_boost for i in range(p.g.nr_zones))
    pagecache = node["nr_active_file"] + node["nr_inactive_file"]
    reclaimable = node["nr_slab_reclaimable"] + node["nr_kernel_misc_reclaimable"]
    available = sum(zone["nr_free_pages"] for zone in zones) - p.totalreserve_pages
    available += pagecache - min(pagecache // 2, wmark_low)
    return max(available + reclaimable - min(reclaimable // 2, wmark_low), 0)
