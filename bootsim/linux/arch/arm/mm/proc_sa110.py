"""StrongARM-110 (arch/arm/mm/proc-sa110.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_ARMV3_WB
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3F3F, 0x113D)

PROC_INFO = (
    old_proc_info("__sa110_proc_info", 0x4401A100, 0xFFFFFFF0, "StrongARM-110", "armv4", _SETUP, bit4=0,
                  set_pte=SET_PTE_ARMV3_WB),
)
