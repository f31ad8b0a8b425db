"""The counters of events (mm/vmstat.c): their names in a build, and their values."""

from bootsim.linux.mm.page_alloc.node cimport Pglist

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
    "pgpgin", "pgpgout", "pgactivate", "pgdeactivate", "pglazyfree", "pgmajfault", "pageoutrun",
    "kswapd_low_wmark_hit_quickly", "kswapd_high_wmark_hit_quickly", "slabs_scanned",
    *(name for name, _ in _UNEVICTABLE), "vmacache_find_calls", "vmacache_find_hits",
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
