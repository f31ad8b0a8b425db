"""Renesas' R-Car H1 (arch/arm/mach-shmobile/setup-r8a7779.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE_NONSHARED, io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_2M, SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

r8a7779_io_desc = (
    io_desc(0xF0000000, 0xF0000000, SZ_2M, MT_DEVICE_NONSHARED),
    io_desc(0xFE000000, 0xFE000000, SZ_16M, MT_DEVICE_NONSHARED),
)


def r8a7779_map_io(k: Kernel) -> None:
    """Map the processors' peripherals and the chip's at their own addresses.

    Source: arch/arm/mach-shmobile/setup-r8a7779.c r8a7779_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "r8a7779_io_desc", r8a7779_io_desc))
