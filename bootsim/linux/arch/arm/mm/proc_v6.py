"""ARMv6 processor support (arch/arm/mm/proc-v6.S): ARM1136, ARM1176, ARM11MPCore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_S, PMD_SECT_WB, PMD_SECT_WBWA, PMD_SECT_XN
from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_V6
from bootsim.linux.arch.arm.asm.procinfo import SECTION, ProcInfo

if TYPE_CHECKING:
    from bootsim.linux import Kernel

TTB_FLAGS_UP = 1 << 3  # walks outer write-back write-allocate
TTB_FLAGS_SMP = 1 << 3 | 1 << 1  # and shareable
CR_FI = 1 << 21
ARM1136_R0P2 = 0x4107B362


def v6_setup(k: Kernel, ttb_pa: int) -> int:
    """Set the translation registers, MMU still off; returns the SCTLR value that will switch it on.

    Source: arch/arm/mm/proc-v6.S __v6_setup
    Differs: caches, the auxiliary control register and a big-endian kernel are not modelled.
    """
    cp15 = k.cpus[0].cp15
    cp15.ttbcr = 0
    cp15.ttbr0 = cp15.ttbr1 = ttb_pa | (TTB_FLAGS_SMP if k.is_smp else TTB_FLAGS_UP)
    cr = cp15.sctlr & ~0x01E0FB7F | 0x00C0387D
    return cr | CR_FI if k.build.config.ARM_ERRATA_364296 and k.processor_id == ARM1136_R0P2 else cr


PROC_INFO = (
    ProcInfo("__v6_proc_info", 0x0007B000, 0x0007F000, SECTION | PMD_SECT_WB, SECTION | PMD_SECT_WBWA | PMD_SECT_S,
             SECTION | PMD_SECT_XN, "ARMv6-compatible processor", "armv6", "v6", v6_setup, SET_PTE_V6),
)
