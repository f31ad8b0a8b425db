"""ARMv7 processor support (arch/arm/mm/proc-v7.S): which processors are known, and the registers they start with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_AF
from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_V7
from bootsim.linux.arch.arm.asm.procinfo import SECTION, ProcInfo
from bootsim.linux.arch.arm.mm.proc_v7_2level import (
    CRVAL_CLEAR,
    CRVAL_MMUSET,
    NMRR,
    PMD_FLAGS_SMP,
    PMD_FLAGS_UP,
    PRRR,
    TTB_FLAGS_SMP,
    TTB_FLAGS_UP,
)

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ARM11, ARM11_MASK = 0x410FB000, 0xFF0FF000
CR_SW = 1 << 10
CR_TE = 1 << 30


def v7_setup(k: Kernel, ttb_pa: int) -> int:
    """Set the translation registers, MMU still off; returns the SCTLR value that will switch it on.

    Both table base registers point to `ttb_pa`, all addresses go through TTBR0, and TEX remapping is set up. Raises
    KernelPanic on an ARM11, which the entry for any ARMv7 processor matches too.
    Source: arch/arm/mm/proc-v7.S __v7_setup, v7_ttb_setup
    Differs: cache and TLB invalidation, errata and the auxiliary control register are not modelled.
    """
    config, cp15, cpu = k.build.config, k.cpus[0].cp15, k.machine.cpu
    if cpu.midr & ARM11_MASK == ARM11:
        raise KernelPanic(None, f"this kernel ({k.build.name}) takes {cpu.name} for an ARMv7 processor, as it has no "
                          "CONFIG_CPU_V6 or CPU_V6K: __v7_setup has instructions that it does not know")
    flags = TTB_FLAGS_SMP if k.is_smp else TTB_FLAGS_UP
    cp15.ttbcr = 0
    cp15.ttbr0 = cp15.ttbr1 = ttb_pa | flags
    cp15.prrr, cp15.nmrr = PRRR, NMRR
    clear, mmuset = CRVAL_CLEAR, CRVAL_MMUSET
    if config.SWP_EMULATE:
        clear, mmuset = clear | CR_SW, mmuset & ~CR_SW
    cr = cp15.sctlr & ~clear | mmuset
    return cr | CR_TE if config.THUMB2_KERNEL else cr


def _v7_proc(name: str, cpu_val: int, cpu_mask: int = 0xFF0FFFF0) -> ProcInfo:
    # the assembler's macro __v7_proc
    flags = SECTION | PMD_SECT_AF
    return ProcInfo(name, cpu_val, cpu_mask, flags | PMD_FLAGS_UP, flags | PMD_FLAGS_SMP, flags, "ARMv7 Processor",
                    "armv7", "v7", v7_setup, SET_PTE_V7)


# In the order of .proc.info.init; the last matches any ARMv7 processor.
PROC_INFO = (
    _v7_proc("__v7_ca5mp_proc_info", 0x410FC050),
    _v7_proc("__v7_ca9mp_proc_info", 0x410FC090),
    _v7_proc("__v7_ca8_proc_info", 0x410FC080),
    _v7_proc("__v7_cr7mp_proc_info", 0x410FC170),
    _v7_proc("__v7_cr8mp_proc_info", 0x410FC180),
    _v7_proc("__v7_ca7mp_proc_info", 0x410FC070),
    _v7_proc("__v7_ca12mp_proc_info", 0x410FC0D0),
    _v7_proc("__v7_ca15mp_proc_info", 0x410FC0F0),
    _v7_proc("__v7_b15mp_proc_info", 0x420F00F0),
    _v7_proc("__v7_ca17mp_proc_info", 0x410FC0E0),
    _v7_proc("__v7_ca73_proc_info", 0x410FD090),
    _v7_proc("__v7_ca75_proc_info", 0x410FD0A0),
    _v7_proc("__krait_proc_info", 0x510F0400, 0xFF0FFC00),
    _v7_proc("__v7_proc_info", 0x000F0000, 0x000F0000),
)
