"""NXP's LPC32xx (arch/arm/mach-lpc32xx/common.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

lpc32xx_io_desc = (
    io_desc(0xF2020000, 0x20020000, 0x89000),
    io_desc(0xF3100000, 0x31000000, 0xE1000),
    io_desc(0xF4004000, 0x40004000, 0xA5000),
    io_desc(0xF0800000, 0x08000000, 0x40000),
)


def lpc32xx_map_io(k: Kernel) -> None:
    """Map the buses and the internal RAM.

    Source: arch/arm/mach-lpc32xx/common.c lpc32xx_map_io()
    """
    iotable_init(k, io_table(k, "lpc32xx_io_desc", lpc32xx_io_desc))
