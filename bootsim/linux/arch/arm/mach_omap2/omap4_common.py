"""The interconnect barrier of OMAP4, OMAP5 and DRA7xx (arch/arm/mach-omap2/omap4-common.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_RW_SO, io_desc
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.init import arm_memblock_steal
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.linux.kernel.printk import KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

OMAP4_DRAM_BARRIER_VA = 0xFE600000
_WITH_BARRIER = ("omap4_map_io", "omap5_map_io", "dra7xx_map_io")


def omap_barrier_reserve_memblock(k: Kernel) -> None:
    """Take a section for the barrier, in a kernel for one of the chips that need it.

    Source: arch/arm/mach-omap2/omap4-common.c omap_barrier_reserve_memblock()
    """
    # CONFIG_OMAP_INTERCONNECT_BARRIER: selected by the same options that these machines depend on
    if any(machine.map_io in _WITH_BARRIER for machine in k.build.machines):
        k.mach["dram_sync_paddr"] = arm_memblock_steal(k, SZ_1M, SZ_1M, "section for the DRAM barrier")


def omap_barriers_init(k: Kernel) -> None:
    """Map the barrier's section, strongly ordered.

    Source: arch/arm/mach-omap2/omap4-common.c omap_barriers_init()
    """
    pa = k.mach["dram_sync_paddr"]
    iotable_init(k, [io_desc(OMAP4_DRAM_BARRIER_VA, pa, SZ_1M, MT_MEMORY_RW_SO)])
    # %p before random numbers are ready
    printk(k, KERN_INFO, "OMAP4: Map {pa:#010x} to (ptrval) for dram barrier", pa=pa)
