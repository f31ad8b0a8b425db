"""ST's SPEAr3xx (arch/arm/mach-spear/spear3xx.c, spear320.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

spear3xx_io_desc = (io_desc(0xFD000000, 0xD0000000, SZ_16M), io_desc(0xFC000000, 0xFC000000, SZ_16M))
spear320_io_desc = (io_desc(0xFE000000, 0xB3000000, SZ_16M),)


def spear3xx_map_io(k: Kernel) -> None:
    """Map the registers that all SPEAr3xx have.

    Source: arch/arm/mach-spear/spear3xx.c spear3xx_map_io()
    """
    iotable_init(k, io_table(k, "spear3xx_io_desc", spear3xx_io_desc))


def spear320_map_io(k: Kernel) -> None:
    """Map the registers of a SPEAr320.

    Source: arch/arm/mach-spear/spear320.c spear320_map_io()
    """
    iotable_init(k, io_table(k, "spear320_io_desc", spear320_io_desc))
    spear3xx_map_io(k)
