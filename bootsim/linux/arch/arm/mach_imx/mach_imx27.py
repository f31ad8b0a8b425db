"""i.MX27 (arch/arm/mach-imx/mach-imx27.c, hardware.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MapDesc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def _entry(pa: int, size: int, mtype: int) -> MapDesc:
    # imx_map_entry(), IMX_IO_P2V()
    va = (pa & 0x80000000) >> 7 | 0xF4000000 + ((pa & 0x50000000) >> 6) + ((pa & 0x0B000000) >> 4) + (pa & 0xFFFFF)
    return MapDesc(va, pa >> PAGE_SHIFT, size, mtype)


imx27_io_desc = tuple(_entry(pa, SZ_1M, MT_DEVICE) for pa in (0x10000000, 0x80000000, 0xD8000000))


def mx27_map_io(k: Kernel) -> None:
    """Map the peripherals, the SAHB and the memory controller.

    Source: arch/arm/mach-imx/mach-imx27.c mx27_map_io()
    """
    iotable_init(k, io_table(k, "imx27_io_desc", imx27_io_desc))
