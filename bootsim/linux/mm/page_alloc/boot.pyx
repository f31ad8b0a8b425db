# cython: nonecheck=True
"""Handing the boot's memory over to the allocator, and what is asked of it then (mm/page_alloc.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.api cimport fill_freed
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport (
    __free_pages_core, free_pages_by_refcount, free_untouched_highmem, free_untouched_pages)
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport (
    Pglist, check_not_free, check_pfn, check_pfn_range, check_untouched, clamp, round_up, smp_cache_bytes,
    zone_fact_names)
from bootsim.linux.mm.page_alloc.report cimport log_bad_pages
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.causes import cause
from bootsim.errors import InputError, KernelPanic
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.mm.page_alloc.api import alloc_pages_exact
from bootsim.linux.mm.page_alloc.node import PageFrameError
from bootsim.linux.mm.page_alloc.parameters import ULONG_MAX
from bootsim.owners import Purpose
from bootsim.places import memory_place


def reset_all_zones_managed_pages(k):
    """Count managed pages anew: from here on a page counts when it is freed.

    Source: mm/memblock.c reset_all_zones_managed_pages()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    for i in range(p.g.nr_zones):
        p.g.zones[i].managed_pages = 0


def reserve_bootmem_region(k, start_pa, end_pa):
    """Mark every page that [start_pa, end_pa) touches as reserved.

    Source: mm/page_alloc.c reserve_bootmem_region()
    """
    cdef Pglist p = k.mm.pgdat
    cdef Page *map = p.g.map
    cdef uint32_t pfn, first, last
    start = start_pa >> PAGE_SHIFT
    end = (end_pa + PAGE_SIZE - 1) >> PAGE_SHIFT
    if map == NULL:
        return
    for bank_start, bank_end in p.valid_pfns:
        bank_start, bank_end = clamp(bank_start, p.g.base, p.g.end), clamp(bank_end, p.g.base, p.g.end)
        first, last = clamp(start, bank_start, bank_end), clamp(end, bank_start, bank_end)
        for pfn in range(first, last):
            map[pfn].flags |= PG_reserved
            map[pfn].refcount = 1


def memblock_free_pages(k, uint32_t pfn, uint32_t order):
    """Give one block of boot memory to the allocator.

    Source: mm/page_alloc.c memblock_free_pages(), __free_pages_core()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, order)
    check_untouched(p.g, pfn, pfn + (<uint32_t>1 << order))
    __free_pages_core(p.g, pfn, order)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def free_pages_memory(k, uint32_t start_pfn, uint32_t end_pfn):
    """Give all of [start_pfn, end_pfn) to the allocator, in the largest aligned blocks; the pages must be untouched.

    Source: mm/memblock.c __free_pages_memory()
    Differs: page_poison=on does not write its pattern into the memory freed here; it would fill the whole machine.
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t pfn = start_pfn
    cdef uint32_t order
    if pfn >= end_pfn:
        return
    check_pfn_range(p.g, start_pfn, end_pfn)
    check_untouched(p.g, start_pfn, end_pfn)
    fill_freed(k, start_pfn, end_pfn - start_pfn, poison=False)
    while pfn < end_pfn:
        order = p.g.max_order - 1
        while pfn & ((<uint32_t>1 << order) - 1) or <int64_t>pfn + (<int64_t>1 << order) > end_pfn:
            order -= 1
        free_untouched_pages(p.g, pfn, order)
        pfn += <uint32_t>1 << order


def free_highmem_range(k, uint32_t start_pfn, uint32_t end_pfn):
    """Free the untouched highmem pages [start_pfn, end_pfn) one by one, as free_highpages() does.

    Source: mm/page_alloc.c free_highmem_page()
    Differs: page_poison=on does not write its pattern into the memory freed here.
    """
    cdef Pglist p = k.mm.pgdat
    if start_pfn >= end_pfn:
        return
    check_pfn_range(p.g, start_pfn, end_pfn)
    check_untouched(p.g, start_pfn, end_pfn)
    fill_freed(k, start_pfn, end_pfn - start_pfn, poison=False)
    free_untouched_highmem(p.g, start_pfn, end_pfn)
    k.mm.totalram_pages += end_pfn - start_pfn
    k.mm.totalhigh_pages += end_pfn - start_pfn


