"""Samsung's S5PV210 and S5PC110 (arch/arm/mach-s5pv210/s5pv210.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init
from bootsim.linux.drivers.of.fdt import of_fdt_is_compatible, of_get_flat_dt_prop, of_scan_flat_dt
from bootsim.linux.lib.fdt import FlatNode, cells

if TYPE_CHECKING:
    from bootsim.linux import Kernel

S3C_VA_SYS = 0xF6100000


def s5pv210_fdt_map_sys(k: Kernel, node: FlatNode) -> int:
    """Map the clock controller; 1 when this is its node.

    Source: arch/arm/mach-s5pv210/s5pv210.c s5pv210_fdt_map_sys()
    """
    if not of_fdt_is_compatible(node, "samsung,s5pv210-clock"):
        return 0
    reg = of_get_flat_dt_prop(node, "reg")
    if reg is None or len(reg) != 8:
        return 0
    base, size = cells(reg)
    iotable_init(k, [io_desc(S3C_VA_SYS, base, size - 1)])
    return 1


def s5pv210_dt_map_io(k: Kernel) -> None:
    """Map the clock controller.

    Source: arch/arm/mach-s5pv210/s5pv210.c s5pv210_dt_map_io()
    """
    debug_ll_io_init(k)
    of_scan_flat_dt(k, lambda node: s5pv210_fdt_map_sys(k, node))
