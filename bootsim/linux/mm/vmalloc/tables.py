"""Pages mapped at kernel addresses beside the linear mapping, and found there (mm/vmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_PRESENT, PMD_SIZE, PMD_TYPE_MASK, PMD_TYPE_TABLE
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, pte_offset_kernel, set_pte_at
from bootsim.linux.include.linux.errno import EBUSY, ENOMEM
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.linux.mm.memory import pte_alloc_kernel
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel
    from bootsim.linux.include.linux.mm_types import Page


def map_kernel_range_noflush(k: Kernel, addr: int, size: int, prot: int, pages: Sequence[int]) -> int:
    """Map the frames `pages` (pfns) one by one from `addr` (va) on, `size` bytes, with Linux page bits `prot`.

    Returns 0, -ENOMEM when there is no page for a table, or -EBUSY where a page is mapped already, which is then said.
    Source: mm/vmalloc.c map_kernel_range_noflush(), vmap_pte_range()
    Differs: the warning of a page mapped already is a line of bootsim.
    """
    if len(pages) < _pages(addr, size):
        raise ValueError(f"{len(pages)} frames for {size:#x} bytes: expected one a page")
    ram, pte_pa = k.machine.ram, 0
    for i in range(_pages(addr, size)):
        va = addr + i * PAGE_SIZE
        if not i or va % PMD_SIZE == 0:
            found = pte_alloc_kernel(k, pmd_off_k(k, va), va)
            if found is None:
                return -ENOMEM
            pte_pa = found
        if ram.read32(pte_pa):
            step(k, "{va:#010x} is mapped already, and not to frame {pfn:#x}", level=KERN_WARNING,
                 func="vmap_pte_range", va=va, pfn=pages[i])
            return -EBUSY
        set_pte_at(k, va, pte_pa, pages[i] << PAGE_SHIFT | prot)
        pte_pa += 4
    return 0


def map_kernel_range(k: Kernel, start: int, size: int, prot: int, pages: Sequence[int]) -> int:
    """Map the frames `pages` (pfns) one by one from `start` (va) on; 0, -ENOMEM or -EBUSY.

    Source: mm/vmalloc.c map_kernel_range()
    Differs: caches are not modelled, so nothing is flushed.
    """
    return map_kernel_range_noflush(k, start, size, prot, pages)


def unmap_kernel_range_noflush(k: Kernel, start: int, size: int) -> None:
    """Clear the entries of `size` bytes from `start` (va) on; the tables stay, and where there is none nothing is done.

    Source: mm/vmalloc.c unmap_kernel_range_noflush()
    Differs: a section in the range is refused, where pmd_clear_bad() says so and drops it.
    """
    ram = k.machine.ram
    for i in range(_pages(start, size)):
        va = start + i * PAGE_SIZE
        pmd_pa = pmd_off_k(k, va)
        pmd = ram.read32(pmd_pa)
        if pmd & 2:
            raise ValueError(f"{va:#010x}: a section is mapped there, and this function unmaps pages")
        if pmd:
            set_pte_at(k, va, pte_offset_kernel(k, pmd_pa, va), 0)


def frame(page: Page | int) -> int:
    """The number of a page's frame. Source: include/asm-generic/memory_model.h page_to_pfn()"""
    return page if isinstance(page, int) else page.pfn


def vmalloc_to_page(k: Kernel, addr: int) -> Page | None:
    """The page that is mapped at a kernel address (va), by its second-level entry; None where there is none.

    Source: mm/vmalloc.c vmalloc_to_page()
    """
    from bootsim.linux.include.linux.mm_types import Page

    ram = k.machine.ram
    pmd_pa = pmd_off_k(k, addr)
    pmd = ram.read32(pmd_pa)
    if pmd & PMD_TYPE_MASK != PMD_TYPE_TABLE:
        return None
    pte = ram.read32(pte_offset_kernel(k, pmd_pa, addr))
    return Page(k, pte >> PAGE_SHIFT) if pte & L_PTE_PRESENT else None


def vmalloc_to_pfn(k: Kernel, addr: int) -> int | None:
    """The frame that is mapped at a kernel address (va); None where there is none.

    Source: mm/vmalloc.c vmalloc_to_pfn()
    """
    page = vmalloc_to_page(k, addr)
    return None if page is None else page.pfn


def _pages(addr: int, size: int) -> int:
    # how many pages a range of kernel addresses has
    if addr % PAGE_SIZE or not 0 < size <= (1 << 32) - addr:
        raise ValueError(f"{addr:#x}+{size:#x}: expected a page's address, and a range that ends below 4 GiB")
    return -(-size // PAGE_SIZE)
