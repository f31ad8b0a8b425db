"""Intel's and Marvell's PXA (arch/arm/mach-pxa/generic.c, pxa25x.c, pxa27x.c, pxa3xx.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.linux import Kernel

common_io_desc = (io_desc(0xF2000000, 0x40000000, 32 * SZ_1M),)
pxa25x_io_desc = (io_desc(0xF6000000, 0x48000000, SZ_1M), io_desc(0xFE000000, 0, SZ_1M))  # and uncached address 0
pxa27x_io_desc = pxa25x_io_desc
pxa3xx_io_desc = (io_desc(0xF6000000, 0x4A000000, SZ_1M), io_desc(0xF6300000, 0x43100000, SZ_1M))


def pxa_map_io(k: Kernel) -> None:
    """Map the debug port and the peripherals.

    Source: arch/arm/mach-pxa/generic.c pxa_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "common_io_desc", common_io_desc))


def _clocks_untold(k: Kernel, func: str) -> None:
    step(k, "the kernel tells the clock frequencies here, which are not modelled", func=func)


def pxa25x_map_io(k: Kernel) -> None:
    """The same, with the memory controller and the physical address 0, of a PXA25x.

    Source: arch/arm/mach-pxa/pxa25x.c pxa25x_map_io()
    Differs: clock frequencies, which it reads and tells at KERN_INFO, are not modelled: a line says so.
    """
    pxa_map_io(k)
    iotable_init(k, io_table(k, "pxa25x_io_desc", pxa25x_io_desc))
    _clocks_untold(k, "pxa25x_get_clk_frequency_khz")


def pxa27x_map_io(k: Kernel) -> None:
    """The same of a PXA27x.

    Source: arch/arm/mach-pxa/pxa27x.c pxa27x_map_io()
    Differs: as of a PXA25x.
    """
    pxa_map_io(k)
    iotable_init(k, io_table(k, "pxa27x_io_desc", pxa27x_io_desc))
    _clocks_untold(k, "pxa27x_get_clk_frequency_khz")


def pxa3xx_map_io(k: Kernel) -> None:
    """The same, with memory and flash controllers, of a PXA3xx.

    Source: arch/arm/mach-pxa/pxa3xx.c pxa3xx_map_io()
    Differs: as of a PXA25x.
    """
    pxa_map_io(k)
    iotable_init(k, io_table(k, "pxa3xx_io_desc", pxa3xx_io_desc))
    _clocks_untold(k, "pxa3xx_get_clk_frequency_khz")
