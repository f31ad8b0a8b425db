"""Both of ARM's Integrators (arch/arm/mach-integrator/core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.mm.memblock import memblock_reserve
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel

def integrator_reserve(k: Kernel) -> None:
    """Keep the RAM below the first page table, where a display controller may look at boot.

    Source: arch/arm/mach-integrator/core.c integrator_reserve()
    """
    base = k.mm.phys_offset
    memblock_reserve(k.mm.memblock, base, k.mm.init_mm.pgd_pa - base, "integrator_reserve",
                     Purpose("machine", "RAM below the first page table"))
