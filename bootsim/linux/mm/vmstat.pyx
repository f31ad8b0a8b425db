"""The counters of events and of pages (mm/vmstat.c): their names in a build, and their values."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.mm.page_alloc.core cimport PageBuddy
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.swap cimport PAGE_MAPPING_ANON, PG_dirty, PG_swapbacked

from bootsim.linux.mm.slab_common import SLAB_RECLAIM_ACCOUNT

# What node_page_state() counts, as Mem-Info calls it.
cdef enum:
    ACTIVE_ANON, INACTIVE_ANON, ACTIVE_FILE, INACTIVE_FILE, UNEVICTABLE, MAPPED, DIRTY, WRITEBACK, SHMEM, FILE_PAGES
    MLOCKED
    NR_COUNTED
cdef tuple _COUNTED = (
    "active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable", "mapped", "dirty", "writeback",
    "shmem", "file_pages", "mlocked",
)

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
    ("pgrotated", PGROTATED), ("drop_pagecache", DROP_PAGECACHE), ("drop_slab", DROP_SLAB), ("oom_kill", VM_OOM_KILL),
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
    cdef bint file_page = page.mapping and not page.mapping & PAGE_MAPPING_ANON
    if page.refcount <= 0 or PageBuddy(page) or page.flags & (PG_slab | PG_reserved):
        return
    if page.flags & PG_lru:
        if page.flags & PG_unevictable:
            counts[UNEVICTABLE] += 1
        else:
            counts[(0 if swapbacked else ACTIVE_FILE) + (0 if page.flags & PG_active else 1)] += 1
    counts[MLOCKED] += 1 if page.flags & PG_mlocked else 0
    counts[MAPPED] += 1 if -<int>page.page_type > 0 and not page.mapping & PAGE_MAPPING_ANON else 0
    if file_page:
        counts[FILE_PAGES] += 1
        counts[SHMEM] += 1 if swapbacked else 0
        counts[DIRTY] += 1 if page.flags & PG_dirty and not swapbacked else 0
        counts[WRITEBACK] += 1 if page.flags & PG_writeback else 0


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


def node_page_state(k):
    """How many pages there are of each kind, a list by zone: "inactive_anon", "mapped", "slab_reclaimable", ...

    Source: mm/vmstat.c node_page_state(), zone_page_state()
    Differs: pages are counted when it is asked for, so that no processor keeps a part of a count to itself; large
        blocks of kmalloc() are not counted as slabs.
    """
    cdef Pglist p = k.mm.pgdat
    cdef int64_t counts[4][NR_COUNTED]
    cdef uint32_t i, pfn, end
    cdef int item
    for i in range(4):
        for item in range(NR_COUNTED):
            counts[i][item] = 0
    for i in range(p.g.nr_spans if p.g.map != NULL else 0):
        end = p.g.span_start[i + 1] if i + 1 < p.g.nr_spans else p.g.end
        for pfn in range(max(p.g.span_start[i], p.g.base), min(end, p.g.end)):
            count_page(&p.g.map[pfn], counts[p.g.span_zone[i]])
    found = {name: [counts[i][item] for i in range(p.g.nr_zones)] for item, name in enumerate(_COUNTED)}
    found["pagetables"] = pages_of_tables(k, p)
    slab = k.mm.slab
    reclaimable = set() if slab is None else {s.name for s in slab.slab_caches if s.flags & SLAB_RECLAIM_ACCOUNT}
    for name in ("slab_reclaimable", "slab_unreclaimable"):
        found[name] = [0] * p.g.nr_zones
    for first, pages, name in () if slab is None else slab.slabs():
        found["slab_reclaimable" if name in reclaimable else "slab_unreclaimable"][zone_of(p.g, first)] += pages
    return found