def free_highmem_page(k, uint32_t pfn):
    """Free one page of highmem.

    Source: mm/page_alloc.c free_highmem_page()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    free_highmem_range(k, pfn, pfn + 1)


def adjust_managed_page_count(k, uint32_t pfn, int count):
    """Add `count` to the managed pages of the zone of `pfn`, and to the totals.

    Source: mm/page_alloc.c adjust_managed_page_count()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    cdef Zone *zone = page_zone(p.g, pfn)
    zone.managed_pages += count
    k.mm.totalram_pages += count
    if zone.highmem:
        k.mm.totalhigh_pages += count


cdef inline void __free_reserved_page(Pgdat *g, uint32_t pfn) noexcept nogil:
    g.map[pfn].flags &= ~<uint32_t>PG_reserved
    g.map[pfn].refcount = 1
    free_pages_by_refcount(g, pfn, 0)


def free_reserved_page(k, uint32_t pfn):
    """Free a page that the boot had reserved.

    Source: include/linux/mm.h free_reserved_page()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    check_not_free(p.g, pfn)
    fill_freed(k, pfn, 1)
    __free_reserved_page(p.g, pfn)
    adjust_managed_page_count(k, pfn, 1)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def free_reserved_area(k, start_va, end_va, poison=-1, name=None):
    """Free the whole pages of lowmem within [start_va, end_va), filled with the byte `poison` if 0..255; their count.

    Source: mm/page_alloc.c free_reserved_area()
    Differs: pages that are free already are counted, and told, but not put on a list a second time.
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t pfn, first, last
    start_pa = round_up(start_va, PAGE_SIZE) - k.build.config.PAGE_OFFSET + k.mm.phys_offset
    end_pa = (end_va & ~(PAGE_SIZE - 1)) - k.build.config.PAGE_OFFSET + k.mm.phys_offset
    if end_pa <= start_pa:
        return 0
    if start_pa < 0 or end_pa > 1 << 32:
        raise PageFrameError(f"{start_va:#x}-{end_va:#x}: expected addresses of lowmem")
    first, last = start_pa >> PAGE_SHIFT, end_pa >> PAGE_SHIFT
    if last > p.g.end or first < p.g.base:
        raise KernelPanic(None, f"free_reserved_area() frees {start_pa:#010x}-{end_pa - 1:#010x} "
                          f"({name or 'memory'}), which is no memory of the kernel's: no zone holds it; "
                          f"memory: {memory_place(k)}")
    check_pfn_range(p.g, first, last)
    if 0 <= poison <= 0xFF:
        k.machine.ram.fill32(start_pa, end_pa - start_pa, poison * 0x01010101)
    fill_freed(k, first, last - first)
    twice = 0
    for pfn in range(first, last):
        page_zone(p.g, pfn).managed_pages += 1
        if p.g.map[pfn].flags & PG_on_pcp or in_free_block(p.g, pfn):
            twice += 1
        else:
            __free_reserved_page(p.g, pfn)
    if last > p.g.freed_end:
        p.g.freed_end = last
    if twice:
        step(k, "{pages} pages of {start:#010x}-{last:#010x} ({name}) are free already: the region has two owners; the "
             "kernel gives them twice", func="free_reserved_area", pages=twice, start=start_pa, last=end_pa - 1,
             name=name or "memory", level=KERN_WARNING)
    k.mm.totalram_pages += last - first
    if p.g.nr_bad:
        log_bad_pages(k, p)
    if name:
        printk(k, KERN_INFO, "Freeing {name} memory: {kib}K", func="free_reserved_area", name=name,
               kib=(last - first) << (PAGE_SHIFT - 10))
    return last - first


