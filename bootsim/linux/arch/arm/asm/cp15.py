"""Bits of the control register SCTLR under the kernel's names (arch/arm/include/asm/cp15.h)."""

CR_M = 1 << 0
CR_A = 1 << 1
CR_C = 1 << 2
CR_W = 1 << 3
CR_Z = 1 << 11
CR_I = 1 << 12
CR_V = 1 << 13
CR_XP = 1 << 23
CR_TRE = 1 << 28
