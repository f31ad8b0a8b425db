"""DA850 (arch/arm/mach-davinci/da850.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

da850_io_desc = (
    io_desc(0xFEC00000, 0x01C00000, 4 * SZ_1M),
    io_desc(0xFEBFD000, 0xFFFEE000, 0x2000),
)


def da850_init(k: Kernel) -> None:
    """Map peripherals and interrupt controller, in which the ioremap()s that follow lie.

    Source: arch/arm/mach-davinci/da850.c da850_init()
    """
    iotable_init(k, io_table(k, "da850_io_desc", da850_io_desc))
