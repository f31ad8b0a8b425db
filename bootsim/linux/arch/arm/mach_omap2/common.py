"""Memory that every OMAP2+ machine takes away from Linux (arch/arm/mach-omap2/common.c, omap-secure.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mach_omap2.omap4_common import omap_barrier_reserve_memblock
from bootsim.linux.arch.arm.mm.init import arm_memblock_steal

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def omap_reserve(k: Kernel) -> None:
    """Take a section for the content of secure RAM, and one for the barrier.

    Source: arch/arm/mach-omap2/common.c omap_reserve(), omap-secure.c omap_secure_ram_reserve_memblock(),
        board-generic.c rx51_reserve()
    """
    arm_memblock_steal(k, SZ_1M, SZ_1M, "section for the content of secure RAM")
    omap_barrier_reserve_memblock(k)
