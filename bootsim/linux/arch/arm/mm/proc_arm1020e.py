"""ARM1020E (arch/arm/mm/proc-arm1020e.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x7F3F, 0x3935, round_robin=True)

PROC_INFO = (
    old_proc_info("__arm1020e_proc_info", 0x4105A200, 0xFF0FFFF0, "ARM1020E", "armv5te", _SETUP, cached=0),
)
