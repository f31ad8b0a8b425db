"""The Snoop Control Unit of a Cortex-A5 or A9 (arch/arm/kernel/smp_scu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.soc import SCU_CONFIG
from bootsim.linux.arch.arm.asm.io import readl

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def scu_get_core_count(k: Kernel, scu_base: int) -> int:
    """How many processors the unit at `scu_base` (va) serves.

    Source: arch/arm/kernel/smp_scu.c scu_get_core_count()
    """
    return (readl(k, scu_base + SCU_CONFIG, "SCU configuration") & 3) + 1
