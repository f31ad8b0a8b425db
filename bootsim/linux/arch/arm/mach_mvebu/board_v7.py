"""Marvell's Armada 370 and XP (arch/arm/mach-mvebu/board-v7.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.fdt import memory_banks, of_scan_flat_dt
from bootsim.linux.mm.memblock import memblock_reserve
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.lib.fdt import FlatNode

MVEBU_DDR_TRAINING_AREA_SZ = 10 * 1024


def mvebu_scan_mem(k: Kernel, node: FlatNode) -> int:
    """Keep the start of each bank of a memory node: the bootloader tries the RAM there when the system resumes.

    Source: arch/arm/mach-mvebu/board-v7.c mvebu_scan_mem()
    """
    for base, _size in memory_banks(k, node):
        memblock_reserve(k.mm.memblock, base & 0xFFFFFFFF, MVEBU_DDR_TRAINING_AREA_SZ, "mvebu_scan_mem",
                         Purpose("machine", "area that the bootloader trains RAM with on resume"))
    return 0


def mvebu_memblock_reserve(k: Kernel) -> None:
    """Keep the start of every bank, in a kernel that can suspend.

    Source: arch/arm/mach-mvebu/board-v7.c mvebu_memblock_reserve()
    """
    if k.build.config.SUSPEND:
        of_scan_flat_dt(k, lambda node: mvebu_scan_mem(k, node))


def armada_370_xp_dt_fixup(k: Kernel) -> None:
    """Choose how processors are started, for trees that do not say it.

    Source: arch/arm/mach-mvebu/board-v7.c armada_370_xp_dt_fixup()
    """
    if k.build.config.SMP:
        k.smp_ops = "armada_xp_smp_ops"
