"""Power, reset and clock registers of OMAP (arch/arm/mach-omap2/prm_common.c, cm_common.c, prm3xxx.c, cm3xxx.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.base import of_device_is_compatible
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.memblock import memblock_alloc
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SIZEOF_CLK_IOMAP = 8


def omap2_prcm_base_init(k: Kernel) -> None:
    """Find the registers that the tree names; on OMAP3 they become clock providers of the old kind.

    Source: arch/arm/mach-omap2/prm_common.c omap2_prcm_base_init(), cm_common.c omap2_cm_base_init(), prm3xxx.c
        omap3xxx_prm_init(), cm3xxx.c omap3xxx_cm_init()
    Differs: the registers are taken to lie in the machine's static mappings, as in all trees of 5.10.
    """
    for name in ("ti,omap3-prm", "ti,omap3-cm"):
        for node in k.of.of_root.walk():
            if of_device_is_compatible(node, name):
                pa = memblock_alloc(k.mm.memblock, SIZEOF_CLK_IOMAP, k.mm.smp_cache_bytes,
                                    "omap2_clk_legacy_provider_init", Purpose("machine", f"clock provider {node.path}"))
                step(k, "clock provider {path}, at {pa:#010x}", path=node.path, pa=pa)
