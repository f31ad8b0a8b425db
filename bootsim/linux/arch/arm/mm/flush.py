"""Cache maintenance, as far as it leaves a trace in memory (arch/arm/mm/flush.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.cachetype import cache_is_vipt_nonaliasing
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_XN
from bootsim.linux.arch.arm.mm.highmem import kmap_atomic_high_prot, kunmap_atomic_high
from bootsim.linux.mm.page_alloc import page_zone_name
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def __flush_dcache_page(k: Kernel, pa: int) -> None:
    """Flush the page at `pa`. A highmem page is mapped for that, and the entry of the mapping stays behind.

    With a cache that is looked up by virtual address, or whose lines alias, there is nothing to flush of a highmem page
    that no window shows.
    Source: arch/arm/mm/flush.c __flush_dcache_page()
    Differs: caches are not modelled; in the boot no page has a window yet.
    """
    # with one node, pages of Movable count as highmem as soon as the kernel knows highmem at all
    highmem = k.build.config.HIGHMEM and page_zone_name(k, pa >> PAGE_SHIFT) in ("HighMem", "Movable")
    if highmem and cache_is_vipt_nonaliasing(k):
        kunmap_atomic_high(k, kmap_atomic_high_prot(k, pa >> PAGE_SHIFT, k.mm.pgprot_kernel | L_PTE_XN))
