"""HiSilicon's Hi3620 (arch/arm/mach-hisi/hisilicon.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

hi3620_io_desc = (io_desc(0xFE802000, 0xFC802000, 0x1000),)  # system controller


def hi3620_map_io(k: Kernel) -> None:
    """Map the system controller.

    Source: arch/arm/mach-hisi/hisilicon.c hi3620_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "hi3620_io_desc", hi3620_io_desc))
