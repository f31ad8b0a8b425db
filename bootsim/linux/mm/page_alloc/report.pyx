# cython: nonecheck=True
"""What the log tells of bad pages and failed requests (mm/page_alloc.c, mm/debug.c)."""

from libc.stdint cimport int32_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.linux.kernel.panic import TAINT_BAD_PAGE, add_taint, warn
from bootsim.linux.kernel.printk import KERN_ALERT, KERN_WARNING, printk, step
from bootsim.linux.mm.page_alloc.gfp import format_gfp_flags

# ------------------------------------------------------------------ bad pages

# Bits of page->flags in the order in which %pGp names them.
_PAGE_FLAG_NAMES = (
    ("locked", 0), ("waiters", 7), ("error", 8), ("referenced", 1), ("uptodate", 2), ("dirty", 3), ("lru", 4),
    ("active", 5), ("workingset", 6), ("slab", 9), ("owner_priv_1", 10), ("arch_1", 11), ("reserved", 12),
    ("private", 13), ("private_2", 14), ("writeback", 15), ("head", 16), ("mappedtodisk", 17), ("reclaim", 18),
    ("swapbacked", 19), ("unevictable", 20), ("mlocked", 21),
)
_MAX_SHOWN = 60  # within a minute; the clock of a boot stands still


cdef comm_of_current(k):
    # the name of the task that the boot processor runs
    current = None if k.processes is None else k.processes.current
    return k.cpus[0].comm if current is None else current.comm


cdef log_bad_pages(k, Pglist p):
    """Log every bad page met since the last call.

    Source: mm/page_alloc.c bad_page()
    Differs: the list of modules, the page's owner and the stack are left out; a minute never passes, so that
        reports end with the sixtieth.
    """
    cdef uint32_t i, found = p.g.nr_bad
    cdef BadPage *bad
    p.g.nr_bad = 0
    for i in range(min_u32(found, MAX_BAD_PAGES)):
        if p.nr_bad_shown < _MAX_SHOWN:
            p.nr_bad_shown += 1
            bad = &p.g.bad[i]
            printk(k, KERN_ALERT, "BUG: Bad page state in process {comm}  pfn:{pfn:05x}", func="bad_page",
                   comm=comm_of_current(k), pfn=bad.pfn)
            dump(k, p, bad, None if bad.reason == NULL else bad.reason.decode("ascii"))
        add_taint(k, TAINT_BAD_PAGE)


cdef uint32_t page_flags_of(Pglist p, const Page *page, uint32_t pfn) noexcept:
    # with the number of the zone, which lies at the end
    cdef uint32_t shift = 30 if p.g.nr_zones > 2 else 31  # ZONES_PGSHIFT
    return page.flags & PAGE_FLAGS_CHECK_AT_PREP | page_zone(p.g, pfn).index << shift


cdef dump(k, Pglist p, const BadPage *bad, reason):
    """Tell of a struct page, as it was when it was found.

    Source: mm/debug.c __dump_page()
    Differs: addresses are shown, where the kernel shows what it makes of them with a secret number; the words of struct
        page, and which file a page belongs to, are left out; with SPARSEMEM, the section's number too.
    """
    func = "__dump_page"
    cdef const Page *head = &bad.head
    cdef bint anon = (head.mapping & 1) != 0
    cdef uint32_t mapping = 0 if anon or head.flags & PG_slab else head.mapping & ~<uint32_t>3
    cdef int mapcount = 0 if head.flags & PG_slab else <int32_t>(~bad.page.page_type + 1)
    zone = page_zone(p.g, bad.pfn)
    names = "|".join(name for name, bit in _PAGE_FLAG_NAMES if head.flags >> bit & 1)
    printk(k, KERN_WARNING, "page:{page:08x} refcount:{refcount} mapcount:{mapcount} mapping:{mapping:08x} "
           "index:{index:#x} pfn:{pfn:#x}", func=func, page=struct_page_va(k, p, bad.pfn), refcount=head.refcount,
           mapcount=mapcount, mapping=mapping, index=bad.page.index, pfn=bad.pfn)
    if PageCompound(&bad.page):
        order = compound_order(p.g, bad.head_pfn)
        printk(k, KERN_WARNING, "head:{head:08x} order:{order} compound_mapcount:{mapcount}{pincount}", func=func,
               head=struct_page_va(k, p, bad.head_pfn), order=order,
               mapcount=<int32_t>(p.g.map[bad.head_pfn + 1].mapping + 1),
               pincount=" compound_pincount:0" if order > 1 else "")
    if mapping and not k.translate(mapping):
        printk(k, KERN_WARNING, "failed to read mapping contents, not a valid kernel address?", func=func)
    cma = " CMA" if get_pfnblock_migratetype(p.g, zone, bad.pfn) == MIGRATE_CMA else ""
    printk(k, KERN_WARNING, "{type}flags: {flags:#x}({names}){cma}", func=func, type="anon " if anon else "",
           flags=page_flags_of(p, head, bad.head_pfn), names=names, cma=cma)
    if reason:
        printk(k, KERN_WARNING, "page dumped because: {reason}", func=func, reason=reason)


