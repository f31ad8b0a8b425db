"""DA850 (arch/arm/mach-davinci/da850.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.io import readl
from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

da850_io_desc = (
    io_desc(0xFEC00000, 0x01C00000, 4 * SZ_1M),
    io_desc(0xFEBFD000, 0xFFFEE000, 0x2000),
)


JTAG_ID = 0xFEC14018  # DA8XX_SYSCFG0_BASE + DA8XX_JTAG_ID_REG, in the first of the mappings
DA850_PART_NO = 0xB7D1
DA850_IDS = {0: "da850/omap-l138", 1: "da850/omap-l138/am18x"}  # by variant


def da850_init(k: Kernel) -> None:
    """Map peripherals and interrupt controller, and read which chip this is. Raises KernelPanic for another.

    The ioremap()s that follow lie in these mappings.
    Source: arch/arm/mach-davinci/da850.c da850_init(), common.c davinci_common_init(), davinci_init_id()
    """
    iotable_init(k, io_table(k, "da850_io_desc", da850_io_desc))
    jtag_id = readl(k, JTAG_ID, "JTAG id")
    variant = jtag_id >> 28
    if jtag_id >> 12 & 0xFFFF != DA850_PART_NO or variant not in DA850_IDS:
        printk(k, KERN_ERR, "Unknown DaVinci JTAG ID {jtag_id:#x}", jtag_id=jtag_id, func="davinci_init_id")
        raise KernelPanic("davinci_common_init: SoC Initialization failed",
                          f"the chip says {jtag_id:#010x}; --soc da850.jtag_id=VALUE states another")
    printk(k, KERN_INFO, "DaVinci {name} variant {variant:#x}", name=DA850_IDS[variant], variant=variant,
           func="davinci_init_id")
