"""ARM's Versatile boards (arch/arm/mach-versatile/versatile_dt.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

versatile_io_desc = (
    io_desc(0xF11E0000, 0x101E0000, 9 * 0x1000),
)


def versatile_map_io(k: Kernel) -> None:
    """Map the debug port and the system controller.

    Source: arch/arm/mach-versatile/versatile_dt.c versatile_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "versatile_io_desc", versatile_io_desc))