cdef struct_page_va(k, Pglist p, uint32_t pfn):
    return k.phys_to_virt(p.mem_map_pa or 0) + (pfn - p.g.base) * k.build.sizeof.page


cdef vm_bug_on_page(k, Pglist p, uint32_t pfn, condition, place, func):
    """Tell of a page with which CONFIG_DEBUG_VM stops the kernel.

    Source: include/linux/mmdebug.h VM_BUG_ON_PAGE()
    """
    cdef BadPage page
    look_at(p.g, pfn, &page)
    dump(k, p, &page, f"VM_BUG_ON_PAGE({condition})")
    stop_at(k, place, func)


cdef stop_at(k, place, func):
    """Tell that the kernel stops.

    Source: include/linux/mmdebug.h VM_BUG_ON()
    """
    from bootsim.linux.lib.bug import bug  # no boot comes to this

    bug(k, place, func=func)


# ------------------------------------------------------------------ requests that were hard to meet, or failed

cdef tell_events(k, Pglist p):
    # What the C core did for a request and could not log.
    cdef Pgdat *g = p.g
    cdef uint32_t i, found = g.nr_events
    g.nr_events = 0
    for i in range(found):
        if g.events[i].times:
            tell_event(k, p, g.events[i])


cdef tell_events_so_far(k, Pglist p):
    # in the midst of a request: whom it woke is still to run when it has returned
    cdef uint32_t i, kept = 0, found = p.g.nr_events
    tell_events(k, p)
    for i in range(found):
        if p.g.events[i].what == WOKE_KSWAPD:
            p.g.events[kept] = p.g.events[i]
            p.g.events[kept].times = 0
            kept += 1
    p.g.nr_events = kept


cdef tell_event(k, Pglist p, AllocEvent event):
    a, b, times = event.a, event.b, event.times
    if event.what == WOKE_KSWAPD:
        step(k, "kswapd is woken for order {order}: zone {zone} has too little, or its watermarks are boosted",
             func="wakeup_kswapd", order=b, zone=p.zone_names[a])
    elif event.what == DIRECT_RECLAIM:
        step(k, "direct reclaim for order {order}, {times} times: " + (
            "{pages} pages each" if b else "nothing to reclaim, no progress"), func="__alloc_pages_direct_reclaim",
             order=a, times=times, pages=b)
    elif event.what == DIRECT_COMPACT:
        step(k, "direct compaction for order {order}: {result}", func="__alloc_pages_direct_compact", order=a,
             result={COMPACT_SKIPPED: "skipped", COMPACT_DEFERRED: "put off, it failed lately",
                     COMPACT_COMPLETE: "the whole zone, without success", COMPACT_SUCCESS: "success",
                     COMPACT_PARTIAL_SKIPPED: "what was left of the zone, without success"}.get(b, "broken off"))
    elif event.what == UNRESERVED:
        step(k, "the pageblock of pfn {pfn:#x} in zone {zone} is no longer kept for high-order atomic requests",
             func="unreserve_highatomic_pageblock", pfn=b, zone=p.zone_names[a])
    elif event.what == OOM_DEADLOCK:
        step(k, 'out of memory, order {order}, and no process is there to be killed: the kernel would say "Out of '
             'memory and no killable processes..." and panic, "System is deadlocked on memory"; here the request fails',
             func="out_of_memory", order=a, level=KERN_WARNING)
    elif event.what == OOM_WAITS:
        step(k, "without __GFP_FS nobody is killed: the kernel would try on until somebody frees memory; nobody does "
             "here, and the request fails", func="out_of_memory", level=KERN_WARNING)
    elif event.what == TOOK_RESERVES:
        step(k, "__GFP_NOFAIL: pages from the reserves of zone {zone}", func="__alloc_pages_slowpath",
             zone=p.zone_names[a])
    elif event.what == NOFAIL_WAITS:
        step(k, "__GFP_NOFAIL, order {order}: the kernel would try on until somebody frees memory; nobody does here",
             func="__alloc_pages_slowpath", order=a, level=KERN_WARNING)
    elif event.what == ATOMIC_AND_SLEEPS:
        warn_once(k, p, "mm/page_alloc.c:4664", "__alloc_pages_slowpath")
    elif event.what == NOFAIL_CANNOT_SLEEP:
        warn_once(k, p, "mm/page_alloc.c:4876", "__alloc_pages_slowpath")
    elif event.what == NOFAIL_SEVERAL:
        warn_once(k, p, "mm/page_alloc.c:3451", "get_page_from_freelist")
    elif event.what == NOFAIL_COSTLY:
        warn_once(k, p, "mm/page_alloc.c:4892", "__alloc_pages_slowpath")
    elif event.what == LOST_IN_VECTOR:
        step(k, "pfn {pfn:#x} was given back while it waited for its LRU list, and does not come onto it; the kernel's "
             "lists would be broken from there on", func="__pagevec_lru_add_fn", pfn=a, level=KERN_WARNING)


