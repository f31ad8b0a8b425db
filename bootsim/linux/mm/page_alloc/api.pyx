# cython: nonecheck=True
"""Allocating and freeing, for Python (mm/page_alloc.c)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport (
    drain_all_pages_of, drain_pages_zone_of, free_pages_by_refcount, free_pages_ok, free_unref_page_of)
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport (
    Pglist, check_gfp, check_migratetype, check_not_free, check_pfn, check_pfn_range)
from bootsim.linux.mm.page_alloc.report cimport (
    alloc_failed, log_bad_pages, stop_at, tell_events, vm_bug_on_page, warn_once)
from bootsim.linux.mm.page_alloc.slowpath cimport alloc_pages_nodemask
from bootsim.linux.mm.page_alloc.structs cimport *

from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.linux.mm.page_alloc.node import PageFrameError
from bootsim.linux.mm.page_poison import check_poison_mem, page_poisoning_enabled, poison_byte


cdef enum:  # pairs of zones that no request may ask for: a bit for each value of the four zone flags
    GFP_ZONE_BAD = 1 << 0x3 | 1 << 0x5 | 1 << 0x6 | 1 << 0x7 | 1 << 0xB | 1 << 0xD | 1 << 0xE | 1 << 0xF


def alloc_pages(k, uint32_t gfp_mask, uint32_t order):
    """Allocate 2**order pages; return the first pfn, or None when there are none, which the log then tells.

    Source: include/linux/gfp.h alloc_pages(), mm/page_alloc.c __alloc_pages_nodemask()
    Differs: without processes there is nothing to reclaim; kswapd and kcompactd, if they are woken, run when the
        request has returned; the failure's stack trace is left out.
    """
    cdef Pglist p = k.mm.pgdat
    check_gfp(gfp_mask)
    if p.g.debug_vm and order < p.g.max_order and GFP_ZONE_BAD >> (gfp_mask & GFP_ZONEMASK) & 1:
        stop_at(k, "include/linux/gfp.h:457", "gfp_zone")
        return None
    cdef uint32_t pfn = alloc_and_tell(k, p, gfp_mask, order)
    if pfn == NO_PAGE:
        return None
    if p.fills_freed:
        kernel_unpoison_pages(k, p, pfn, <uint32_t>1 << order)
    if gfp_mask & __GFP_ZERO or p.clears_allocated:
        if not want_init_on_free(k):
            k.machine.ram.zero(<int64_t>pfn << PAGE_SHIFT, <int64_t>PAGE_SIZE << order)
    return pfn


cdef uint32_t alloc_and_tell(k, Pglist p, uint32_t gfp_mask, uint32_t order) except? 1:
    """Allocate for somebody on the machine: the first pfn or NO_PAGE. The log has whatever was special about it."""
    cdef list woken = None
    cdef uint32_t pfn
    if order and p.holders is None and p.g.gfp_allowed_mask & __GFP_IO:
        _compaction_may_begin(k)
    pfn = alloc_pages_nodemask(p.g, gfp_mask, order)
    if p.g.nr_bad:
        log_bad_pages(k, p)
    if p.g.nr_events:
        woken = kswapd_wakeups(p.g)
        tell_events(k, p)
    p.raise_death()
    if pfn == NO_PAGE:
        alloc_failed(k, p, gfp_mask, order)
    if woken and k.owners.reached("free_initmem:entry"):  # kswapd_init() is an initcall
        _kswapd(k, gfp_mask, woken)
    return pfn


def _compaction_may_begin(k):
    from bootsim.linux.mm.migrate import page_holders  # it imports this module

    page_holders(k)


cdef list kswapd_wakeups(const Pgdat *g):
    # the zones and orders that a request woke kswapd for
    cdef uint32_t i
    return [(g.events[i].a, g.events[i].b) for i in range(g.nr_events) if g.events[i].what == WOKE_KSWAPD]


def _kswapd(k, gfp_mask, woken):
    from bootsim.linux.mm.vmscan.kswapd import wakeup_kswapd  # few machines come to this

    for zone, order in woken:
        wakeup_kswapd(k, gfp_mask, order, zone)


def want_init_on_alloc(k, uint32_t gfp_mask):
    """Whether a request's pages are cleared: it says so, or init_on_alloc does. Poisoning goes before that.

    Source: include/linux/mm.h want_init_on_alloc()
    """
    return bool((k.mm.init_on_alloc.taken and not page_poisoning_enabled(k)) or gfp_mask & __GFP_ZERO)


def want_init_on_free(k):
    """Whether freed pages are cleared.

    Source: include/linux/mm.h want_init_on_free()
    """
    return bool(k.mm.init_on_free.taken and not page_poisoning_enabled(k))


def __free_pages(k, uint32_t pfn, uint32_t order):
    """Drop a reference to the block at `pfn` and free it when that was the last.

    Raises PageFrameError for a block outside the memory map.
    Source: mm/page_alloc.c __free_pages()
    Differs: a block of several pages that is free already stays as it is, and so does a page that a slab cache or an
        LRU list has, which a line tells; the kernel's lists would be broken from then on.
    """
    drop_reference(k, k.mm.pgdat, pfn, order)


cdef bint drop_reference(k, Pglist p, uint32_t pfn, uint32_t order) except -1:
    # __free_pages(); False when the kernel stops here, so that who frees many pages frees no more
    check_pfn(p.g, pfn, order)
    if p.g.debug_vm and stops_at_free(k, p, pfn, order):
        return False
    if p.g.map[pfn].refcount == 1:
        check_not_free(p.g, pfn, order)
        if is_listed(&p.g.map[pfn], order) or (p.g.map[pfn].mapping and p.lru is not None and p.lru.waits(pfn)):
            step(k, "__free_pages: pfn {pfn:#x} is on a list of {whose}: freed behind its back; the kernel's lists "
                 "would be broken from here on", func="__free_pages", pfn=pfn, level=KERN_WARNING,
                 whose="a slab cache" if p.g.map[pfn].flags & PG_slab else "pages in use (LRU)")
            return True
    elif order and not p.g.map[pfn].flags & PG_head and holds_free_pages(p.g, pfn, order):
        step(k, "__free_pages: pfn {pfn:#x} order {order} is free already, as a whole or in part: freed twice; the "
             "kernel's lists would be broken from here on", func="__free_pages", pfn=pfn, order=order,
             level=KERN_WARNING)
        return True
    free_pages_by_refcount(p.g, pfn, order)
    if p.fills_freed and p.g.map[pfn].refcount == 0 and not is_bad(p.g, pfn, order):
        fill_freed(k, pfn, <uint32_t>1 << order)
    if p.g.nr_bad:
        log_bad_pages(k, p)
    return True


cdef bint holds_free_pages(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        if g.map[i].flags & PG_on_pcp or in_free_block(g, i):
            return True
    return False


cdef bint is_bad(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # whether freeing the block failed just now
    cdef uint32_t i
    for i in range(min_u32(g.nr_bad, MAX_BAD_PAGES)):
        if pfn <= g.bad[i].pfn < pfn + (<uint32_t>1 << order):
            return True
    return False


cdef bint stops_at_free(k, Pglist p, uint32_t pfn, uint32_t order) except -1:
    """Whether CONFIG_DEBUG_VM stops the kernel when a reference to a block is dropped.

    Source: include/linux/mm.h put_page_testzero(), mm/page_alloc.c free_pages_prepare()
    """
    cdef Page *page = &p.g.map[pfn]
    if not page.refcount:
        vm_bug_on_page(k, p, pfn, "page_ref_count(page) == 0", "include/linux/mm.h:707", "put_page_testzero")
        return True
    if page.refcount == 1 and (PageTail(page)
                               or (order and page.flags & PG_head and compound_order(p.g, pfn) != order)):
        page.refcount = 0
        if PageTail(page):
            vm_bug_on_page(k, p, pfn, "PageTail(page)", "mm/page_alloc.c:1210", "free_pages_prepare")
        else:
            vm_bug_on_page(k, p, pfn, "compound && compound_order(page) != order", "mm/page_alloc.c:1233",
                           "free_pages_prepare")
        return True
    return False


def get_page(k, uint32_t pfn):
    """Take one more reference to a page, or to the compound page that it is part of.

    Source: include/linux/mm.h get_page()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    pfn = compound_head(p.g, pfn)
    if p.g.debug_vm and -127 <= p.g.map[pfn].refcount <= 0:
        vm_bug_on_page(k, p, pfn, "((unsigned int) page_ref_count(page) + 127u <= 127u)", "include/linux/mm.h:1165",
                       "get_page")
        return
    p.g.map[pfn].refcount += 1


