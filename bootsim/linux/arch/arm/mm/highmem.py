"""Short-lived mappings of highmem pages (arch/arm/mm/highmem.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.fixmap import END_OF_PERMANENT_FIXED_ADDRESSES, fix_to_virt
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_XN, PAGE_SIZE
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, pte_offset_kernel
from bootsim.linux.arch.arm.mm.proc_v7_2level import cpu_v7_set_pte_ext
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.linux import Kernel

FIX_KMAP_BEGIN = END_OF_PERMANENT_FIXED_ADDRESSES


def kmap_atomic(k: Kernel, pa: int) -> int:
    """Map the highmem page at `pa` into the boot CPU's first kmap_atomic slot; returns its va.

    Source: arch/arm/mm/highmem.c kmap_atomic_high_prot()
    Differs: mappings do not nest yet, so the slot is always the first.
    """
    va = fix_to_virt(FIX_KMAP_BEGIN)
    pte = pa & ~(PAGE_SIZE - 1) | k.mm.pgprot_kernel | L_PTE_XN
    cpu_v7_set_pte_ext(k.machine.ram, pte_offset_kernel(k, pmd_off_k(k, va), va), pte, 0)
    step(k, "kmap_atomic: {va:#010x} -> {pa:#010x}", va=va, pa=pa)
    return va


def kunmap_atomic(k: Kernel, va: int) -> None:
    """Give a kmap_atomic slot back; its mapping stays unless CONFIG_DEBUG_HIGHMEM wants it gone.

    Source: arch/arm/mm/highmem.c kunmap_atomic_high()
    """
    if k.build.config.DEBUG_HIGHMEM:
        cpu_v7_set_pte_ext(k.machine.ram, pte_offset_kernel(k, pmd_off_k(k, va), va), 0, 0)
