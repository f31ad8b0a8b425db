"""The page allocator: struct page, zones, free lists, per-cpu lists (mm/page_alloc.c).

The C core works on a Pgdat and knows no Python; the functions that take `k` wrap it, log and count. The parts:

    structs.pxd    struct page, struct zone, struct pglist_data
    core.pxd       lists, pageblock flags, counters, merging: inlined where it is used
    events         bad pages, and what requests did, until Python logs it
    gfp            GFP_* and their names
    free           freeing
    fallback       what a migrate type takes from another
    rmqueue        taking pages off the free lists
    zonelist       watermarks, per-cpu lists: who gives the pages
    slowpath       requests that look again: reserves, reclaim, the OOM killer
    contig         isolation, alloc_contig_range()
    node           the node (Pglist), and what a caller may name of it
    parameters     early parameters
    init           free_area_init()
    setup          zonelists, pagesets, watermarks
    boot           handing the boot's memory over; hash tables; the Memory: line
    api            allocating and freeing, for Python
    report         what the log tells of bad pages and failed requests
    debug          snapshots, invariants
"""

from bootsim.linux.mm.page_alloc.api import (
    ClearPageReserved,
    __free_pages,
    __free_pages_ok,
    alloc_pages,
    alloc_pages_exact,
    drain_all_pages,
    drain_pages_zone,
    free_pages_exact,
    free_unref_page,
    get_page,
    get_pageblock_migratetype,
    page_zone_index,
    page_zone_name,
    put_page,
    set_page,
    set_page_count,
    set_pageblock_migratetype,
    split_page,
    want_init_on_alloc,
    want_init_on_free,
)
from bootsim.linux.mm.page_alloc.boot import (
    HASH_EARLY,
    HASH_SMALL,
    HASH_ZERO,
    adjust_managed_page_count,
    alloc_large_system_hash,
    free_highmem_page,
    free_highmem_range,
    free_pages_memory,
    free_reserved_area,
    free_reserved_page,
    init_cma_reserved_pageblock,
    mem_init_print_info,
    memblock_free_pages,
    nr_free_pages,
    pages_given,
    reserve_bootmem_region,
    reset_all_zones_managed_pages,
)
from bootsim.linux.mm.page_alloc.contig import (
    alloc_contig_pages,
    alloc_contig_range,
    free_contig_range,
    take_isolated_range,
)
from bootsim.linux.mm.page_alloc.debug import (
    check_buddy_invariants,
    is_pageblock_skipped,
    page_info,
    zones_snapshot,
)
from bootsim.linux.mm.page_alloc.gfp import (
    __GFP_ACCOUNT,
    __GFP_ATOMIC,
    __GFP_BITS_MASK,
    __GFP_COMP,
    __GFP_DIRECT_RECLAIM,
    __GFP_DMA,
    __GFP_DMA32,
    __GFP_FS,
    __GFP_HARDWALL,
    __GFP_HIGH,
    __GFP_HIGHMEM,
    __GFP_IO,
    __GFP_KSWAPD_RECLAIM,
    __GFP_MEMALLOC,
    __GFP_MOVABLE,
    __GFP_NOFAIL,
    __GFP_NOLOCKDEP,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RECLAIM,
    __GFP_RECLAIMABLE,
    __GFP_RETRY_MAYFAIL,
    __GFP_THISNODE,
    __GFP_WRITE,
    __GFP_ZERO,
    GFP_ATOMIC,
    GFP_BOOT_MASK,
    GFP_DMA,
    GFP_DMA32,
    GFP_HIGHUSER,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    GFP_RECLAIM_MASK,
    GFP_TRANSHUGE,
    GFP_TRANSHUGE_LIGHT,
    GFP_USER,
    MIGRATE_CMA,
    MIGRATE_HIGHATOMIC,
    MIGRATE_ISOLATE,
    MIGRATE_MOVABLE,
    MIGRATE_RECLAIMABLE,
    MIGRATE_UNMOVABLE,
    format_gfp_flags,
)
from bootsim.linux.mm.page_alloc.init import free_area_init
from bootsim.linux.mm.page_alloc.node import PageFrameError, Pglist
from bootsim.linux.mm.page_alloc.parameters import (
    EARLY_PARAMS,
    cmdline_parse_kernelcore,
    cmdline_parse_movablecore,
    debug_guardpage_minorder_setup,
    early_debug_pagealloc,
    early_init_on_alloc,
    early_init_on_free,
    init_debug_pagealloc,
)
from bootsim.linux.mm.page_alloc.report import show_free_areas, show_mem
from bootsim.linux.mm.page_alloc.setup import (
    __setup_per_zone_wmarks,
    build_all_zonelists,
    init_per_zone_wmark_min,
    refresh_zone_stat_thresholds,
    setup_per_cpu_pageset,
    setup_per_zone_lowmem_reserve,
    setup_per_zone_wmarks,
)
