"""Where i.MX chips have their devices (arch/arm/mach-imx/hardware.h)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.mach.map import MapDesc
from bootsim.page import PAGE_SHIFT


def IMX_IO_P2V(pa: int) -> int:
    """The address (va) that every i.MX has for a device at `pa`.

    Source: arch/arm/mach-imx/hardware.h IMX_IO_P2V()
    """
    return ((pa & 0x80000000) >> 7 | 0xF4000000 + ((pa & 0x50000000) >> 6) + ((pa & 0x0B000000) >> 4)
            + (pa & 0x000FFFFF))


def imx_map_entry(pa: int, size: int, mtype: int) -> MapDesc:
    """A static mapping of `size` bytes of devices at `pa`, of type `mtype`.

    Source: arch/arm/mach-imx/hardware.h imx_map_entry()
    """
    return MapDesc(IMX_IO_P2V(pa), pa >> PAGE_SHIFT, size, mtype)
