"""Cavium's CNS3xxx (arch/arm/mach-cns3xxx/core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

cns3xxx_io_desc = (
    io_desc(0xFB004000, 0x90000000, 0x2000),  # private peripherals of the processors
    io_desc(0xFB003000, 0x7C800000, 0x1000),  # timers
    io_desc(0xFB000000, 0x76000000, 0x1000),  # miscellaneous control
    io_desc(0xFB001000, 0x77000000, 0x1000),  # power management
)
_PCI_IO_DESC = tuple(  # each port's controller and both kinds of configuration space
    desc for va, pa in ((0xE1000000, 0xAB000000), (0xE9000000, 0xBB000000))
    for desc in (io_desc(va, pa, 0x1000), io_desc(va + 0x2000000, pa + 0x2000000, 0x10000),
                 io_desc(va + 0x3000000, pa + 0x3000000, SZ_16M))
)


def cns3xxx_map_io(k: Kernel) -> None:
    """Map processors, timers and controllers; with PCI its windows too.

    Source: arch/arm/mach-cns3xxx/core.c cns3xxx_map_io()
    """
    table = cns3xxx_io_desc + (_PCI_IO_DESC if k.build.config.PCI else ())
    iotable_init(k, io_table(k, "cns3xxx_io_desc", table))
