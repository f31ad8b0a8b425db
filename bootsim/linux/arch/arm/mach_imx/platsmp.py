"""The i.MX6's Snoop Control Unit (arch/arm/mach-imx/platsmp.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.kernel.smp_scu import scu_get_core_count
from bootsim.linux.arch.arm.mach_imx.hardware import IMX_IO_P2V
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def imx_scu_map_io(k: Kernel) -> None:
    """Map the page of the Snoop Control Unit, where the processor says that it is.

    Source: arch/arm/mach-imx/platsmp.c imx_scu_map_io()
    """
    base = k.machine.soc.scu_base_pa
    iotable_init(k, [io_desc(IMX_IO_P2V(base), base, PAGE_SIZE)])


def imx_smp_init_cpus(k: Kernel) -> None:
    """No more CPUs are possible than the Snoop Control Unit counts.

    Source: arch/arm/mach-imx/platsmp.c imx_smp_init_cpus()
    """
    k.num_possible_cpus = min(k.num_possible_cpus, scu_get_core_count(k, IMX_IO_P2V(k.machine.soc.scu_base_pa)))
