"""ARM925T of Texas Instruments (arch/arm/mm/proc-arm925.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_CACHEABLE
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x7F3F, 0x313D, round_robin=True)

PROC_INFO = (
    old_proc_info("__arm925_proc_info", 0x54029250, 0xFFFFFFF0, "ARM925T", "armv4t", _SETUP, cached=PMD_SECT_CACHEABLE),
    old_proc_info("__arm915_proc_info", 0x54029150, 0xFFFFFFF0, "ARM925T", "armv4t", _SETUP, cached=PMD_SECT_CACHEABLE),
)
