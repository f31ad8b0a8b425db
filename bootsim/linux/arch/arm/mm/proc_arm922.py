"""ARM922T (arch/arm/mm/proc-arm922.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3F3F, 0x3135)

PROC_INFO = (
    old_proc_info("__arm922_proc_info", 0x41009220, 0xFF00FFF0, "ARM922T", "armv4t", _SETUP),
)
