"""ARM710T and ARM720T (arch/arm/mm/proc-arm720.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_ARMV3_WB
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x2F3F, 0x213D)

PROC_INFO = (
    old_proc_info("__arm710_proc_info", 0x41807100, 0xFFFFFF00, "ARM710T", "armv4t", crval(0x0F3F, 0x013D),
                  set_pte=SET_PTE_ARMV3_WB),
    old_proc_info("__arm720_proc_info", 0x41807200, 0xFFFFFF00, "ARM720T", "armv4t", _SETUP, set_pte=SET_PTE_ARMV3_WB),
)
