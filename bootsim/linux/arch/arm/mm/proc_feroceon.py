"""Feroceon of Marvell (arch/arm/mm/proc-feroceon.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_ARMV3_WB
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x773F, 0x3135)

PROC_INFO = (
    old_proc_info("__feroceon_old_id_proc_info", 0x41009260, 0xFF00FFF0, "Feroceon", "armv5te", _SETUP,
                  set_pte=SET_PTE_ARMV3_WB),
    old_proc_info("__88fr531_proc_info", 0x56055310, 0xFFFFFFF0, "Feroceon 88FR531-vd", "armv5te", _SETUP,
                  set_pte=SET_PTE_ARMV3_WB),
    old_proc_info("__88fr571_proc_info", 0x56155710, 0xFFFFFFF0, "Feroceon 88FR571-vd", "armv5te", _SETUP,
                  set_pte=SET_PTE_ARMV3_WB),
    old_proc_info("__88fr131_proc_info", 0x56251310, 0xFFFFFFF0, "Feroceon 88FR131", "armv5te", _SETUP,
                  set_pte=SET_PTE_ARMV3_WB),
)
