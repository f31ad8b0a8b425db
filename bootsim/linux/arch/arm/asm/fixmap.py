"""The fixmap: pages at virtual addresses known when the kernel is compiled (arch/arm/include/asm/fixmap.h)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.pgtable_2level import (
    L_PTE_DIRTY,
    L_PTE_MT_DEV_SHARED,
    L_PTE_PRESENT,
    L_PTE_SHARED,
    L_PTE_XN,
    L_PTE_YOUNG,
)
from bootsim.page import PAGE_SIZE

FIXADDR_START = 0xFFC80000
FIXADDR_END = 0xFFF00000
FIXADDR_TOP = FIXADDR_END - PAGE_SIZE

FIX_EARLYCON_MEM_BASE = 0
END_OF_PERMANENT_FIXED_ADDRESSES = 1
KM_TYPE_NR = 16
NR_FIX_BTMAPS = 32
FIX_BTMAPS_SLOTS = 7

FIXMAP_PAGE_COMMON = L_PTE_YOUNG | L_PTE_PRESENT | L_PTE_XN | L_PTE_DIRTY
FIXMAP_PAGE_IO = FIXMAP_PAGE_COMMON | L_PTE_MT_DEV_SHARED | L_PTE_SHARED


def end_of_fixed_addresses(nr_cpus: int) -> int:
    """How many slots there are: kmap_atomic slots for every processor, or early_ioremap's, which share them.

    Source: arch/arm/include/asm/fixmap.h __end_of_fixed_addresses
    """
    kmap_end = END_OF_PERMANENT_FIXED_ADDRESSES + KM_TYPE_NR * nr_cpus + 2
    btmap_end = END_OF_PERMANENT_FIXED_ADDRESSES + NR_FIX_BTMAPS * FIX_BTMAPS_SLOTS
    return max(kmap_end, btmap_end)


def fix_to_virt(idx: int) -> int:
    """The address (va) of slot `idx`; slots run downwards from FIXADDR_TOP.

    Source: include/asm-generic/fixmap.h fix_to_virt()
    """
    return FIXADDR_TOP - idx * PAGE_SIZE
