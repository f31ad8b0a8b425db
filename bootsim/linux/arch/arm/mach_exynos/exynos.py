"""Samsung's Exynos (arch/arm/mach-exynos/exynos.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.io import readl
from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init
from bootsim.linux.drivers.of.fdt import of_fdt_is_compatible, of_fdt_limit_memory, of_get_flat_dt_prop, of_scan_flat_dt
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.lib.fdt import FlatNode, cells

if TYPE_CHECKING:
    from bootsim.linux import Kernel

S5P_VA_CHIPID = 0xF8000000


def exynos_dt_fixup(k: Kernel) -> None:
    """Take no more than eight banks from a bootloader that leaves rubbish behind them.

    Source: arch/arm/mach-exynos/exynos.c exynos_dt_fixup()
    """
    of_fdt_limit_memory(k, 8)


def exynos_fdt_map_chipid(k: Kernel, node: FlatNode) -> int:
    """Map the chip's identification; 1 when this is its node.

    Source: arch/arm/mach-exynos/exynos.c exynos_fdt_map_chipid()
    """
    if not of_fdt_is_compatible(node, "samsung,exynos4210-chipid"):
        return 0
    reg = of_get_flat_dt_prop(node, "reg")
    if reg is None or len(reg) != 8:
        return 0
    base, size = cells(reg)
    iotable_init(k, [io_desc(S5P_VA_CHIPID, base, size - 1)])
    return 1


def exynos_init_io(k: Kernel) -> None:
    """Map the chip's identification, and tell it.

    Source: arch/arm/mach-exynos/exynos.c exynos_init_io()
    """
    debug_ll_io_init(k)
    of_scan_flat_dt(k, lambda node: exynos_fdt_map_chipid(k, node))
    printk(k, KERN_INFO, "Samsung CPU ID: {cpu_id:#010x}", cpu_id=readl(k, S5P_VA_CHIPID, "Exynos chip id"))