def init_cma_reserved_pageblock(k, uint32_t pfn):
    """Free a whole reserved pageblock as MIGRATE_CMA.

    Source: mm/page_alloc.c init_cma_reserved_pageblock()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t order = p.g.pageblock_order
    cdef uint32_t i
    check_pfn(p.g, pfn, order)
    check_untouched(p.g, pfn, pfn + (<uint32_t>1 << order))
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        p.g.map[i].flags &= ~<uint32_t>PG_reserved
        p.g.map[i].refcount = 0
    set_pfnblock_migratetype(p.g, page_zone(p.g, pfn), pfn, MIGRATE_CMA)
    p.g.map[pfn].refcount = 1
    fill_freed(k, pfn, <uint32_t>1 << order, poison=False)
    free_pages_by_refcount(p.g, pfn, order)
    adjust_managed_page_count(k, pfn, 1 << order)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def nr_free_pages(k):
    """Free pages by the zone counters.

    Source: include/linux/vmstat.h nr_free_pages()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    total = 0
    for i in range(p.g.nr_zones):
        total += p.g.zones[i].vm_stat[NR_FREE_PAGES]
    return total


def mem_init_print_info(k, text=None):
    """Log the "Memory:" line; `text` is added to it.

    Source: mm/page_alloc.c mem_init_print_info()
    """
    cdef Pglist p = k.mm.pgdat
    sym = k.build.symbols
    code, data, rodata = sym.etext - sym.stext, sym.edata - sym.sdata, sym.end_rodata - sym.start_rodata
    init_data, init_code = sym.init_end - sym.init_begin, sym.einittext - sym.sinittext

    # A section that lies inside another is not counted twice.
    def adjusted(start, end, size, position, less):
        return size - less if start <= position < end and size > less else size

    init_data = adjusted(sym.init_begin, sym.init_end, init_data, sym.sinittext, init_code)
    code = adjusted(sym.stext, sym.etext, code, sym.sinittext, init_code)
    data = adjusted(sym.sdata, sym.edata, data, sym.init_begin, init_data)
    code = adjusted(sym.stext, sym.etext, code, sym.start_rodata, rodata)
    data = adjusted(sym.sdata, sym.edata, data, sym.start_rodata, rodata)
    physpages = p.g.node_present_pages
    to_kib = PAGE_SHIFT - 10
    highmem = ", {highmem}K highmem" if k.build.config.HIGHMEM else ""
    printk(k, KERN_INFO, "Memory: {free}K/{physical}K available ({code}K kernel code, {data}K rwdata, "
           "{rodata}K rodata, {init}K init, {bss}K bss, {reserved}K reserved, {cma}K cma-reserved" + highmem
           + "{text})", func="mem_init_print_info", free=nr_free_pages(k) << to_kib, physical=physpages << to_kib,
           code=code >> 10, data=data >> 10, rodata=rodata >> 10, init=(init_data + init_code) >> 10,
           bss=(sym.bss_stop - sym.bss_start) >> 10,
           reserved=(physpages - k.mm.totalram_pages - k.mm.totalcma_pages) << to_kib & ULONG_MAX,
           cma=k.mm.totalcma_pages << to_kib,
           highmem=k.mm.totalhigh_pages << to_kib, text=f", {text}" if text else "")
    # what early boot holds on to; the rest was given to the allocator
    held = ("kernel.base", "kernel.size", "dtb.base", "dtb.size", "mem_map.size",
            "unflattened_tree.size", "pcpu_unit_size", "nr_cpu_ids", "empty_zero_page", "CONFIG_LOG_BUF_SHIFT",
            *(f.name for f in k.facts if f.name.startswith(("cma", "hash.", "zone.", "phys_initrd", "log_buf"))
              and not f.name.endswith("managed_pages")), "dtb:/reserved-memory:*", "cmdline:*")
    pages_given(k, "present pages less held ones", held, "mm/page_alloc.c memblock_free_all()")


def pages_given(k, formula, inputs, source):
    """Record how many pages the zones, and all of them together, have been given by now: `formula`, from `inputs`.

    Source: none, for bootsim's own facts
    """
    cdef Pglist p = k.mm.pgdat
    for i, name in enumerate(p.zone_names):
        fact = f"zone.{name}.managed_pages"
        before = k.facts.get(fact)
        if p.g.zones[i].spanned_pages and (before is None or before.value != p.g.zones[i].managed_pages):
            k.facts.add(fact, p.g.zones[i].managed_pages, "pages", formula,
                        (f"zone.{name}.present_pages" if before is None else fact, *inputs), source)
    k.facts.add("totalram_pages", k.mm.totalram_pages, "pages", "pages given to the allocator",
                zone_fact_names(k, "managed_pages"), source)


