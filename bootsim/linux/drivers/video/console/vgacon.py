"""The VGA text console (drivers/video/console/vgacon.c), which kernels with ARM's Integrator have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import PCI_IO_VIRT_BASE
from bootsim.linux.arch.arm.mm.fault import __do_kernel_fault as do_kernel_fault
from bootsim.linux.kernel.printk import KERN_WARNING, step

if TYPE_CHECKING:
    from bootsim.linux import Kernel

VGA_IS1_RC = 0x3DA


def vgacon_startup(k: Kernel) -> None:
    """Read the first port of a card. Raises KernelPanic where ports are not mapped yet: before any PCI bridge is found.

    Source: drivers/video/console/vgacon.c vgacon_startup(), arch/arm/include/asm/io.h __io
    Differs: where something is mapped at the port, and on machines with ports of their own (CONFIG_NEED_MACH_IO_H), a
        line says that what follows is not modelled.
    """
    config = k.build.config
    if config.NEED_MACH_IO_H:
        step(k, "the VGA console reads a port of this machine's own bus: not modelled", level=KERN_WARNING,
             func="vgacon_startup")
        return
    ports = config.PCI or config.PCMCIA_SOC_COMMON or config.ISA or config.PCCARD  # else IO_SPACE_LIMIT is 0
    addr = (PCI_IO_VIRT_BASE if config.PCI else 0) + (VGA_IS1_RC if ports else 0)
    if not k.translate(addr):
        do_kernel_fault(k, addr, "the build has CONFIG_VT and CONFIG_VGA_CONSOLE: vgacon_startup() reads port "
                        f"{VGA_IS1_RC:#x} at {addr:#010x}, where no device is mapped")
    step(k, "the VGA console reads its port at {addr:#010x}, where something is mapped: not modelled",
         level=KERN_WARNING, func="vgacon_startup", addr=addr)
