"""Which processors are possible (arch/arm/kernel/smp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux import CpuState
from bootsim.linux.arch.arm.asm.mach.arch import SMP_INIT_CPUS, call
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def smp_set_ops(k: Kernel, psci: bool) -> None:
    """Choose how processors are counted and started: by the firmware, else as the machine does.

    Source: arch/arm/kernel/smp.c smp_set_ops(), setup.c setup_arch()
    Differs: a machine's smp_init hook is not run; those of 5.10 count no processors.
    """
    if psci:
        k.smp_ops = "psci_smp_ops"
    elif k.mdesc.smp is not None:
        k.smp_ops = k.mdesc.smp


def smp_init_cpus(k: Kernel) -> None:
    """Let the machine say which processors are possible.

    Source: arch/arm/kernel/smp.c smp_init_cpus()
    """
    place = SMP_INIT_CPUS.get(k.smp_ops or "")
    if place is None:
        return
    before = k.num_possible_cpus
    call(k, place)
    if k.num_possible_cpus == before:
        return
    del k.cpus[k.num_possible_cpus:]
    k.cpus += [CpuState(k.machine.reset_cp15(), i) for i in range(before, k.num_possible_cpus)]
    k.facts.add("num_possible_cpus", k.num_possible_cpus, "cpus", "what the Snoop Control Unit counts, and the tree",
                ("option:smp", "dtb:/cpus:*", "build:machines"), "arch/arm/kernel/smp.c smp_init_cpus()")
    step(k, "{cpus} possible CPUs, by {ops}", cpus=k.num_possible_cpus, ops=k.smp_ops)
