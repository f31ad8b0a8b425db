"""ARM920T (arch/arm/mm/proc-arm920.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3F3F, 0x3135)

PROC_INFO = (
    old_proc_info("__arm920_proc_info", 0x41009200, 0xFF00FFF0, "ARM920T", "armv4t", _SETUP),
)
