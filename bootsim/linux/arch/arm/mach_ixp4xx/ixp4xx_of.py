"""Intel's IXP4xx with a device tree (arch/arm/mach-ixp4xx/ixp4xx-of.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ixp4xx_of_io_desc = (io_desc(0xFEF14000, 0xC4000000, 0x1000),)  # the expansion bus


def ixp4xx_of_map_io(k: Kernel) -> None:
    """Map the expansion bus and the debug port.

    Source: arch/arm/mach-ixp4xx/ixp4xx-of.c ixp4xx_of_map_io()
    """
    config = k.build.config
    table = list(ixp4xx_of_io_desc)
    if config.DEBUG_UART_8250 and config.DEBUG_UART_VIRT is not None and config.DEBUG_UART_PHYS is not None:
        table.append(io_desc(config.DEBUG_UART_VIRT, config.DEBUG_UART_PHYS, 0x1000))
    iotable_init(k, io_table(k, "ixp4xx_of_io_desc", table))
