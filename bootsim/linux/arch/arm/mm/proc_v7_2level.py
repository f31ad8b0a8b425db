"""The two-level page tables of ARMv7 (arch/arm/mm/proc-v7-2level.S): table flags and memory attributes.

TEX remapping is on, so an entry's TEX[0], C and B number one of eight memory types that PRRR and NMRR define:

    000 strongly ordered    001 normal, uncached    010 write-through      011 write-back
    100 device              101 -                   110 -                  111 write-back write-allocate
"""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_S, PMD_SECT_WB, PMD_SECT_WBWA

# Table walks cacheable: write-back for one processor; shareable, write-back write-allocate for several.
TTB_FLAGS_UP = 1 << 0 | 1 << 6 | 3 << 3
TTB_FLAGS_SMP = 1 << 6 | 1 << 1 | 1 << 5 | 1 << 3
PMD_FLAGS_UP = PMD_SECT_WB
PMD_FLAGS_SMP = PMD_SECT_WBWA | PMD_SECT_S

PRRR = 0xFF0A81A8
NMRR = 0x40E040E0

# What v7_crval clears and sets in SCTLR.
CRVAL_CLEAR = 0x2120C302
CRVAL_MMUSET = 0x10C03C7D
