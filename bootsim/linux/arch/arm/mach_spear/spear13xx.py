"""ST's SPEAr13xx (arch/arm/mach-spear/spear13xx.c, spear1310.c, include/mach/spear.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

spear13xx_io_desc = (
    io_desc(0xF9000000, 0xB3000000, SZ_16M),
    io_desc(0xFD000000, 0xE0000000, SZ_16M),
    io_desc(0xFC000000, 0xEC000000, SZ_16M),
    io_desc(0xFB000000, 0xED000000, 0x1000),  # L2 cache controller
)
spear1310_io_desc = (io_desc(0xFA000000, 0xD8000000, SZ_16M),)


def spear13xx_map_io(k: Kernel) -> None:
    """Map the registers that all SPEAr13xx have.

    Source: arch/arm/mach-spear/spear13xx.c spear13xx_map_io()
    """
    iotable_init(k, io_table(k, "spear13xx_io_desc", spear13xx_io_desc))


def spear1310_map_io(k: Kernel) -> None:
    """Map the registers of a SPEAr1310.

    Source: arch/arm/mach-spear/spear1310.c spear1310_map_io()
    """
    iotable_init(k, io_table(k, "spear1310_io_desc", spear1310_io_desc))
    spear13xx_map_io(k)