cdef warn_once(k, Pglist p, where, func):
    # WARN_ON_ONCE()
    if where not in p.warned:
        p.warned.add(where)
        warn(k, where, func=func)


cdef alloc_failed(k, Pglist p, uint32_t gfp_mask, uint32_t order):
    if order >= p.g.max_order:
        if not gfp_mask & __GFP_NOWARN:
            warn_once(k, p, "mm/page_alloc.c:4977", "__alloc_pages_nodemask")
        return
    warn_alloc(k, gfp_mask & p.g.gfp_allowed_mask, f"page allocation failure: order:{order}")


def warn_alloc(k, uint32_t gfp_mask, str text not None):
    """Log that a request for memory failed, in the words of `text`, and what memory there is.

    Source: mm/page_alloc.c warn_alloc()
    Differs: no stack trace; no time passes, so that every failure is told, not one in 10 s.
    """
    cdef Pglist p = k.mm.pgdat
    mask = gfp_mask
    if mask & __GFP_NOWARN or (mask & __GFP_DMA and not has_managed_dma(p)):
        return
    cpuset = ",cpuset=/,mems_allowed=0" if k.build.config.CPUSETS else ""
    printk(k, KERN_WARNING, "{comm}: {text}, mode:{mode:#x}({names}), "
           "nodemask=(null){cpuset}", func="warn_alloc", comm=comm_of_current(k), text=text, mode=mask,
           names=format_gfp_flags(mask), cpuset=cpuset)
    show_mem(k)


cdef bint has_managed_dma(Pglist p):
    # without CONFIG_ZONE_DMA, __GFP_DMA asks for no zone of its own, and a failure is not told
    return p.zone_names[0] == "DMA" and p.g.zones[0].managed_pages > 0


cdef _kib(pages):
    return pages << (PAGE_SHIFT - 10)


cdef _cached(k, Zone *zone):
    cdef uint32_t cpu
    return sum(zone.pageset[cpu].count for cpu in range(k.nr_online_cpus))


