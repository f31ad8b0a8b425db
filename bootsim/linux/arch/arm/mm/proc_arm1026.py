"""ARM1026EJ-S, whose kernel head.S maps uncached (arch/arm/mm/proc-arm1026.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x7F3F, 0x3935, round_robin=True)

PROC_INFO = (
    old_proc_info("__arm1026_proc_info", 0x4106A260, 0xFF0FFFF0, "ARM1026EJ-S", "armv5tej", _SETUP, cached=0),
)
