"""NVIDIA's Tegra (arch/arm/mach-tegra/io.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel

tegra_io_desc = (
    io_desc(0xFE200000, 0x60000000, SZ_1M),  # PPSB
    io_desc(0xFE000000, 0x70000000, SZ_1M),  # APB
    io_desc(0xFE440000, 0x50040000, 0x4000),  # the processors' private peripherals
    io_desc(0xFE400000, 0x40000000, 0x40000),  # on-chip memory
)


def tegra_map_common_io(k: Kernel) -> None:
    """Map the buses, the processors' peripherals and on-chip memory.

    Source: arch/arm/mach-tegra/io.c tegra_map_common_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "tegra_io_desc", tegra_io_desc))
