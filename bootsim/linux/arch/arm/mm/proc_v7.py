"""ARMv7 processor support (arch/arm/mm/proc-v7.S): which processors are known, and the registers they start with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.pgtable_2level import (
    PMD_SECT_AF,
    PMD_SECT_AP_READ,
    PMD_SECT_AP_WRITE,
    PMD_TYPE_SECT,
)
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

CR_SW = 1 << 10
CR_TE = 1 << 30


class ProcInfo(NamedTuple):
    """struct proc_info_list: one processor the kernel knows, by value and mask of MIDR.

    How head.S maps the kernel depends on whether there are several processors: see `mm_mmuflags`.
    """

    name: str
    cpu_val: int
    cpu_mask: int = 0xFF0FFFF0
    io_mmuflags: int = PMD_TYPE_SECT | PMD_SECT_AP_WRITE | PMD_SECT_AP_READ | PMD_SECT_AF
    cpu_name: str = "ARMv7 Processor"
    arch_name: str = "armv7"
    elf_name: str = "v7"

    def mm_mmuflags(self, smp: bool) -> int:
        """The flags of a section of kernel memory.

        Source: arch/arm/mm/proc-v7.S __v7_proc
        """
        return self.io_mmuflags | (PMD_FLAGS_SMP if smp else PMD_FLAGS_UP)


# In the order of .proc.info.init; the last matches any ARMv7 processor.
PROC_INFO = (
    ProcInfo("__v7_ca5mp_proc_info", 0x410FC050),
    ProcInfo("__v7_ca9mp_proc_info", 0x410FC090),
    ProcInfo("__v7_ca8_proc_info", 0x410FC080),
    ProcInfo("__v7_cr7mp_proc_info", 0x410FC170),
    ProcInfo("__v7_cr8mp_proc_info", 0x410FC180),
    ProcInfo("__v7_ca7mp_proc_info", 0x410FC070),
    ProcInfo("__v7_ca12mp_proc_info", 0x410FC0D0),
    ProcInfo("__v7_ca15mp_proc_info", 0x410FC0F0),
    ProcInfo("__v7_b15mp_proc_info", 0x420F00F0),
    ProcInfo("__v7_ca17mp_proc_info", 0x410FC0E0),
    ProcInfo("__v7_ca73_proc_info", 0x410FD090),
    ProcInfo("__v7_ca75_proc_info", 0x410FD0A0),
    ProcInfo("__krait_proc_info", 0x510F0400, 0xFF0FFC00),
    ProcInfo("__v7_proc_info", 0x000F0000, 0x000F0000),
)


def v7_setup(k: Kernel, ttb_pa: int) -> int:
    """Set the translation registers, MMU still off; returns the SCTLR value that will switch it on.

    Both table base registers point to `ttb_pa`, all addresses go through TTBR0, and TEX remapping is set up.
    Source: arch/arm/mm/proc-v7.S __v7_setup, v7_ttb_setup
    Differs: cache and TLB invalidation, errata and the auxiliary control register are not modelled.
    """
    config, cp15 = k.build.config, k.cpus[0].cp15
    flags = TTB_FLAGS_SMP if k.is_smp else TTB_FLAGS_UP
    cp15.ttbcr = 0
    cp15.ttbr0 = cp15.ttbr1 = ttb_pa | flags
    cp15.prrr, cp15.nmrr = PRRR, NMRR
    clear, mmuset = CRVAL_CLEAR, CRVAL_MMUSET
    if config.SWP_EMULATE:
        clear, mmuset = clear | CR_SW, mmuset & ~CR_SW
    cr = cp15.sctlr & ~clear | mmuset
    return cr | CR_TE if config.THUMB2_KERNEL else cr
