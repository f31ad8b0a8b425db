"""The processors of ST's SPEAr13xx (arch/arm/mach-spear/platsmp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.kernel.smp_scu import scu_get_core_count
from bootsim.linux.kernel.printk import KERN_WARNING, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

VA_SCU_BASE = 0xFC800000


def spear13xx_smp_init_cpus(k: Kernel) -> None:
    """As many CPUs are possible as the Snoop Control Unit counts.

    Source: arch/arm/mach-spear/platsmp.c spear13xx_smp_init_cpus()
    """
    ncores = scu_get_core_count(k, VA_SCU_BASE)
    if ncores > k.nr_cpu_ids:
        printk(k, KERN_WARNING, "SMP: {ncores} cores greater than maximum ({ids}), clipping", ncores=ncores,
               ids=k.nr_cpu_ids)
        ncores = k.nr_cpu_ids
    k.num_possible_cpus = max(k.num_possible_cpus, ncores)
