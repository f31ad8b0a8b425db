"""The processors of Marvell's Armada XP (arch/arm/mach-mvebu/platsmp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ARMADA_XP_MAX_CPUS = 4


def armada_xp_smp_init_cpus(k: Kernel) -> None:
    """More than four processors cannot be.

    Source: arch/arm/mach-mvebu/platsmp.c armada_xp_smp_init_cpus()
    """
    if not 0 < k.num_possible_cpus <= ARMADA_XP_MAX_CPUS:
        raise KernelPanic("Invalid number of CPUs in DT", f"{place_of(k, '/cpus')}: {k.num_possible_cpus} processors, "
                          f"expected at most {ARMADA_XP_MAX_CPUS}")
