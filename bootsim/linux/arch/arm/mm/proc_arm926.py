"""ARM926EJ-S (arch/arm/mm/proc-arm926.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x7F3F, 0x3135, round_robin=True)

PROC_INFO = (
    old_proc_info("__arm926_proc_info", 0x41069260, 0xFF0FFFF0, "ARM926EJ-S", "armv5tej", _SETUP),
)
