"""Renesas' R-Car Gen2 and RZ/G1 (arch/arm/mach-shmobile/setup-rcar-gen2.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.fdt import memory_banks, of_scan_flat_dt
from bootsim.linux.kernel.dma.contiguous import dma_contiguous_reserve_area
from bootsim.linux.mm.memblock import memblock_is_region_memory

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.lib.fdt import FlatNode

SZ_256M = 256 << 20
LPAE_START = 1 << 32


def rcar_gen2_scan_mem(k: Kernel, node: FlatNode, base: int) -> int:
    """The start of the 256 MiB at the end of the last of a memory node's banks below 4 GiB, or `base` when none fits.

    Source: arch/arm/mach-shmobile/setup-rcar-gen2.c rcar_gen2_scan_mem()
    """
    for start, size in memory_banks(k, node):
        size = min(size, LPAE_START - start)
        if start < LPAE_START and size >= SZ_256M and start >= base:
            base = start + size - SZ_256M
    return base


def rcar_gen2_reserve(k: Kernel) -> None:
    """Make a contiguous area of the last 256 MiB that 32-bit devices reach.

    Source: arch/arm/mach-shmobile/setup-rcar-gen2.c rcar_gen2_reserve()
    """
    base = 0

    def scan(node: FlatNode) -> int:
        nonlocal base
        base = rcar_gen2_scan_mem(k, node, base)
        return 0

    of_scan_flat_dt(k, scan)
    if k.build.config.DMA_CMA and base and memblock_is_region_memory(k.mm.memblock, base, SZ_256M):
        dma_contiguous_reserve_area(k, SZ_256M, base, 0, True, ("machine:rcar_gen2_reserve",))
