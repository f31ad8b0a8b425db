"""FA526 of Faraday (arch/arm/mm/proc-fa526.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3F3F, 0x397D)

PROC_INFO = (
    old_proc_info("__fa526_proc_info", 0x66015261, 0xFF01FFF1, "FA526", "armv4", _SETUP),
)
