"""How many processors (kernel/smp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import EarlyParam, get_option

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def nosmp(k: Kernel, _arg: str | None = None) -> int:
    """nosmp: no second processor is started. Returns 0.

    Source: kernel/smp.c nosmp()
    """
    k.setup_max_cpus = 0
    return 0


def nrcpus(k: Kernel, arg: str | None) -> int:
    """nr_cpus=N: no more than N processors are possible. Returns 0.

    Source: kernel/smp.c nrcpus()
    """
    found, n, _ = get_option(arg)
    if found and 0 < n < k.nr_cpu_ids:
        k.nr_cpu_ids = n
    return 0


def maxcpus(k: Kernel, arg: str | None) -> int:
    """maxcpus=N: no more than N processors are started. Returns 0.

    Source: kernel/smp.c maxcpus()
    """
    k.setup_max_cpus = get_option(arg, k.setup_max_cpus)[1] & 0xFFFFFFFF
    return 0


EARLY_PARAMS = (
    EarlyParam("maxcpus", maxcpus, ("SMP",)),
    EarlyParam("nr_cpus", nrcpus, ("SMP",)),
    EarlyParam("nosmp", nosmp, ("SMP",)),
)


def setup_nr_cpu_ids(k: Kernel) -> None:
    """From now on only the possible CPUs count.

    Source: kernel/smp.c setup_nr_cpu_ids()
    """
    if k.build.config.SMP:
        k.nr_cpu_ids = k.num_possible_cpus
    k.facts.add("nr_cpu_ids", k.nr_cpu_ids, "cpus", "highest possible CPU + 1",
                ("num_possible_cpus", "CONFIG_NR_CPUS", "CONFIG_SMP"), "kernel/smp.c setup_nr_cpu_ids()")


def smp_init(k: Kernel) -> None:
    """Start the other processors, as far as they are there and wanted.

    Source: kernel/smp.c smp_init(), kernel/cpu.c bringup_nonboot_cpus()
    """
    present = min(k.machine.cpus, k.num_possible_cpus) if k.is_smp else 1
    k.nr_online_cpus = max(min(present, k.setup_max_cpus), 1)
