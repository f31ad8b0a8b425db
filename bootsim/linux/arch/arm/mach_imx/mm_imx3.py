"""i.MX31 and i.MX35 (arch/arm/mach-imx/mm-imx3.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MT_DEVICE_NONSHARED, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mach_imx.hardware import imx_map_entry
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_IMX3_IO_DESC = (
    imx_map_entry(0xB8000000, 0x10000, MT_DEVICE),
    *(imx_map_entry(pa, SZ_1M, MT_DEVICE_NONSHARED) for pa in (0x68000000, 0x43F00000, 0x53F00000, 0x50000000)),
)


def mx31_map_io(k: Kernel) -> None:
    """Map memory controller, interrupt controller and peripherals.

    Source: arch/arm/mach-imx/mm-imx3.c mx31_map_io()
    """
    iotable_init(k, io_table(k, "mx31_io_desc", _IMX3_IO_DESC))


def mx35_map_io(k: Kernel) -> None:
    """The same of an i.MX35.

    Source: arch/arm/mach-imx/mm-imx3.c mx35_map_io()
    """
    iotable_init(k, io_table(k, "mx35_io_desc", _IMX3_IO_DESC))
