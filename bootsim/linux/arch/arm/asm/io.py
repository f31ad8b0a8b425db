"""Reading device registers (arch/arm/include/asm/io.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.soc import register_name
from bootsim.linux.arch.arm.mm.fault import __do_kernel_fault as do_kernel_fault
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def readl(k: Kernel, addr: int, what: str) -> int:
    """The 32-bit word at `addr` (va), wherever the page tables lead; `what` names the register.

    Source: arch/arm/include/asm/io.h readl_relaxed()
    """
    t = k.translate(addr)
    if not t:
        do_kernel_fault(k, addr, f"{what} at {addr:#010x}: nothing is mapped there")
    if k.machine.has_ram(t.pa, 4):
        return k.machine.ram.read32(t.pa)
    soc = k.machine.soc
    value = soc.read32(t.pa, k.machine.cpus)
    step(k, "register {what} at {pa:#010x} reads {value:#010x}{how}", what=what, pa=t.pa, value=value,
         how="" if t.pa in soc.stated else f"; --soc {register_name(t.pa)}=VALUE states another")
    return value
