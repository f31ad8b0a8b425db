"""The processors of Xilinx's Zynq (arch/arm/mach-zynq/platsmp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.kernel.smp_scu import scu_get_core_count

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def zynq_smp_init_cpus(k: Kernel) -> None:
    """As many CPUs are possible as the Snoop Control Unit counts.

    Source: arch/arm/mach-zynq/platsmp.c zynq_smp_init_cpus()
    """
    ncores = min(scu_get_core_count(k, k.machine.soc.scu_base_pa), k.build.config.NR_CPUS)
    k.num_possible_cpus = max(k.num_possible_cpus, ncores)
