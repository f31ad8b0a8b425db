"""Integrator/CP (arch/arm/mach-integrator/integrator_cp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

intcp_io_desc = (
    io_desc(0xF1400000, 0x14000000, 0x1000),
    io_desc(0xF1600000, 0x16000000, 0x1000),
    io_desc(0xFCA00000, 0xCA000000, 0x1000),
)


def intcp_map_io(k: Kernel) -> None:
    """Map both interrupt controllers and the first serial port.

    Source: arch/arm/mach-integrator/integrator_cp.c intcp_map_io()
    """
    iotable_init(k, io_table(k, "intcp_io_desc", intcp_io_desc))
