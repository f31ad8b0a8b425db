"""picoXcell (arch/arm/mach-picoxcell/common.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

io_map = (
    io_desc(0xFE000000, 0x80000000, 4 * SZ_1M),
)


def picoxcell_map_io(k: Kernel) -> None:
    """Map the peripherals.

    Source: arch/arm/mach-picoxcell/common.c picoxcell_map_io()
    """
    iotable_init(k, io_table(k, "io_map", io_map))
