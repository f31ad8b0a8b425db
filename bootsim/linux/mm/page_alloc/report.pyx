# cython: nonecheck=True
"""What the log tells of bad pages and failed requests (mm/page_alloc.c, mm/debug.c)."""

from libc.stdint cimport int32_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport *

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
# Why a page is bad, by page_bad_reason()'s answer.
BAD_REASONS = ("", "nonzero mapcount", "non-NULL mapping", "nonzero _refcount",
               "PAGE_FLAGS_CHECK_AT_FREE flag(s) set", "PAGE_FLAGS_CHECK_AT_PREP flag(s) set")
_MAX_SHOWN = 60  # within a minute; the clock of a boot stands still


cdef log_bad_pages(k, Pglist p):
    # bad_page() and __dump_page() of every bad page met since the last call. The kernel also dumps the raw struct page,
    # modules and a stack trace, and prints hashed pointers.
    cdef uint32_t i, found = p.g.nr_bad
    cdef BadPage *bad
    p.g.nr_bad = 0
    for i in range(min_u32(found, MAX_BAD_PAGES)):
        if p.nr_bad_shown >= _MAX_SHOWN:
            return
        p.nr_bad_shown += 1
        bad = &p.g.bad[i]
        zone = page_zone(p.g, bad.pfn)
        cma = " CMA" if get_pfnblock_migratetype(p.g, zone, bad.pfn) == MIGRATE_CMA else ""
        names = "|".join(name for name, bit in _PAGE_FLAG_NAMES if bad.page.flags >> bit & 1)
        printk(k, KERN_ALERT, "BUG: Bad page state in process {comm}  pfn:{pfn:05x}", func="bad_page",
               comm=k.cpus[0].comm, pfn=bad.pfn)
        printk(k, KERN_WARNING, "page:(ptrval) refcount:{refcount} mapcount:{mapcount} mapping:{mapping:08x} "
               "index:{index:#x} pfn:{pfn:#x}", func="__dump_page", refcount=bad.page.refcount,
               mapcount=<int32_t>(~bad.page.page_type + 1), mapping=bad.page.mapping, index=bad.page.index, pfn=bad.pfn)
        printk(k, KERN_WARNING, "flags: {flags:#x}({names}){cma}", func="__dump_page",
               flags=bad.page.flags | zone.index << 30, names=names, cma=cma)
        if bad.reason:
            printk(k, KERN_WARNING, "page dumped because: {reason}", func="__dump_page",
                   reason=BAD_REASONS[bad.reason])


cdef alloc_failed(k, Pglist p, uint32_t gfp_mask, uint32_t order):
    if order >= p.g.max_order:
        if not gfp_mask & __GFP_NOWARN:
            step(k, "__alloc_pages_nodemask: order {order} is not below MAX_ORDER {max_order}; the kernel warns here",
                 func="__alloc_pages_nodemask", order=order, max_order=p.g.max_order, level=KERN_WARNING)
        return
    if gfp_mask & __GFP_NOWARN:
        return
    mask = gfp_mask & p.g.gfp_allowed_mask
    cpuset = ",cpuset=/,mems_allowed=0" if k.build.config.CPUSETS else ""
    printk(k, KERN_WARNING, "{comm}: page allocation failure: order:{order}, mode:{mode:#x}({names}), "
           "nodemask=(null){cpuset}", func="warn_alloc", comm=k.cpus[0].comm, order=order, mode=mask,
           names=format_gfp_flags(mask), cpuset=cpuset)
