"""Samsung's S3C24xx (arch/arm/mach-s3c/s3c24xx.c, s3c2416.c, init.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.io import readl
from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.linux.kernel.printk import KERN_ERR, KERN_WARNING, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

S3C24XX_GSTATUS1 = 0xFD0000B0
S3C2416_IDCODE = 0x32450003

s3c_iodesc = (
    io_desc(0xFD000000, 0x56000000, SZ_1M),  # pins
    io_desc(0xF6000000, 0x4A000000, SZ_1M),  # interrupts
    io_desc(0xF6200000, 0x48000000, SZ_1M),  # memory controller
    io_desc(0xF7000000, 0x50000000, SZ_1M),  # serial ports
)
s3c2416_iodesc = (
    io_desc(0xF6400000, 0x53000000, SZ_1M),  # watchdog
    io_desc(0xF6100000, 0x4C000000, SZ_1M),  # clocks and power
    io_desc(0xF6300000, 0x51000000, SZ_1M),  # timers
)


def s3c2416_dt_map_io(k: Kernel) -> None:
    """Map what every S3C24xx has, read which chip this is, and map what that one has.

    Raises KernelPanic for a chip that the kernel does not know.
    Source: arch/arm/mach-s3c/mach-s3c2416-dt.c s3c2416_dt_map_io(), s3c24xx.c s3c24xx_init_io(), init.c s3c_init_cpu()
    Differs: an S3C2416 or S3C2450 alone is known, the chips that the machine's trees are for; a kernel with S3C2412
        reads that chip's register for others.
    """
    iotable_init(k, io_table(k, "s3c_iodesc", s3c_iodesc))
    said = readl(k, S3C24XX_GSTATUS1, "chip id")
    idcode = said if said >> 16 == S3C2416_IDCODE >> 16 else 1  # s3c24xx_read_idcode_v5()
    if idcode != S3C2416_IDCODE:
        printk(k, KERN_ERR, "Unknown CPU type {idcode:#010x}", idcode=idcode, func="s3c_init_cpu")
        raise KernelPanic("Unknown S3C24XX CPU", f"the chip says {said:#010x}; --soc s3c2416.id=VALUE states another")
    printk(k, KERN_WARNING, "CPU {name} (id {idcode:#010x})", name="S3C2416/S3C2450", idcode=idcode,
           func="s3c_init_cpu")
    iotable_init(k, io_table(k, "s3c2416_iodesc", s3c2416_iodesc))
