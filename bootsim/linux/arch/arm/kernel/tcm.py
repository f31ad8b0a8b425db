"""Tightly coupled memory of ARM926, ARM1136, ARM1176 and their kin (arch/arm/kernel/tcm.c).

    0xfffe0000  ITCM, its banks one after the other
    0xfffe8000  DTCM, likewise
    0xffff0000  vectors

The kernel moves the banks there, physically too, and maps them one to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_RW_DTCM, MT_MEMORY_RWX_ITCM, MapDesc
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv5
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ITCM_OFFSET, DTCM_OFFSET = 0xFFFE0000, 0xFFFE8000
TCMTR_FORMAT_MASK = 0xE0000000
_SIZES_KIB = {0: 0, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 128, 9: 256, 10: 512, 11: 1024}
_KINDS = (("D", DTCM_OFFSET, MT_MEMORY_RW_DTCM), ("I", ITCM_OFFSET, MT_MEMORY_RWX_ITCM))


def tcm_init(k: Kernel) -> None:
    """Find the banks, move them to where the kernel wants them, and map them.

    Source: arch/arm/kernel/tcm.c tcm_init()
    Differs: no kernel of 5.10 has code or data of its own there, so none is copied; /proc/iomem's entries and the pool
    of what is left are not made. Reads of the memory itself are zero.
    """
    if k.cpu_architecture < CPU_ARCH_ARMv5:
        return
    cpu = k.machine.cpu
    if not cpu.tcmtr and cpu.ctr >> 29 != 4:
        step(k, "register TCMTR reads {tcmtr:#010x}, as QEMU's processors have no tightly coupled memory; --cpu "
             "tcmtr=VALUE states another", tcmtr=cpu.tcmtr)
    if cpu.tcmtr & TCMTR_FORMAT_MASK:
        return
    for (kind, offset, mtype), banks, regions in zip(
        _KINDS, (cpu.tcmtr >> 16 & 3, cpu.tcmtr & 3), ((cpu.dtcm, cpu.dtcm1), (cpu.itcm, cpu.itcm1)), strict=True
    ):
        end = offset
        for bank in range(banks if banks <= 2 else 0):
            size = setup_tcm_bank(k, kind, bank, regions[bank], end)
            if size is None:
                return
            end += size
        if end > offset:
            iotable_init(k, [MapDesc(offset, offset >> PAGE_SHIFT, end - offset, mtype)])


def setup_tcm_bank(k: Kernel, kind: str, bank: int, region: int, offset: int) -> int | None:
    """Move a bank of `kind` D or I, whose region register reads `region`, to `offset` (pa); its bytes, None to give up.

    Source: arch/arm/kernel/tcm.c setup_tcm_bank()
    """
    size = _SIZES_KIB.get(region >> 2 & 0xF)
    if size is None or size > 32:
        printk(k, KERN_ERR, "CPU: {kind}TCM{bank} of unknown size" if size is None else
               "CPU: {kind}TCM{bank} larger than 32k found", kind=kind, bank=bank)  # fmt: skip
        return None
    printk(k, KERN_INFO, "CPU: found {kind}TCM{bank} {size}k @ {base:08x}, {off}enabled", kind=kind, bank=bank,
           size=size, base=region & 0xFFFFF000, off="" if region & 1 else "not ")
    if size:
        moved = offset | region & 0xFFE | 1
        printk(k, KERN_INFO, "CPU: moved {kind}TCM{bank} {size}k to {base:08x}, enabled", kind=kind, bank=bank,
               size=size, base=moved & 0xFFFFF000)
    return size << 10
