"""Extended page data: memory beside mem_map for the debugging options that want it (mm/page_ext.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import InputError, KernelPanic
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.printk import KERN_CRIT, KERN_INFO, printk
from bootsim.linux.mm.memblock import memblock_alloc_try_nid
from bootsim.linux.mm.page_owner import init_page_owner
from bootsim.linux.mm.percpu import max_dma_address_pa
from bootsim.owners import Purpose
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def page_ext_size(k: Kernel) -> int:
    """Bytes for each page: struct page_ext and what its users need; 0 when nobody asks for it.

    Source: mm/page_ext.c invoke_need_callbacks()
    """
    config, sizeof = k.build.config, k.build.sizeof
    if not config.PAGE_EXTENSION:
        return 0
    owner = config.PAGE_OWNER and bool(k.options.get("page_owner"))
    if not owner and not config.IDLE_PAGE_TRACKING:
        return 0
    if sizeof.page_ext is None or (owner and sizeof.page_owner is None):
        raise InputError(f"build {k.build.name}: expected sizeof struct page_ext, and of struct page_owner for "
                         "page_owner=on")
    return sizeof.page_ext + (sizeof.page_owner or 0 if owner else 0)


def page_ext_init_flatmem(k: Kernel) -> None:
    """Take the extended data of all pages from memblock.

    Source: mm/page_ext.c page_ext_init_flatmem(), alloc_node_page_ext()
    Differs: with SPARSEMEM the data are taken later, by page_ext_init(), which is not replayed.
    """
    size = page_ext_size(k)
    if not size or k.build.config.SPARSEMEM:
        return
    block_pages = 1 << (k.mm.max_order - 1)
    start, end = k.mm.pgdat.bank_pfns[0][0], k.mm.pgdat.bank_pfns[-1][1]
    pages = end - start + (block_pages if start % block_pages or end % block_pages else 0)
    total = size * pages
    pa = memblock_alloc_try_nid(k.mm.memblock, total, PAGE_SIZE, max_dma_address_pa(k), nid=0,
                                caller="page_ext_init_flatmem", purpose=Purpose("memmap", "page_ext of node 0"))
    if isinstance(pa, Err):
        printk(k, KERN_CRIT, "allocation of page_ext failed.")
        raise KernelPanic("Out of memory", f"page_ext: {cause(k, pa.why)}")
    k.facts.add("page_ext.size", total, "bytes", "pages spanned, times struct page_ext and what its users need",
                ("sizeof:struct page_ext", "sizeof:struct page_owner", "CONFIG_PAGE_EXTENSION", "cmdline:page_owner",
                 "CONFIG_FORCE_MAX_ZONEORDER", "max_pfn"), "mm/page_ext.c alloc_node_page_ext()")
    printk(k, KERN_INFO, "allocated {bytes} bytes of page_ext", bytes=total)
    init_page_owner(k)