def put_page(k, uint32_t pfn):
    """Drop a reference to a page, or to the compound page that it is part of; the last one frees it.

    Source: include/linux/mm.h put_page(), mm/swap.c __put_page()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    pfn = compound_head(p.g, pfn)
    __free_pages(k, pfn, compound_order(p.g, pfn))


def set_page(k, uint32_t pfn, str field not None, value):
    """Write a field of a struct page, as a driver might that knows no better; `mapcount` is _mapcount, -1 for none.

    Raises PageFrameError for a frame without a struct page, for a field that nobody but the allocator writes, and for
    what in the end would break lists: those of a page that is free, or that a process or a file has.
    Source: include/linux/mm_types.h struct page
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    cdef Page *page = &p.g.map[pfn]
    cdef uint32_t word
    if field not in ("flags", "mapping", "index", "private", "refcount", "mapcount"):
        raise PageFrameError(f"page {pfn:#x}: {field!r} is not to be written; flags, mapping, index, private, refcount "
                             "and mapcount are")
    word = value & 0xFFFFFFFF
    if field != "flags" and page.mapping and page.flags & PG_lru:
        raise PageFrameError(f"page {pfn:#x} is a process's or a file's: its {field!r} ties it to those who have it")
    if field in ("index", "private", "mapcount") and (page.flags & PG_on_pcp or in_free_block(p.g, pfn)):
        raise PageFrameError(f"page {pfn:#x} is free: its {field!r} is the allocator's, whose lists would be broken")
    if field == "mapcount" and (~word & (0xF0000000U | PG_buddy)) == PG_buddy:
        raise PageFrameError(f"page {pfn:#x}: a mapcount of {value} is the mark of a free block")
    if field == "flags":
        if is_listed(page, 0) and page.flags & ~word & (PG_slab | PG_lru):
            raise PageFrameError(f"page {pfn:#x} is on a list of those that its flags name, which would be broken")
        if word & ~page.flags & PG_lru and not page.flags & (PG_slab | PG_on_pcp) and not in_free_block(p.g, pfn):
            if PageTail(page):
                raise PageFrameError(f"page {pfn:#x} is the tail of a compound page; lists have the head")
            list_init(p.g.map, pfn)  # so that who takes it off its list breaks no other
        page.flags = page.flags & ~<uint32_t>PAGE_FLAGS_CHECK_AT_PREP | word & PAGE_FLAGS_CHECK_AT_PREP
    elif field == "mapping":
        page.mapping = word
    elif field == "index":
        page.index = word
    elif field == "private":
        page.private_ = word
    elif field == "refcount":
        page.refcount = <int32_t>word
    else:
        page.page_type = ~word


