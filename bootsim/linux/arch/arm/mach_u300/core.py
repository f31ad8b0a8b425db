"""ST-Ericsson's U300 (arch/arm/mach-u300/core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

u300_io_desc = (
    io_desc(0xFF000000, 0xC0010000, 0x10000),
    io_desc(0xFF010000, 0xA0000000, 0x8000),
    io_desc(0xFF020000, 0xC0000000, 0x8000),
)


def u300_map_io(k: Kernel) -> None:
    """Map the slow, the AHB and the fast peripherals.

    Source: arch/arm/mach-u300/core.c u300_map_io()
    """
    iotable_init(k, io_table(k, "u300_io_desc", u300_io_desc))
