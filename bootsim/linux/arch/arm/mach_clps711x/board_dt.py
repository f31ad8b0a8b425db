"""Cirrus Logic's CLPS711X (arch/arm/mach-clps711x/board-dt.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

clps711x_io_desc = (
    io_desc(0xFEFF4000, 0x80000000, 48 * 1024),
)


def clps711x_map_io(k: Kernel) -> None:
    """Map the registers.

    Source: arch/arm/mach-clps711x/board-dt.c clps711x_map_io()
    """
    iotable_init(k, io_table(k, "clps711x_io_desc", clps711x_io_desc))