def free_unref_page(k, uint32_t pfn):
    """Free one page whose last reference is gone, through the per-cpu list.

    Source: mm/page_alloc.c free_unref_page()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    check_not_free(p.g, pfn)
    free_unref_page_of(p.g, pfn)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def __free_pages_ok(k, uint32_t pfn, uint32_t order, uint32_t fpi_flags=FPI_NONE):
    """Free a block whose last reference is gone straight to the free lists.

    Source: mm/page_alloc.c __free_pages_ok()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, order)
    check_not_free(p.g, pfn, order)
    free_pages_ok(p.g, pfn, order, fpi_flags)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def split_page(k, uint32_t pfn, uint32_t order):
    """Make 2**order single pages of an allocated block that is no compound page.

    Source: mm/page_alloc.c split_page()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    check_pfn(p.g, pfn, order)
    if p.g.debug_vm and (PageCompound(&p.g.map[pfn]) or not p.g.map[pfn].refcount):
        condition, line = (("PageCompound(page)", 3269) if PageCompound(&p.g.map[pfn]) else ("!page_count(page)", 3270))
        vm_bug_on_page(k, p, pfn, condition, f"mm/page_alloc.c:{line}", "split_page")
        return
    check_not_free(p.g, pfn, order)
    for i in range(pfn + 1, pfn + (<uint32_t>1 << order)):
        p.g.map[i].refcount = 1


def set_page_count(k, uint32_t pfn, int count):
    """Set the references to a page.

    Source: include/linux/page_ref.h set_page_count()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    p.g.map[pfn].refcount = count


