"""Pages made addressable: kmap(), for long, and kmap_atomic(), for short (include/linux/highmem.h).

A page of lowmem has its address; one of high memory gets a window. Pages are struct pages or frames' numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_XN, PMD_SIZE
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.arch.arm.mm.highmem import kmap_atomic_high_prot, kunmap_atomic_high
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.mm.highmem import Kmap, KmapError
from bootsim.linux.mm.page_alloc import page_zone_name
from bootsim.linux.mm.vmalloc.tables import frame
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def kmap_state(k: Kernel) -> Kmap:
    """The machine's windows; made now when this is their first use. Only for a build with CONFIG_HIGHMEM.

    Source: arch/arm/mm/mmu.c kmap_init()
    """
    if k.mm.kmap is None:
        k.mm.kmap = Kmap(k)
    return k.mm.kmap


def PageHighMem(k: Kernel, page: Page | int) -> bool:
    """Whether a page is of high memory, which has no address of its own.

    Source: include/linux/page-flags.h PageHighMem()
    """
    return k.build.config.HIGHMEM and page_zone_name(k, frame(page)) in ("HighMem", "Movable")


def page_address(k: Kernel, page: Page | int) -> int:
    """Where a page can be addressed (va): in lowmem, or in a window of kmap(); 0 when nowhere.

    Source: mm/highmem.c page_address()
    """
    pfn = frame(page)
    return kmap_state(k).address_of(pfn) if PageHighMem(k, pfn) else k.phys_to_virt(pfn << PAGE_SHIFT)


def kmap(k: Kernel, page: Page | int) -> int:
    """Make a page addressable until kunmap(); its address (va).

    Raises KmapError when all windows are in use: the caller would sleep until one is given back. Nothing has changed
    then.
    Source: include/linux/highmem.h kmap(), mm/highmem.c kmap_high()
    """
    pfn = frame(page)
    if not PageHighMem(k, pfn):
        return page_address(k, pfn)
    state = kmap_state(k)
    flushes = state.flushes
    va = state.kmap_high(pfn)
    _flush_windows(k, state, flushes)
    if not va:
        raise KmapError(f"kmap() of page {pfn:#x}: all 512 windows are in use; the caller would sleep until a kunmap()")
    return va


def kunmap(k: Kernel, page: Page | int) -> None:
    """Use the window of kmap() no longer. Raises KmapError for a page of high memory that nobody has mapped.

    Source: include/linux/highmem.h kunmap(), mm/highmem.c kunmap_high()
    """
    if PageHighMem(k, page):
        kmap_state(k).kunmap_high(frame(page))


def kmap_flush_unused(k: Kernel) -> None:
    """Unmap the windows of kmap() that nobody uses.

    Source: mm/highmem.c kmap_flush_unused()
    """
    if k.build.config.HIGHMEM:
        state = kmap_state(k)
        flushes = state.flushes
        state.flush_unused()
        _flush_windows(k, state, flushes)


def _flush_windows(k: Kernel, state: Kmap, flushes: int) -> None:
    # after flush_all_zero_pkmaps(), where it has unmapped any; all windows lie below one second-level table
    if state.flushes != flushes:
        flush_tlb_kernel_range(k, state.base, state.base + PMD_SIZE)


def kmap_to_page(k: Kernel, vaddr: int) -> Page:
    """The page at an address (va) that kmap() gave.

    Source: mm/highmem.c kmap_to_page()
    """
    pfn = kmap_state(k).page_at(vaddr) if k.build.config.HIGHMEM else None
    return Page(k, k.virt_to_phys(vaddr) >> PAGE_SHIFT if pfn is None else pfn)


def kmap_atomic_prot(k: Kernel, page: Page | int, prot: int) -> int:
    """Make a page addressable on this processor, with Linux's bits `prot`, until kunmap_atomic(); its address (va).

    Raises KmapError when all slots are taken.
    Source: include/linux/highmem.h kmap_atomic_prot()
    """
    if not PageHighMem(k, page):
        return page_address(k, page)
    kmap_state(k)
    return kmap_atomic_high_prot(k, frame(page), prot)


def kmap_atomic(k: Kernel, page: Page | int) -> int:
    """Make a page addressable on this processor until kunmap_atomic(); its address (va).

    Source: include/linux/highmem.h kmap_atomic()
    """
    return kmap_atomic_prot(k, page, k.mm.pgprot_kernel | L_PTE_XN)


def kunmap_atomic(k: Kernel, addr: int) -> None:
    """Use what kmap_atomic() gave no longer; the last mapping first. Raises KmapError where there is none.

    Source: include/linux/highmem.h kunmap_atomic()
    """
    if k.build.config.HIGHMEM and not k.mm.layout.PAGE_OFFSET <= addr < k.mm.layout.high_memory:
        kmap_state(k)
        kunmap_atomic_high(k, addr)
