"""Marvell's MMP2 and MMP3 (arch/arm/mach-mmp/common.c, addr-map.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M, SZ_2M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

standard_io_desc = (io_desc(0xFE000000, 0xD4000000, SZ_2M), io_desc(0xFE200000, 0xD4200000, SZ_2M))  # APB, AXI
mmp2_io_desc = (io_desc(0xFE400000, 0xE0000000, SZ_1M),)  # PGU


def mmp_map_io(k: Kernel) -> None:
    """Map the buses.

    Source: arch/arm/mach-mmp/common.c mmp_map_io()
    """
    iotable_init(k, io_table(k, "standard_io_desc", standard_io_desc))


def mmp2_map_io(k: Kernel) -> None:
    """Map the buses, and the peripherals of the graphics and processor unit.

    Source: arch/arm/mach-mmp/common.c mmp2_map_io()
    """
    mmp_map_io(k)
    iotable_init(k, io_table(k, "mmp2_io_desc", mmp2_io_desc))