# ------------------------------------------------------------------ hash tables

# The options that say how many entries a table has.
_HASH_OPTIONS = {"Dentry cache": ("cmdline:dhash_entries",), "Inode-cache": ("cmdline:ihash_entries",)}
HASH_EARLY, HASH_SMALL, HASH_ZERO = 1, 2, 4  # include/linux/memblock.h


def alloc_large_system_hash(k, tablename, bucketsize, numentries, scale, flags, low_limit, high_limit, shift=0):
    """Allocate a hash table sized by memory; return its pa, and the hash's shift and mask.

    bucketsize: bytes; scale: one entry per 2**scale bytes of lowmem when `numentries` is 0; `shift`: the smallest
    table's shift, for HASH_SMALL. Raises KernelPanic when there is no memory.
    Source: mm/page_alloc.c alloc_large_system_hash()
    Differs: tables from vmalloc() (MAX_ORDER and larger, after boot) raise InputError.
    """
    cdef Pglist p = k.mm.pgdat
    if bucketsize < 1 or not 0 <= shift < 32 or numentries < 0:
        raise ValueError(f"{numentries} buckets of {bucketsize} bytes, shift {shift}: expected sizes of 32 bits")
    entries = numentries
    if not entries:
        entries = round_up(k.mm.nr_kernel_pages, (1 << 20) // PAGE_SIZE)
        entries = entries >> (scale - PAGE_SHIFT) if scale > PAGE_SHIFT else entries << (PAGE_SHIFT - scale) & ULONG_MAX
        if flags & HASH_SMALL:
            if not entries >> shift:
                entries = 1 << shift
        elif entries * bucketsize & ULONG_MAX < PAGE_SIZE:
            entries = PAGE_SIZE // bucketsize
    entries = 1 << (entries - 1).bit_length() if entries > 1 else 1
    most = high_limit or (k.mm.nr_all_pages << PAGE_SHIFT >> 4) // bucketsize
    entries = min(max(entries, low_limit), most, 0x80000000)
    log2qty = max(entries, 1).bit_length() - 1
    while True:
        size = bucketsize << log2qty
        pa = _hash_memory(k, p, tablename, size, flags)
        if pa or size <= PAGE_SIZE:
            break
        log2qty -= 1
    if not pa:
        why = cause(k, pa.why) if flags & HASH_EARLY else f"no {size:#x} free bytes for it"
        raise KernelPanic(f"Failed to allocate {tablename} hash table", f"{tablename} hash table: {why}")
    printk(k, KERN_INFO, "{name} hash table entries: {entries} (order: {order}, {size} bytes, linear)",
           func="alloc_large_system_hash", name=tablename, entries=1 << log2qty,
           order=size.bit_length() - 1 - PAGE_SHIFT, size=size)
    k.facts.add(f"hash.{tablename}.entries", 1 << log2qty, "entries", f"lowmem pages by scale {scale}, a power of two",
                ("nr_kernel_pages", "nr_all_pages", *_HASH_OPTIONS.get(tablename, ())),
                "mm/page_alloc.c alloc_large_system_hash()")
    return pa, log2qty, (1 << log2qty) - 1


cdef _hash_memory(k, Pglist p, tablename, size, flags):
    from bootsim.linux.mm.memblock import memblock_alloc

    if flags & HASH_EARLY:
        return memblock_alloc(k.mm.memblock, size, smp_cache_bytes(k), "alloc_large_system_hash",
                              Purpose("hash", f"{tablename} hash table"))
    if max((size - 1) >> PAGE_SHIFT, 0).bit_length() >= p.g.max_order:
        raise InputError(f"a hash table of {size:#x} bytes is vmalloc()ed, which is not replayed")
    pfn = alloc_pages_exact(k, size, GFP_ATOMIC | (__GFP_ZERO if flags & HASH_ZERO else 0))
    return 0 if pfn is None else pfn << PAGE_SHIFT
