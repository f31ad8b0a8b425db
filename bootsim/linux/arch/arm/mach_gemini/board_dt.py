"""Cortina's Gemini (arch/arm/mach-gemini/board-dt.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

def gemini_map_io(k: Kernel) -> None:
    """Map the debug port.

    Source: arch/arm/mach-gemini/board-dt.c gemini_map_io()
    """
    config = k.build.config
    if config.DEBUG_UART_VIRT is not None and config.DEBUG_UART_PHYS is not None:
        iotable_init(k, (io_desc(config.DEBUG_UART_VIRT, config.DEBUG_UART_PHYS, 0x1000),))
