"""i.MX27 (arch/arm/mach-imx/mach-imx27.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mach_imx.hardware import imx_map_entry
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

imx27_io_desc = tuple(imx_map_entry(pa, SZ_1M, MT_DEVICE) for pa in (0x10000000, 0x80000000, 0xD8000000))


def mx27_map_io(k: Kernel) -> None:
    """Map the peripherals, the SAHB and the memory controller.

    Source: arch/arm/mach-imx/mach-imx27.c mx27_map_io()
    """
    iotable_init(k, io_table(k, "imx27_io_desc", imx27_io_desc))
