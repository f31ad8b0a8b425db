"""Asking for pages, as the kernel's users do: pages are objects, lowmem is addressed (include/linux/gfp.h).

What a request may ask, GFP_KERNEL and the others, is in bootsim.linux.mm.page_alloc; there the same functions work with
numbers of page frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.page_alloc import __GFP_HIGHMEM, __GFP_ZERO, GFP_DMA, PageFrameError
from bootsim.linux.mm.page_alloc import __free_pages as free_block
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel



def alloc_pages(k: Kernel, gfp_mask: int, order: int = 0) -> Page | None:
    """Allocate 2**order pages; the first of them, or None when there are none, which the log then tells.

    Raises PageFrameError for a mask that asks for two kinds of pages at once.
    Source: include/linux/gfp.h alloc_pages()
    """
    pfn = pa.alloc_pages(k, gfp_mask, order)
    return None if pfn is None else Page(k, pfn)


def alloc_page(k: Kernel, gfp_mask: int) -> Page | None:
    """Allocate one page.

    Source: include/linux/gfp.h alloc_page()
    """
    return alloc_pages(k, gfp_mask, 0)


def __get_free_pages(k: Kernel, gfp_mask: int, order: int) -> int:
    """Allocate 2**order pages of lowmem; their address (va), or 0.

    Source: mm/page_alloc.c __get_free_pages()
    """
    page = alloc_pages(k, gfp_mask & ~__GFP_HIGHMEM, order)
    return 0 if page is None else k.phys_to_virt(page.pa)


def __get_free_page(k: Kernel, gfp_mask: int) -> int:
    """Allocate one page of lowmem; its address (va), or 0.

    Source: include/linux/gfp.h __get_free_page()
    """
    return __get_free_pages(k, gfp_mask, 0)


def __get_dma_pages(k: Kernel, gfp_mask: int, order: int) -> int:
    """Allocate 2**order pages that DMA reaches; their address (va), or 0.

    Source: include/linux/gfp.h __get_dma_pages()
    """
    return __get_free_pages(k, gfp_mask | GFP_DMA, order)


def get_zeroed_page(k: Kernel, gfp_mask: int) -> int:
    """Allocate one cleared page of lowmem; its address (va), or 0.

    Source: mm/page_alloc.c get_zeroed_page()
    """
    return __get_free_pages(k, gfp_mask | __GFP_ZERO, 0)


def alloc_pages_exact(k: Kernel, size: int, gfp_mask: int) -> int:
    """Allocate the pages of lowmem that `size` bytes need, and not one more; their address (va), or 0.

    Source: mm/page_alloc.c alloc_pages_exact(), make_alloc_exact()
    """
    pfn = pa.alloc_pages_exact(k, size, gfp_mask & ~__GFP_HIGHMEM)
    return 0 if pfn is None else k.phys_to_virt(pfn << PAGE_SHIFT)


def alloc_contig_pages(k: Kernel, nr_pages: int, gfp_mask: int) -> Page | None:
    """Take `nr_pages` single pages that lie one behind the other; the first of them, or None.

    A number that is a power of two is also how they are aligned. free_contig_range() gives them back.
    Raises PageFrameError where the build has no CONFIG_CONTIG_ALLOC.
    Source: mm/page_alloc.c alloc_contig_pages()
    """
    pfn = pa.alloc_contig_pages(k, nr_pages, gfp_mask)
    return None if pfn is None else Page(k, pfn)


def __free_pages(k: Kernel, page: Page, order: int) -> None:
    """Drop a reference to the block that `page` heads, and free it when that was the last. Raises PageFrameError.

    Source: mm/page_alloc.c __free_pages()
    """
    free_block(k, page.pfn, order)


def __free_page(k: Kernel, page: Page) -> None:
    """Drop a reference to one page, and free it when that was the last.

    Source: include/linux/gfp.h __free_page()
    """
    __free_pages(k, page, 0)


def virt_to_pfn(k: Kernel, addr: int) -> int:
    """The frame of an address of lowmem. Raises PageFrameError for another: the kernel would read some other memory.

    Source: arch/arm/include/asm/memory.h virt_to_pfn()
    """
    pfn = k.virt_to_phys(addr) >> PAGE_SHIFT
    if addr < k.build.config.PAGE_OFFSET or not k.mm.phys_offset >> PAGE_SHIFT <= pfn < k.mm.max_low_pfn:
        raise PageFrameError(f"{addr:#x}: expected an address of lowmem, {k.build.config.PAGE_OFFSET:#x} to "
                             f"{k.phys_to_virt(k.mm.max_low_pfn << PAGE_SHIFT) - 1:#x}")
    return pfn


def free_pages(k: Kernel, addr: int, order: int) -> None:
    """Free the 2**order pages at `addr` (va); 0 is no address. Raises PageFrameError.

    Source: mm/page_alloc.c free_pages()
    """
    if addr:
        __free_pages(k, Page(k, virt_to_pfn(k, addr)), order)


def free_page(k: Kernel, addr: int) -> None:
    """Free the page at `addr` (va); 0 is no address. Raises PageFrameError.

    Source: include/linux/gfp.h free_page()
    """
    free_pages(k, addr, 0)


def free_pages_exact(k: Kernel, addr: int, size: int) -> None:
    """Free what alloc_pages_exact() gave at `addr` (va) for `size` bytes. Raises PageFrameError.

    Source: mm/page_alloc.c free_pages_exact()
    """
    pa.free_pages_exact(k, virt_to_pfn(k, addr), size)


def split_page(k: Kernel, page: Page, order: int) -> None:
    """Make 2**order single pages of a block, which then are freed one by one. Raises PageFrameError.

    Source: mm/page_alloc.c split_page()
    """
    pa.split_page(k, page.pfn, order)
