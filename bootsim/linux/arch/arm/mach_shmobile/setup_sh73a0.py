"""Renesas' SH-Mobile AG5 (arch/arm/mach-shmobile/setup-sh73a0.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE_NONSHARED, io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

sh73a0_io_desc = (io_desc(0xE6000000, 0xE6000000, 256 * SZ_1M, MT_DEVICE_NONSHARED),)


def sh73a0_map_io(k: Kernel) -> None:
    """Map 256 MiB of registers at their own addresses.

    Source: arch/arm/mach-shmobile/setup-sh73a0.c sh73a0_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "sh73a0_io_desc", sh73a0_io_desc))