def ClearPageReserved(k, uint32_t pfn):
    """Take the reservation of the boot off a page.

    Source: include/linux/page-flags.h ClearPageReserved()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    p.g.map[pfn].flags &= ~<uint32_t>PG_reserved


def alloc_pages_exact(k, uint32_t size, uint32_t gfp_mask):
    """Allocate the pages that `size` bytes need, and not one more; return the first pfn, or None.

    No bytes need more than there can be, as get_order(0) has it: None.
    Source: mm/page_alloc.c alloc_pages_exact()
    """
    cdef uint32_t pages = <uint32_t>((<uint64_t>size + PAGE_SIZE - 1) >> PAGE_SHIFT)
    cdef uint32_t order = (int(pages) - 1).bit_length() if size else 32 - PAGE_SHIFT
    cdef uint32_t i
    if gfp_mask & __GFP_COMP:
        warn_once(k, k.mm.pgdat, "mm/page_alloc.c:5240", "alloc_pages_exact")
    pfn = alloc_pages(k, gfp_mask & ~<uint32_t>__GFP_COMP, order)
    if pfn is None:
        return None
    split_page(k, pfn, order)
    for i in range(pfn + pages, pfn + (<uint32_t>1 << order)):
        __free_pages(k, i, 0)
    return pfn


def free_pages_exact(k, uint32_t pfn, uint32_t size):
    """Free what alloc_pages_exact() gave for `size` bytes.

    Source: mm/page_alloc.c free_pages_exact()
    """
    cdef Pglist p = k.mm.pgdat
    cdef uint64_t end = pfn + ((<uint64_t>size + PAGE_SIZE - 1) >> PAGE_SHIFT)
    cdef uint32_t i
    if size:
        check_pfn_range(p.g, pfn, end)
        for i in range(pfn, <uint32_t>end):
            if not drop_reference(k, p, i, 0):
                break


def drain_pages_zone(k, uint32_t cpu, uint32_t zone):
    """Free everything on one cpu's list of the zone with index `zone`.

    Source: mm/page_alloc.c drain_pages_zone()
    """
    cdef Pglist p = k.mm.pgdat
    if cpu >= p.g.nr_cpus or zone >= p.g.nr_zones:
        raise PageFrameError(f"cpu {cpu}, zone {zone}: no such per-cpu list")
    drain_pages_zone_of(p.g, cpu, &p.g.zones[zone])
    if p.g.nr_bad:
        log_bad_pages(k, p)


def drain_all_pages(k, zone=None):
    """Free every cpu's lists, of one zone (by index) or of all.

    Source: mm/page_alloc.c drain_all_pages()
    """
    cdef Pglist p = k.mm.pgdat
    if zone is not None and not 0 <= zone < p.g.nr_zones:
        raise PageFrameError(f"zone {zone}: the node has zones 0 to {p.g.nr_zones - 1}")
    drain_all_pages_of(p.g, -1 if zone is None else zone)
    if p.g.nr_bad:
        log_bad_pages(k, p)


def get_pageblock_migratetype(k, uint32_t pfn):
    """The migrate type of the pageblock that holds `pfn`.

    Source: include/linux/mmzone.h get_pageblock_migratetype()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    return get_pfnblock_migratetype(p.g, page_zone(p.g, pfn), pfn)


def set_pageblock_migratetype(k, uint32_t pfn, uint32_t migratetype):
    """Give the pageblock that holds `pfn` a migrate type.

    Source: mm/page_alloc.c set_pageblock_migratetype()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    check_migratetype(p, migratetype)
    set_pfnblock_migratetype(p.g, page_zone(p.g, pfn), pfn, migratetype)


def page_zone_name(k, uint32_t pfn):
    """The name of the zone that holds `pfn`. Source: mm/page_alloc.c zone_names"""
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    return p.zone_names[page_zone(p.g, pfn).index]


def page_zone_index(k, uint32_t pfn):
    """The index of the zone that holds `pfn`.

    Source: include/linux/mm.h page_zonenum()
    """
    cdef Pglist p = k.mm.pgdat
    check_pfn(p.g, pfn, 0)
    return page_zone(p.g, pfn).index


# What kernel_init_free_pages() and kernel_poison_pages() write into freed pages.
cdef int fill_freed(k, uint32_t pfn, uint32_t pages, bint poison=True) except -1:
    cdef Pglist p = k.mm.pgdat
    cdef uint32_t i
    if p.fills_freed:
        if page_poisoning_enabled(k):
            if poison:
                for i in range(pfn, pfn + pages):
                    p.g.map[i].flags |= PG_poisoned
                k.machine.ram.fill32(<int64_t>pfn << PAGE_SHIFT, <int64_t>pages << PAGE_SHIFT,
                                     poison_byte(k) * 0x01010101)
        else:
            k.machine.ram.zero(<int64_t>pfn << PAGE_SHIFT, <int64_t>pages << PAGE_SHIFT)
    return 0


cdef int kernel_unpoison_pages(k, Pglist p, uint32_t pfn, uint32_t pages) except -1:
    # kernel_poison_pages() of pages that are given: what was filled must be as it was left
    cdef uint32_t i
    for i in range(pfn, pfn + pages):
        if p.g.map[i].flags & PG_poisoned:
            p.g.map[i].flags &= ~<uint32_t>PG_poisoned
            check_poison_mem(k, i)
    return 0
