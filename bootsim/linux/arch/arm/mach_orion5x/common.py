"""Marvell's Orion (arch/arm/mach-orion5x/common.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M, SZ_16M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

orion5x_io_desc = (
    io_desc(0xFEC00000, 0xF1000000, SZ_1M),
    io_desc(0xFD000000, 0xF0000000, SZ_16M),
)


def orion5x_map_io(k: Kernel) -> None:
    """Map the registers and the workaround window of PCIe.

    Source: arch/arm/mach-orion5x/common.c orion5x_map_io()
    """
    iotable_init(k, io_table(k, "orion5x_io_desc", orion5x_io_desc))
