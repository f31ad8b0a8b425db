"""Pages for page tables from the page allocator (arch/arm/include/asm/pgalloc.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.pgtable_2level import PAGE_SHIFT
from bootsim.linux.mm.page_alloc import __GFP_ZERO, GFP_KERNEL, alloc_pages

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.include.linux.mm_types import MmStruct

GFP_PGTABLE_KERNEL = GFP_KERNEL | __GFP_ZERO


def pte_alloc_one_kernel(k: Kernel, _mm: MmStruct) -> int | None:
    """Take a cleared page for second-level entries of kernel memory; returns its pa, None when there is none.

    Source: arch/arm/include/asm/pgalloc.h pte_alloc_one_kernel()
    """
    pfn = alloc_pages(k, GFP_PGTABLE_KERNEL, 0)
    return None if pfn is None else pfn << PAGE_SHIFT