def show_mem(k):
    """Log where all memory is, as the kernel does when a request failed.

    Source: lib/show_mem.c show_mem()
    Differs: kernel stacks, which nothing is taken for, stand as 0, which a line tells.
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    func = "show_mem"
    total = reserved = highmem = 0
    printk(k, KERN_WARNING, "Mem-Info:", func=func)
    step(k, "Mem-Info: kernel stacks are not counted, and are 0 below", func=func)
    show_free_areas(k)
    for i in range(p.g.nr_zones):
        zone = &p.g.zones[i]
        total += zone.present_pages
        reserved += zone.present_pages - zone.managed_pages if zone.present_pages else 0
        highmem += zone.present_pages if zone.highmem else 0
    printk(k, KERN_WARNING, "{pages} pages RAM", func=func, pages=total)
    printk(k, KERN_WARNING, "{pages} pages HighMem/MovableOnly", func=func, pages=highmem)
    printk(k, KERN_WARNING, "{pages} pages reserved", func=func, pages=reserved)
    if k.build.config.CMA:
        printk(k, KERN_WARNING, "{pages} pages cma reserved", func=func, pages=k.mm.totalcma_pages)


# What is told of all memory, and of the node, and of a zone; what nothing is ever counted of stands as 0.
_OF_ALL = (
    "active_anon:{nr_active_anon} inactive_anon:{nr_inactive_anon} isolated_anon:{nr_isolated_anon}",
    " active_file:{nr_active_file} inactive_file:{nr_inactive_file} isolated_file:{nr_isolated_file}",
    " unevictable:{nr_unevictable} dirty:{nr_dirty} writeback:{nr_writeback}",
    " slab_reclaimable:{nr_slab_reclaimable} slab_unreclaimable:{nr_slab_unreclaimable}",
    " mapped:{nr_mapped} shmem:{nr_shmem} pagetables:{nr_page_table_pages} bounce:{nr_bounce}",
    " free:{nr_free_pages} free_pcp:{free_pcp} free_cma:{nr_free_cma}",
)
_OF_NODE = ("Node 0 active_anon:{nr_active_anon}kB inactive_anon:{nr_inactive_anon}kB active_file:{nr_active_file}kB "
            "inactive_file:{nr_inactive_file}kB unevictable:{nr_unevictable}kB isolated(anon):{nr_isolated_anon}kB "
            "isolated(file):{nr_isolated_file}kB mapped:{nr_mapped}kB dirty:{nr_dirty}kB writeback:{nr_writeback}kB "
            "shmem:{nr_shmem}kB writeback_tmp:{nr_writeback_temp}kB kernel_stack:{kernel_stack}kB "
            "all_unreclaimable? {hopeless}")
_OF_ZONE = ("{zone} free:{nr_free_pages}kB min:{min_}kB low:{low}kB high:{high}kB reserved_highatomic:{atomic}KB "
            "active_anon:{nr_zone_active_anon}kB inactive_anon:{nr_zone_inactive_anon}kB "
            "active_file:{nr_zone_active_file}kB inactive_file:{nr_zone_inactive_file}kB "
            "unevictable:{nr_zone_unevictable}kB writepending:{nr_zone_write_pending}kB present:{present}kB "
            "managed:{managed}kB mlocked:{nr_mlock}kB pagetables:{nr_page_table_pages}kB bounce:{nr_bounce}kB "
            "free_pcp:{free_pcp}kB local_pcp:{local}kB free_cma:{nr_free_cma}kB")


def show_free_areas(k):
    """Log the node's and the zones' counters, and the free blocks of every order.

    Source: mm/page_alloc.c show_free_areas()
    """
    from bootsim.linux.mm.vmstat import node_page_state, node_unreclaimable, zone_page_state  # few machines come here

    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    func = "show_free_areas"
    populated = [i for i in range(p.g.nr_zones) if p.g.zones[i].present_pages]
    zones, node = zone_page_state(k), node_page_state(k)
    pages = node | {name: sum(zone[name] for zone in zones) for name in zones[0]}
    for line in _OF_ALL:
        printk(k, KERN_WARNING, line, func=func, free_pcp=sum(_cached(k, &p.g.zones[i]) for i in populated), **pages)
    printk(k, KERN_WARNING, _OF_NODE, func=func, **{name: _kib(count) for name, count in node.items()},
           kernel_stack=node["nr_kernel_stack"], hopeless="yes" if node_unreclaimable(k) else "no")
    for i in populated:
        _show_zone(k, p, i, {name: _kib(count) for name, count in zones[i].items()})
    for i in populated:
        _show_blocks(k, p, i)
    printk(k, KERN_WARNING, "{pages} total pagecache pages", func=func, pages=pages["nr_file_pages"])
    if k.build.config.SWAP:
        from bootsim.linux.mm.swap_state import show_swap_cache_info  # no boot comes here

        show_swap_cache_info(k, None if k.processes is None else k.processes.swapspace)


cdef _show_zone(k, Pglist p, uint32_t i, sizes):
    cdef Zone *zone = &p.g.zones[i]
    boost = zone.watermark_boost
    printk(k, KERN_WARNING, _OF_ZONE, func="show_free_areas", **sizes,
           zone=p.zone_names[i], min_=_kib(zone.watermark[WMARK_MIN] + boost),
           low=_kib(zone.watermark[WMARK_LOW] + boost), high=_kib(zone.watermark[WMARK_HIGH] + boost),
           atomic=_kib(zone.nr_reserved_highatomic), present=_kib(zone.present_pages),
           managed=_kib(zone.managed_pages), free_pcp=_kib(_cached(k, zone)), local=_kib(zone.pageset[p.g.cpu].count))
    printk(k, KERN_WARNING, "lowmem_reserve[]: {reserves}", func="show_free_areas",
           reserves=" ".join(str(zone.lowmem_reserve[j]) for j in range(p.g.nr_zones)))


cdef _show_blocks(k, Pglist p, uint32_t i):
    cdef Zone *zone = &p.g.zones[i]
    cdef uint32_t order, mt
    words = []
    total = 0
    for order in range(p.g.max_order):
        blocks = zone.nr_free[order]
        total += blocks << order
        words.append(f"{blocks}*{_kib(1 << order)}kB")
        if blocks:
            types = [letter for mt, letter in enumerate("UMEHCI")
                     if not list_empty(p.g.map, free_list(zone, order, mt))]
            words.append(f"({''.join(types)})")
    printk(k, KERN_WARNING, "{zone}: {blocks} = {total}kB", func="show_free_areas", zone=p.zone_names[i],
           blocks=" ".join(words), total=_kib(total))
