"""The processors of OMAP4, OMAP5 and DRA7xx (arch/arm/mach-omap2/omap-smp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.kernel.smp_scu import scu_get_core_count
from bootsim.linux.arch.arm.mach_omap2.iomap import OMAP2_L4_IO_OFFSET
from bootsim.linux.kernel.printk import KERN_WARNING, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

CPU_MASK, CPU_CORTEX_A9, CPU_CORTEX_A15 = 0xFF0FFFF0, 0x410FC090, 0x410FC0F0
OMAP5_CORE_COUNT = 2


def omap4_smp_init_cpus(k: Kernel) -> None:
    """As many CPUs are possible as the Snoop Control Unit counts, or two Cortex-A15.

    Source: arch/arm/mach-omap2/omap-smp.c omap4_smp_init_cpus()
    """
    ncores, cpu_id = 1, k.processor_id & CPU_MASK
    if cpu_id == CPU_CORTEX_A9:
        ncores = scu_get_core_count(k, k.machine.soc.scu_base_pa + OMAP2_L4_IO_OFFSET & 0xFFFFFFFF)
    elif cpu_id == CPU_CORTEX_A15:
        ncores = OMAP5_CORE_COUNT
    if ncores > k.nr_cpu_ids:
        printk(k, KERN_WARNING, "SMP: {ncores} cores greater than maximum ({ids}), clipping", ncores=ncores,
               ids=k.nr_cpu_ids)
        ncores = k.nr_cpu_ids
    k.num_possible_cpus = max(k.num_possible_cpus, ncores)
