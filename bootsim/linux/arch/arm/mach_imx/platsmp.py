"""The i.MX6's Snoop Control Unit (arch/arm/mach-imx/platsmp.c, hardware.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.asm.pgtable_2level import PAGE_SIZE
from bootsim.linux.arch.arm.kernel.smp_scu import scu_get_core_count
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def IMX_IO_P2V(pa: int) -> int:
    """The address (va) that every i.MX has for a device at `pa`.

    Source: arch/arm/mach-imx/hardware.h IMX_IO_P2V()
    """
    return ((pa & 0x80000000) >> 7 | 0xF4000000 + ((pa & 0x50000000) >> 6) + ((pa & 0x0B000000) >> 4)
            + (pa & 0x000FFFFF))


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
