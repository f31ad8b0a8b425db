"""The i.MX6 Quad, Dual, DualLite and Solo (arch/arm/mach-imx/mach-imx6q.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.mach_imx.platsmp import imx_scu_map_io
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def imx6q_map_io(k: Kernel) -> None:
    """Map the Snoop Control Unit.

    Source: arch/arm/mach-imx/mach-imx6q.c imx6q_map_io()
    """
    debug_ll_io_init(k)
    imx_scu_map_io(k)
