"""Texas Instruments' Keystone 2 (arch/arm/mach-keystone/keystone.c, memory.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_CRIT, printk
from bootsim.linux.mm.memblock import memblock_end_of_DRAM, memblock_start_of_DRAM

if TYPE_CHECKING:
    from bootsim.linux import Kernel

KEYSTONE_LOW_PHYS_START, KEYSTONE_LOW_PHYS_END = 0x80000000, 0xFFFFFFFF
KEYSTONE_HIGH_PHYS_START, KEYSTONE_HIGH_PHYS_END = 0x800000000, 0xBFFFFFFFF


def keystone_pv_fixup(k: Kernel) -> int:
    """How far physical addresses move, which without LPAE is not at all.

    Source: arch/arm/mach-keystone/keystone.c keystone_pv_fixup()
    """
    start, end = memblock_start_of_DRAM(k.mm.memblock), memblock_end_of_DRAM(k.mm.memblock)
    if start >= KEYSTONE_LOW_PHYS_START and end <= KEYSTONE_LOW_PHYS_END:
        return 0
    if start < KEYSTONE_HIGH_PHYS_START or end > KEYSTONE_HIGH_PHYS_END:
        printk(k, KERN_CRIT, "Invalid address space for memory ({start:08x}-{end:08x})", start=start, end=end)
        return 0
    return KEYSTONE_HIGH_PHYS_START - KEYSTONE_LOW_PHYS_START
