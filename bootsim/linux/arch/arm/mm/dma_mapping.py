"""Contiguous areas in lowmem get page-sized mappings, whose attributes DMA can change (arch/arm/mm/dma-mapping.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_DMA_READY, MapDesc
from bootsim.linux.arch.arm.asm.pgtable_2level import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE
from bootsim.linux.arch.arm.mm.mmu import iotable_init, pmd_clear, pmd_off_k
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.linux.lib.cmdline import EarlyParam, memparse, value_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class Unmapped(NamedTuple):
    """[start_va, end_va) of the linear mapping, which a remap took away beside its own area, and why."""

    start_va: int
    end_va: int
    why: str


def early_coherent_pool(k: Kernel, arg: str | None) -> int:
    """coherent_pool=SIZE: how many bytes the atomic DMA pool will have. Returns 0.

    Source: arch/arm/mm/dma-mapping.c early_coherent_pool()
    Differs: the pool is allocated by an initcall, and those are not replayed.
    """
    size = memparse(value_of("coherent_pool", arg))[0] & 0xFFFFFFFF
    k.facts.add("atomic_pool_size", size, "bytes", "coherent_pool=", ("cmdline:coherent_pool",),
                "arch/arm/mm/dma-mapping.c early_coherent_pool()")
    step(k, "coherent_pool= asks for {bytes} bytes, which an initcall takes later", bytes=size)
    return 0


EARLY_PARAMS = (EarlyParam("coherent_pool", early_coherent_pool),)


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
