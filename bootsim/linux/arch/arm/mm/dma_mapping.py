"""Memory for DMA: contiguous areas in lowmem get page-sized mappings, whose attributes the pool of the atomic
allocations changes (arch/arm/mm/dma-mapping.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_DMA_READY, MapDesc
from bootsim.linux.arch.arm.asm.pgtable_2level import (
    L_PTE_MT_BUFFERABLE,
    L_PTE_MT_MASK,
    L_PTE_MT_UNCACHED,
    L_PTE_XN,
    PMD_SIZE,
)
from bootsim.linux.arch.arm.mm.mmu import iotable_init, pmd_clear, pmd_off_k
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pte_offset_kernel, set_ptes
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, memparse, value_of
from bootsim.linux.mm.cma import cma_alloc
from bootsim.linux.mm.page_alloc import GFP_DMA, GFP_KERNEL, __free_pages, alloc_pages, split_page
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, get_order

if TYPE_CHECKING:
    from bootsim.linux import Kernel


DEFAULT_DMA_COHERENT_POOL_SIZE = 256 << 10


class Unmapped(NamedTuple):
    """[start_va, end_va) of the linear mapping, which a remap took away beside its own area, and why."""

    start_va: int
    end_va: int
    why: str


def early_coherent_pool(k: Kernel, arg: str | None) -> int:
    """coherent_pool=SIZE: how many bytes the atomic DMA pool will have. Returns 0.

    Source: arch/arm/mm/dma-mapping.c early_coherent_pool()
    """
    size = memparse(value_of("coherent_pool", arg))[0] & 0xFFFFFFFF
    k.facts.add("atomic_pool_size", size, "bytes", "coherent_pool=", ("cmdline:coherent_pool",),
                "arch/arm/mm/dma-mapping.c early_coherent_pool()")
    k.options["atomic_pool_size"] = size
    return 0


EARLY_PARAMS = (EarlyParam("coherent_pool", early_coherent_pool),)


def atomic_pool_init(k: Kernel) -> None:
    """Take the pages of which DMA memory is given to those that cannot sleep: from the default contiguous area.

    Without an area they are a block of the page allocator's; what that has beyond the pool's size goes back.
    Source: arch/arm/mm/dma-mapping.c atomic_pool_init(), __alloc_from_contiguous(), __alloc_remap_buffer()
    Differs: pages of high memory, and those of the page allocator, are not mapped into the vmalloc area; the structs of
        the pool itself are not allocated.
    """
    size = k.options.get("atomic_pool_size", DEFAULT_DMA_COHERENT_POOL_SIZE)
    area, count = k.mm.dma_contiguous_default_area, size >> PAGE_SHIFT
    pfn = __dma_alloc_buffer(k, size) if area is None else cma_alloc(
        k, area, count, min(get_order(size), k.build.config.CMA_ALIGNMENT))
    if pfn is None:
        printk(k, KERN_ERR, "DMA: failed to allocate {kib} KiB pool for atomic coherent allocation", kib=size // 1024)
        return
    k.machine.ram.zero(pfn << PAGE_SHIFT, size)
    if area is not None and pfn < k.mm.max_low_pfn:
        __dma_remap(k, pfn, count, pgprot_dmacoherent(k, k.mm.pgprot_kernel | L_PTE_XN))
    k.mm.atomic_pool = (pfn, count)
    printk(k, KERN_INFO, "DMA: preallocated {kib} KiB pool for atomic coherent allocations", kib=size // 1024)


def __dma_alloc_buffer(k: Kernel, size: int) -> int | None:
    # no docstring of its own: the part of atomic_pool_init() for a build or boot without a contiguous area
    order = get_order(size)
    pfn = alloc_pages(k, GFP_KERNEL | GFP_DMA, order)
    if pfn is None:
        return None
    split_page(k, pfn, order)
    for page in range(pfn + (size >> PAGE_SHIFT), pfn + (1 << order)):
        __free_pages(k, page, 0)
    return pfn


def pgprot_dmacoherent(k: Kernel, prot: int) -> int:
    """Linux's bits of an entry, with those of memory that devices see as it is.

    Source: arch/arm/include/asm/pgtable.h pgprot_dmacoherent()
    """
    kind = L_PTE_MT_BUFFERABLE if k.build.config.ARM_DMA_MEM_BUFFERABLE else L_PTE_MT_UNCACHED
    return prot & ~L_PTE_MT_MASK | kind | L_PTE_XN


def __dma_remap(k: Kernel, pfn: int, count: int, prot: int) -> None:
    """Give `count` pages of the linear mapping, which is there in pages, other bits.

    Source: arch/arm/mm/dma-mapping.c __dma_remap(), __dma_update_pte()
    Differs: the TLB is not told: nothing has been read through it when the pool is taken.
    """
    va = k.phys_to_virt(pfn << PAGE_SHIFT)
    while count:
        run = min(count, (PMD_SIZE - va % PMD_SIZE) >> PAGE_SHIFT)
        set_ptes(k, pte_offset_kernel(k, pmd_off_k(k, va), va), run, pfn << PAGE_SHIFT | prot)
        pfn, count, va = pfn + run, count - run, va + (run << PAGE_SHIFT)


def dma_contiguous_early_fixup(k: Kernel, base: int, size: int, asked_by: str) -> None:
    """Remember a contiguous area (pa, bytes), which the input `asked_by` wants, for dma_contiguous_remap().

    Source: arch/arm/mm/dma-mapping.c dma_contiguous_early_fixup()
    """
    k.mm.dma_mmu_remap.append((base, size, asked_by))


def dma_contiguous_remap(k: Kernel) -> None:
    """Replace the sections over each contiguous area in lowmem by page tables.

    Source: arch/arm/mm/dma-mapping.c dma_contiguous_remap()
    """
    for start, size, asked_by in k.mm.dma_mmu_remap:
        end = min(start + size, k.mm.arm_lowmem_limit)
        if start >= end:
            step(k, "contiguous area {start:#010x}+{size:#x} lies above lowmem: nothing to remap", start=start,
                 size=size)
            continue
        first, last = k.phys_to_virt(start), k.phys_to_virt(end)
        if start < k.virt_to_phys(k.build.symbols.end) and end > k.mm.init_mm.pgd_pa:
            raise KernelPanic(None, f"{asked_by}: the contiguous area at "
                              f"{start:#010x}-{end - 1:#010x} lies on the kernel, and "
                              "dma_contiguous_remap() takes away the mapping that it runs on")
        for addr in range(first, last, PMD_SIZE):
            _note_unmapped(k, addr & ~(PMD_SIZE - 1), first, last, asked_by)
            pmd_clear(k, pmd_off_k(k, addr))
        step(k, "sections {first:#010x}-{last:#010x} of a contiguous area cleared", first=first, last=last - 1)
        iotable_init(k, [MapDesc(first, start >> PAGE_SHIFT, end - start, MT_MEMORY_DMA_READY)])


# pmd_clear() is about to take two sections; what of the two lies beside [first, last) (va) is not mapped again.
def _note_unmapped(k: Kernel, pair: int, first: int, last: int, asked_by: str) -> None:
    order = k.mm.max_order
    why = (f"dma_contiguous_remap() clears sections in pairs of {PMD_SIZE:#x}, and {asked_by} got an area at "
           f"{k.virt_to_phys(first):#010x}-{k.virt_to_phys(last) - 1:#010x}, which CONFIG_FORCE_MAX_ZONEORDER={order} "
           f"aligns to {PAGE_SIZE << (order - 1):#x} only")
    for start, end in ((pair, min(first, pair + PMD_SIZE)), (max(last, pair), pair + PMD_SIZE)):
        if start < end and k.translate(start):
            k.mm.unmapped.append(Unmapped(start, end, why))
            step(k, "{start:#010x}-{end:#010x}, beside the area, is not mapped any more: {why}", level=KERN_WARNING,
                 func="dma_contiguous_remap", start=start, end=end - 1, why=why)
