"""ST's Nomadik (arch/arm/mach-nomadik/cpu-8815.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

cpu8815_io_desc = (
    io_desc(0xF01FB000, 0x101FB000, 0x1000),
)


def cpu8815_map_io(k: Kernel) -> None:
    """Map the second serial port.

    Source: arch/arm/mach-nomadik/cpu-8815.c cpu8815_map_io()
    """
    iotable_init(k, io_table(k, "cpu8815_io_desc", cpu8815_io_desc))
