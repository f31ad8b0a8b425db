"""Realtek's RTD1195 (arch/arm/mach-realtek/rtd1195.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.printk import KERN_ERR, printk, step
from bootsim.linux.mm.memblock import memblock_remove
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def rtd1195_memblock_remove(k: Kernel, base: int, size: int) -> None:
    """Take [base, base + size) (pa, bytes) out of memory.

    Source: arch/arm/mach-realtek/rtd1195.c rtd1195_memblock_remove()
    """
    ret = memblock_remove(k.mm.memblock, base, size, "rtd1195_memblock_remove",
                          Purpose("machine", "boot ROM and registers of RTD1195"))
    if isinstance(ret, Err):
        printk(k, KERN_ERR, "Failed to remove memblock {base:#010x} ({ret})", base=base, ret=ret)
        step(k, "cause: machine {name!r}: {why}", name=k.mdesc.name, why=cause(k, ret.why))


def rtd1195_reserve(k: Kernel) -> None:
    """Take the boot ROM and the registers, which lie in RAM, out of memory.

    Source: arch/arm/mach-realtek/rtd1195.c rtd1195_reserve()
    """
    for base, size in ((0, 0xA800), (0x18000000, 0x70000), (0x18100000, 0x01000000)):
        rtd1195_memblock_remove(k, base, size)
