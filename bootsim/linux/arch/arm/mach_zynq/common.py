"""Xilinx's Zynq (arch/arm/mach-zynq/common.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init
from bootsim.linux.mm.memblock import memblock_reserve
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def zynq_memory_init(k: Kernel) -> None:
    """Keep the first 512 KiB of the address space, which DMA cannot reach.

    Source: arch/arm/mach-zynq/common.c zynq_memory_init()
    """
    if not k.mm.phys_offset:
        memblock_reserve(k.mm.memblock, 0, 0x80000, "zynq_memory_init",
                         Purpose("machine", "first 512 KiB, which DMA cannot reach"))


def zynq_map_io(k: Kernel) -> None:
    """Map the Snoop Control Unit at its own address.

    Source: arch/arm/mach-zynq/common.c zynq_map_io(), zynq_scu_map_io()
    """
    debug_ll_io_init(k)
    base = k.machine.soc.scu_base_pa
    iotable_init(k, [io_desc(base, base, 0x100)])
