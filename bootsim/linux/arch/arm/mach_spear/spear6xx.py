"""ST's SPEAr6xx (arch/arm/mach-spear/spear6xx.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

spear6xx_io_desc = (
    io_desc(0xF0000000, 0xF0000000, 2 * SZ_16M),
    io_desc(0xFD000000, 0xD0000000, SZ_16M),
    io_desc(0xFC000000, 0xFC000000, SZ_16M),
)


def spear6xx_map_io(k: Kernel) -> None:
    """Map the registers.

    Source: arch/arm/mach-spear/spear6xx.c spear6xx_map_io()
    """
    iotable_init(k, io_table(k, "spear6xx_io_desc", spear6xx_io_desc))
