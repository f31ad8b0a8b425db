"""StrongARM-1100 and -1110 (arch/arm/mm/proc-sa1100.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_ARMV3_WB
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3F3F, 0x313D)

PROC_INFO = (
    old_proc_info("__sa1100_proc_info", 0x4401A110, 0xFFFFFFF0, "StrongARM-1100", "armv4", _SETUP, bit4=0,
                  set_pte=SET_PTE_ARMV3_WB),
    old_proc_info("__sa1110_proc_info", 0x6901B110, 0xFFFFFFF0, "StrongARM-1110", "armv4", _SETUP, bit4=0,
                  set_pte=SET_PTE_ARMV3_WB),
)
