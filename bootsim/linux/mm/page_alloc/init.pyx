# cython: nonecheck=True
"""Measuring the zones: free_area_init(), the memory map (mm/page_alloc.c)."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport (
    Pglist, clamp, round_up, section_flags_words, smp_cache_bytes, usemap_size, zone_fact_names,
)
from bootsim.linux.mm.page_alloc.setup cimport zone_batchsize
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.kernel.printk import KERN_DEBUG, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.mm.page_alloc.api import want_init_on_alloc, want_init_on_free
from bootsim.linux.mm.page_alloc.parameters import ULONG_MAX
from bootsim.linux.mm.page_poison import page_poisoning_enabled
from bootsim.owners import Purpose
from bootsim.places import memory_place


# ------------------------------------------------------------------ zones

def find_zone_movable_pfns_for_nodes(k, Pglist p, lowest, movable_zone):
    """Where the zone Movable starts: None unless kernelcore= or movablecore= asks for it.

    Source: mm/page_alloc.c find_zone_movable_pfns_for_nodes()
    Differs: one node; no hotpluggable or mirrored memory, which needs firmware that ARM boards lack.
    """
    cdef uint32_t block_pages = <uint32_t>1 << (p.g.max_order - 1)
    totalpages = sum(end - start for start, end in p.bank_pfns)
    if k.mm.mirrored_kernelcore:
        if p.bank_pfns:
            printk(k, KERN_WARNING, "This configuration results in unmirrored kernel memory.",
                   func="find_zone_movable_pfns_for_nodes")
        return None
    core, movable = k.mm.required_kernelcore, k.mm.required_movablecore
    if k.mm.required_kernelcore_percent:
        core = (totalpages * 100 * k.mm.required_kernelcore_percent & ULONG_MAX) // 10000
    if k.mm.required_movablecore_percent:
        movable = (totalpages * 100 * k.mm.required_movablecore_percent & ULONG_MAX) // 10000
    if movable:
        movable = min(totalpages, round_up(movable, block_pages))
        core = max(core, totalpages - movable)
    if not core or core >= totalpages:
        return None
    movable_pfn = round_up(_spread_kernelcore(p.bank_pfns, core, lowest[movable_zone]), block_pages)
    return movable_pfn if movable_pfn < p.bank_pfns[len(p.bank_pfns) - 1][1] else None


def _spread_kernelcore(banks, core, usable_start):
    # The pfn up to which `core` pages of kernel memory reach; all below `usable_start` is the kernel's anyway.
    movable_pfn = 0
    remaining = core
    for start, end in banks:
        start = max(start, movable_pfn)
        if start >= end:
            continue
        if start < usable_start:
            kernel_pages = min(end, usable_start) - start
            remaining -= min(kernel_pages, remaining)
            if end <= usable_start:
                movable_pfn = end
                continue
            start = usable_start
        size = min(end - start, remaining)
        movable_pfn = start + size
        remaining -= size
        if not remaining:
            break
    return movable_pfn


def _zone_range(Pglist p, index, lowest, highest, movable_pfn, movable_zone, start, end):
    # adjust_zone_range_for_zone_movable() over the clamped range
    low = clamp(start, lowest[index], highest[index])
    high = clamp(end, lowest[index], highest[index])
    if movable_pfn is not None:
        if index == p.g.nr_zones - 1:
            low, high = movable_pfn, min(end, highest[movable_zone])
        elif low < movable_pfn < high:
            high = movable_pfn
        elif low >= movable_pfn:
            low = high
    return low, high


def _absent_pages(banks, low, high):
    # __absent_pages_in_range()
    return high - low - sum(clamp(end, low, high) - clamp(start, low, high) for start, end in banks)


def calculate_node_totalpages(k, Pglist p, lowest, highest, movable_pfn, movable_zone, start, end):
    """Set each zone's span and the pages present in it.

    Source: mm/page_alloc.c calculate_node_totalpages(), zone_spanned_pages_in_node(), zone_absent_pages_in_node()
    """
    cdef Pgdat *g = p.g
    cdef Zone *zone
    cdef uint32_t i
    for i in range(g.nr_zones):
        zone = &g.zones[i]
        low, high = _zone_range(p, i, lowest, highest, movable_pfn, movable_zone, start, end)
        absent = _absent_pages(p.bank_pfns, low, high)
        if (not start and not end) or high < start or low > end:
            spanned = 0
        else:
            spanned = min(high, end) - max(low, start)
            low = max(low, start)
        zone.start_pfn = low if spanned else 0
        zone.spanned_pages = spanned
        zone.present_pages = spanned - absent if spanned else 0
        g.node_spanned_pages += zone.spanned_pages
        g.node_present_pages += zone.present_pages
        if spanned:
            _zone_facts(k, p, i)
    g.nr_spans = 0
    for i in sorted((i for i in range(g.nr_zones) if g.zones[i].spanned_pages), key=lambda i: g.zones[i].start_pfn):
        g.span_start[g.nr_spans] = g.zones[i].start_pfn
        g.span_zone[g.nr_spans] = i
        g.nr_spans += 1
    printk(k, KERN_DEBUG, "On node {nid} totalpages: {pages}", func="calculate_node_totalpages", nid=0,
           pages=g.node_present_pages)


def _zone_facts(k, Pglist p, i):
    zone = f"zone.{p.zone_names[i]}"
    limits = {"DMA": ("min_low_pfn", "max_low_pfn", "arm_dma_limit", "CONFIG_ZONE_DMA"),
              "Normal": ("min_low_pfn", "max_low_pfn", "arm_dma_limit", "CONFIG_ZONE_DMA"),
              "HighMem": ("max_low_pfn", "max_pfn", "CONFIG_HIGHMEM")}.get(p.zone_names[i], ("max_pfn",))
    limits = (*(name for name in limits if name != "arm_dma_limit" or name in k.facts), "memory.end",
              "cmdline:kernelcore", "cmdline:movablecore")
    source = "mm/page_alloc.c calculate_node_totalpages()"
    start, spanned = p.g.zones[i].start_pfn, p.g.zones[i].spanned_pages
    k.facts.add(f"{zone}.start_pfn", start, "pfn", "the zone's lower limit, within the node", limits, source)
    k.facts.add(f"{zone}.end_pfn", start + spanned, "pfn", "the zone's upper limit, within the node", limits, source)
    k.facts.add(f"{zone}.present_pages", p.g.zones[i].present_pages, "pages", "spanned pages less holes",
                (f"{zone}.start_pfn", f"{zone}.end_pfn", "memory.total_size"), source)


def free_area_init(k, max_zone_pfn):
    """Make the node: zones, struct pages and pageblock flags. `max_zone_pfn`: {zone name: end pfn}, absent ones 0.

    Sets k.mm.pgdat. Raises KernelPanic when memblock cannot give the memory map or the pageblock flags.
    Source: mm/page_alloc.c free_area_init()
    """
    from bootsim.linux.mm.memblock import for_each_mem_pfn_range, memblock_start_of_DRAM

    cdef Pglist p = Pglist(k.build.config)
    k.mm.pgdat = p
    p.clears_allocated = want_init_on_alloc(k, 0)
    p.fills_freed = page_poisoning_enabled(k) or want_init_on_free(k)
    if k.mm.debug_pagealloc_enabled:
        p.g.checks_pcp = p.g.checks_lists = True
    names = p.zone_names
    movable = len(names) - 1
    p.bank_pfns = [(start, end) for start, end in for_each_mem_pfn_range(k.mm.memblock)]
    lowest, highest = [0] * len(names), [0] * len(names)
    start_pfn = memblock_start_of_DRAM(k.mm.memblock) >> PAGE_SHIFT
    for i in range(movable):
        lowest[i] = start_pfn
        highest[i] = start_pfn = max(max_zone_pfn.get(names[i], 0), start_pfn)
    movable_zone = max((i for i in range(movable) if highest[i] > lowest[i]), default=0)
    movable_pfn = find_zone_movable_pfns_for_nodes(k, p, lowest, movable_zone)
    _print_zone_ranges(k, p, lowest, highest, movable_pfn)
    free_area_init_node(k, p, lowest, highest, movable_pfn, movable_zone)
    memmap_init(k, p)


cdef _print_zone_ranges(k, Pglist p, lowest, highest, movable_pfn):
    func = "free_area_init"
    printk(k, KERN_INFO, "Zone ranges:", func=func)
    for i, name in enumerate(p.zone_names[:len(p.zone_names) - 1]):
        if lowest[i] == highest[i]:
            printk(k, KERN_INFO, "  {zone:<8} empty", func=func, zone=name)
        else:
            printk(k, KERN_INFO, "  {zone:<8} [mem {start:#018x}-{last:#018x}]", func=func, zone=name,
                   start=lowest[i] << PAGE_SHIFT, last=(highest[i] << PAGE_SHIFT) - 1)
    printk(k, KERN_INFO, "Movable zone start for each node", func=func)
    if movable_pfn is not None:
        printk(k, KERN_INFO, "  Node {nid}: {start:#018x}", func=func, nid=0, start=movable_pfn << PAGE_SHIFT)
    printk(k, KERN_INFO, "Early memory node ranges", func=func)
    for start, end in p.bank_pfns:
        printk(k, KERN_INFO, "  node {nid:3}: [mem {start:#018x}-{last:#018x}]", func=func, nid=0,
               start=start << PAGE_SHIFT, last=(end << PAGE_SHIFT) - 1)


cdef free_area_init_node(k, Pglist p, lowest, highest, movable_pfn, movable_zone):
    """Measure the node and give it its memory map.

    Source: mm/page_alloc.c free_area_init_node()
    """
    start = p.bank_pfns[0][0] if p.bank_pfns else 0
    end = p.bank_pfns[len(p.bank_pfns) - 1][1] if p.bank_pfns else 0
    p.g.node_start_pfn = start
    printk(k, KERN_INFO, "Initmem setup node {nid} [mem {start:#018x}-{last:#018x}]", func="free_area_init_node", nid=0,
           start=start << PAGE_SHIFT, last=(end << PAGE_SHIFT) - 1 if end else 0)
    calculate_node_totalpages(k, p, lowest, highest, movable_pfn, movable_zone, start, end)
    if p.g.node_spanned_pages:
        alloc_node_mem_map(k, p)
    free_area_init_core(k, p)


cdef alloc_node_mem_map(k, Pglist p):
    """Take the node's struct pages from memblock; with SPARSEMEM, sparse_init() has done so.

    Source: mm/page_alloc.c alloc_node_mem_map()
    """
    from bootsim.linux.mm.memblock import memblock_alloc_node

    block_pages = 1 << (p.g.max_order - 1)
    start = p.g.node_start_pfn & ~(block_pages - 1)
    end = round_up(p.g.node_start_pfn + p.g.node_spanned_pages, block_pages)
    p.valid_pfns = [(first & ~(block_pages - 1), round_up(last, block_pages)) for first, last in p.bank_pfns]
    if k.build.config.SPARSEMEM:
        p.map_pages(start, end)
        return
    page_bytes = k.build.sizeof.page
    size = (end - start) * page_bytes
    pa = memblock_alloc_node(k.mm.memblock, size, smp_cache_bytes(k), 0, "alloc_node_mem_map",
                             Purpose("memmap", "mem_map of node 0"))
    if not pa:
        raise KernelPanic(f"Failed to allocate {size} bytes for node 0 memory map",
                          f"mem_map of {end - start} struct pages: {cause(k, pa.why)}")
    # struct page of the first frame of RAM (PHYS_PFN_OFFSET), wherever the node's own first frame is
    p.mem_map_pa = pa
    p.mem_map_bytes = size
    p.map_pages(start, end)
    source = "mm/page_alloc.c alloc_node_mem_map()"
    k.facts.add("mem_map.size", size, "bytes", "pages spanned, to whole MAX_ORDER blocks, times sizeof(struct page)",
                ("sizeof:struct page", "CONFIG_FORCE_MAX_ZONEORDER", "max_pfn", "min_low_pfn"), source)
    k.facts.add("mem_map", p.mem_map_pa, "pa", "struct page of the first frame of RAM, below the zero page",
                ("mem_map.size", "empty_zero_page", "memblock.current_limit",
                 *k.owners.above(p.mem_map_pa, k.mm.memblock.current_limit)), source)
    step(k, "mem_map: {pages} struct pages of {page_bytes} bytes at {pa:#010x}", func="alloc_node_mem_map",
         pages=end - start, page_bytes=page_bytes, pa=pa)


cdef free_area_init_core(k, Pglist p):
    """Account for the memory map in each zone and set its free lists up.

    Source: mm/page_alloc.c free_area_init_core(), calc_memmap_size(), zone_init_internals(), zone_pcp_init()
    """
    cdef Zone *zone
    func = "free_area_init_core"
    for i, name in enumerate(p.zone_names):
        zone = &p.g.zones[i]
        freesize = zone.present_pages
        pages = zone.spanned_pages
        if k.build.config.SPARSEMEM and pages > zone.present_pages + (zone.present_pages >> 4):
            pages = zone.present_pages
        memmap_pages = round_up(pages * k.build.sizeof.page, PAGE_SIZE) >> PAGE_SHIFT
        if not zone.highmem:
            if freesize >= memmap_pages:
                freesize -= memmap_pages
                if memmap_pages:
                    printk(k, KERN_DEBUG, "  {zone} zone: {pages} pages used for memmap", func=func, zone=name,
                           pages=memmap_pages)
            else:
                printk(k, KERN_WARNING, "  {zone} zone: {pages} pages exceeds freesize {freesize}", func=func,
                       zone=name, pages=memmap_pages, freesize=freesize)
        if i == 0 and freesize > k.mm.dma_reserve:
            freesize -= k.mm.dma_reserve
            printk(k, KERN_DEBUG, "  {zone} zone: {pages} pages reserved", func=func, zone=name, pages=k.mm.dma_reserve)
        if not zone.highmem:
            k.mm.nr_kernel_pages += freesize
        elif k.mm.nr_kernel_pages > memmap_pages * 2:
            k.mm.nr_kernel_pages -= memmap_pages
        k.mm.nr_all_pages += freesize
        zone.managed_pages = freesize
        if zone.present_pages:
            printk(k, KERN_DEBUG, "  {zone} zone: {pages} pages, LIFO batch:{batch}", func="zone_pcp_init", zone=name,
                   pages=zone.present_pages, batch=zone_batchsize(zone))
        if zone.spanned_pages:
            setup_usemap(k, p, i)
            zone.initialized = True
    k.facts.add("nr_kernel_pages", k.mm.nr_kernel_pages, "pages", "lowmem pages less the memory map",
                (*zone_fact_names(k, "present_pages"), "sizeof:struct page"),
                "mm/page_alloc.c free_area_init_core()")
    k.facts.add("nr_all_pages", k.mm.nr_all_pages, "pages", "nr_kernel_pages and highmem",
                ("nr_kernel_pages", *zone_fact_names(k, "present_pages")), "mm/page_alloc.c free_area_init_core()")


cdef setup_usemap(k, Pglist p, i):
    """Take a zone's pageblock flags from memblock: four bits a pageblock. With SPARSEMEM, sparse_init() has done so.

    Source: mm/page_alloc.c setup_usemap(), usemap_size()
    """
    from bootsim.linux.mm.memblock import memblock_alloc_node

    cdef Zone *zone = &p.g.zones[i]
    if k.build.config.SPARSEMEM:
        if p.section_flags == NULL:
            p.section_flags = <uint32_t *>calloc(section_flags_words(p.g), 4)
            if p.section_flags == NULL:
                raise MemoryError
        zone.pageblock_flags = p.section_flags
        zone.first_block = p.g.base >> p.g.pageblock_order
        return
    zone.first_block = zone.start_pfn >> p.g.pageblock_order
    size = usemap_size(p.g, zone)
    pa = memblock_alloc_node(k.mm.memblock, size, smp_cache_bytes(k), 0, "setup_usemap",
                             Purpose("memmap", f"pageblock flags of zone {p.zone_names[i]}"))
    if not pa:
        raise KernelPanic(f"Failed to allocate {size} bytes for zone {p.zone_names[i]} pageblock flags on node 0",
                          f"pageblock flags: {cause(k, pa.why)}")
    zone.pageblock_flags = <uint32_t *>calloc(size // 4, 4)
    if zone.pageblock_flags == NULL:
        raise MemoryError
    k.facts.add(f"zone.{p.zone_names[i]}.usemap_size", size, "bytes", "4 bits a pageblock, to whole words",
                (f"zone.{p.zone_names[i]}.start_pfn", f"zone.{p.zone_names[i]}.end_pfn",
                 "CONFIG_FORCE_MAX_ZONEORDER"), "mm/page_alloc.c usemap_size()")


cdef memmap_init(k, Pglist p):
    """Initialise the struct pages of all memory: every pageblock that starts in memory becomes MIGRATE_MOVABLE.

    Source: mm/page_alloc.c memmap_init(), memmap_init_zone_range(), memmap_init_zone()
    Differs: a zero record stands for a page that is initialised and then freed, so only those pages are written that
        nobody will free: those without a mapping (MEMBLOCK_NOMAP). With FLATMEM, frames in holes are zero in the
        kernel, too.
    """
    from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP
    from bootsim.linux.mm.sparse import PAGES_PER_SECTION

    cdef Zone *zone
    cdef uint32_t i
    hole = 0
    last_zone = 0
    for start, end in p.bank_pfns:
        for i in range(p.g.nr_zones):
            zone = &p.g.zones[i]
            if not zone.present_pages:
                continue
            last_zone = i
            first = clamp(start, zone.start_pfn, zone.start_pfn + zone.spanned_pages)
            last = clamp(end, zone.start_pfn, zone.start_pfn + zone.spanned_pages)
            if first < last:
                _memmap_init_blocks(p.g, zone, first, last)
                init_unavailable_range(k, p, hole, first, i)
                hole = last
        bank_end = end
    if p.bank_pfns:
        init_unavailable_range(k, p, hole, round_up(bank_end, PAGES_PER_SECTION), last_zone)
    for region in k.mm.memblock.memory.regions:
        if region.flags & MEMBLOCK_NOMAP:
            _hold_pages(p.g, max(round_up(region.base, PAGE_SIZE) >> PAGE_SHIFT, p.g.base),
                        (region.base + region.size) >> PAGE_SHIFT, 0)
    if p.mem_map_pa is not None and p.g.node_start_pfn > k.mm.phys_offset >> PAGE_SHIFT:
        _init_pages_beyond_map(k, p)


cdef _init_pages_beyond_map(k, Pglist p):
    # pfn_to_page() counts from PHYS_PFN_OFFSET, while the map was sized for the node: when memory begins later, struct
    # pages lie behind the map, over whatever is there.
    page_bytes = k.build.sizeof.page
    map_end = p.mem_map_pa + p.mem_map_bytes
    first = last = None
    for start, end in p.bank_pfns:
        for pfn in range(start, end):
            page_pa = p.mem_map_pa + (pfn - (k.mm.phys_offset >> PAGE_SHIFT)) * page_bytes
            if page_pa + page_bytes <= map_end:
                continue
            page_va = page_pa - k.mm.phys_offset + k.build.config.PAGE_OFFSET
            if first is None:
                first = page_pa
            if page_pa >> PAGE_SHIFT != (last or 0) >> PAGE_SHIFT or last is None:
                _expect_struct_page(k, page_va, page_pa)
            k.machine.ram.write(page_pa, _struct_page_bytes(page_zone(p.g, pfn).index, page_va, page_bytes))
            last = page_pa
    if first is not None:
        step(k, "struct pages {first:#010x}-{last:#010x} lie behind the memory map, which ends at {map_end:#010x}: "
             "memory begins at {memory:#010x}, not at {phys_offset:#010x}; what was there is overwritten",
             func="memmap_init", first=first, last=last + page_bytes - 1, map_end=map_end, level=KERN_WARNING,
             memory=p.g.node_start_pfn << PAGE_SHIFT, phys_offset=k.mm.phys_offset)
        _expect_console(k)


def _expect_console(k):
    # The page table of the early console is that of the vectors: the next message faults, with no vectors to take it.
    device = k.log.early_console_dev
    if not device or not device.enabled or not device.membase:
        return
    found = k.translate(device.membase, "write")
    if not found or found.pa != device.mapbase:
        raise KernelPanic(None, f"the page table of the early console at {device.membase:#010x} is overwritten with "
                          f"struct pages, and the next message needs it; memory: {memory_place(k)}")


def _expect_struct_page(k, va, pa):
    # The exception that an unmapped struct page takes needs the vectors, which may be overwritten already.
    from bootsim.linux.arch.arm.mm.fault import __do_kernel_fault as die

    found = k.translate(va & ULONG_MAX, "write")
    if va <= ULONG_MAX and found and found.pa == pa:
        return
    why = (f"memory begins at {k.mm.memblock.memory.regions[0].base:#010x}, not at {k.mm.phys_offset:#010x}, so that "
           f"struct pages lie behind the memory map and pass the end of lowmem at {va & ULONG_MAX:#010x}; "
           f"memory: {memory_place(k)}")
    vectors = k.translate(0xFFFF0010, "execute")
    if vectors and vectors.pa >> PAGE_SHIFT == k.mm.vectors_page_pa >> PAGE_SHIFT:
        die(k, va & ULONG_MAX, why)
    raise KernelPanic(None, why)


def _struct_page_bytes(zone, va, size):
    # as __init_single_page() leaves it: its zone, an empty list, a mapcount of -1, one reference
    words = (zone << 30, va + 4, va + 4, 0, 0, 0, ULONG_MAX, 1)
    return b"".join(word.to_bytes(4, "little") for word in words).ljust(size, b"\0")[:size]


cdef void _memmap_init_blocks(Pgdat *g, Zone *zone, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil:
    cdef uint32_t block_pages = <uint32_t>1 << g.pageblock_order
    cdef uint32_t pfn = (start_pfn + block_pages - 1) & ~(block_pages - 1)
    while pfn < end_pfn:
        set_pfnblock_migratetype(g, zone, pfn, MIGRATE_MOVABLE)
        pfn += block_pages


cdef void _hold_pages(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn, uint32_t flags) noexcept nogil:
    # struct pages as __init_single_page() leaves them, with these flags
    cdef uint32_t pfn
    for pfn in range(start_pfn, end_pfn):
        g.map[pfn].refcount = 1
        g.map[pfn].flags |= flags


cdef init_unavailable_range(k, Pglist p, start_pfn, end_pfn, zone):
    """With SPARSEMEM, reserve the struct pages in the hole [start_pfn, end_pfn) that pfn_valid() admits.

    Source: mm/page_alloc.c init_unavailable_range()
    """
    if not k.build.config.SPARSEMEM:
        return
    pages = 0
    done = start_pfn
    for first, last in p.valid_pfns:
        first, last = max(first, done), min(last, end_pfn)
        if first < last:
            _hold_pages(p.g, first, last, PG_reserved)
            pages += last - first
            done = last
    if pages:
        printk(k, KERN_INFO, "On node {nid}, zone {zone}: {pages} pages in unavailable ranges",
               func="init_unavailable_range", nid=0, zone=p.zone_names[zone], pages=pages)
