"""VIA's and WonderMedia's chips (arch/arm/mach-vt8500/vt8500.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

vt8500_io_desc = (io_desc(0xF8000000, 0xD8000000, 0x390000),)


def vt8500_map_io(k: Kernel) -> None:
    """Map the chip's registers.

    Source: arch/arm/mach-vt8500/vt8500.c vt8500_map_io()
    """
    iotable_init(k, io_table(k, "vt8500_io_desc", vt8500_io_desc))
