"""The clock controllers that OMAP modules refer to (arch/arm/mach-omap2/omap_hwmod.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.base import of_device_is_compatible
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.memblock import memblock_alloc
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SIZEOF_CLKCTRL_PROVIDER = 24


def omap_hwmod_init(k: Kernel) -> None:
    """Note every clock controller of the tree, with the addresses and sizes of its ranges.

    Source: arch/arm/mach-omap2/omap_hwmod.c omap_hwmod_init(), _init_clkctrl_providers(), _setup_clkctrl_provider()
    """
    for node in k.of.of_root.walk():
        if not of_device_is_compatible(node, "ti,clkctrl"):
            continue
        ranges = len(node.properties.get("reg", b"")) // 4 // 2
        purpose = Purpose("machine", f"clock controller {node.path}")
        places = [memblock_alloc(k.mm.memblock, size, k.mm.smp_cache_bytes, "omap_hwmod_init", purpose)
                  for size in (SIZEOF_CLKCTRL_PROVIDER, 4 * ranges, 4 * ranges)]
        step(k, "clock controller {path}, at {pa:#010x}", path=node.path, pa=places[0])
