"""Samsung's S3C64xx with a device tree (arch/arm/mach-s3c/mach-s3c64xx-dt.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.io import readl
from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, iotable_init
from bootsim.linux.kernel.printk import KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

S3C_VA_SYS = 0xF6100000
CPU_MASK = 0xFFFFF000
CPU_IDS = (0x36400000, 0x36410000)

s3c64xx_dt_iodesc = (io_desc(S3C_VA_SYS, 0x7E00F000, 0x1000),)  # the system controller


def s3c64xx_init_cpu(k: Kernel) -> int:
    """Read which chip this is, at one of two places, and tell.

    Source: arch/arm/mach-s3c/s3c64xx.c s3c64xx_init_cpu()
    """
    cpu_id = readl(k, S3C_VA_SYS + 0x118, "chip id") or readl(k, S3C_VA_SYS + 0xA1C, "chip id of an S3C6400")
    printk(k, KERN_INFO, "Samsung CPU ID: {cpu_id:#010x}", cpu_id=cpu_id)
    return cpu_id


def s3c64xx_dt_map_io(k: Kernel) -> None:
    """Map the debug port and the system controller, which tells the chip. Raises KernelPanic for another.

    Source: arch/arm/mach-s3c/mach-s3c64xx-dt.c s3c64xx_dt_map_io()
    """
    debug_ll_io_init(k)
    iotable_init(k, io_table(k, "s3c64xx_dt_iodesc", s3c64xx_dt_iodesc))
    cpu_id = s3c64xx_init_cpu(k)
    if cpu_id & CPU_MASK not in CPU_IDS:
        raise KernelPanic("SoC is not S3C64xx!", f"its system controller says {cpu_id:#010x}; --soc s3c64xx.id=VALUE "
                          "states another")
