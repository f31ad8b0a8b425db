"""Shapes and bits of the two-level page tables (arch/arm/include/asm/pgtable-2level.h, pgtable-2level-hwdef.h).

One Linux PMD is a pair of first-level words, 2 MiB, and one page of second-level entries, both copies:

    pgd             page                      +0     512 Linux entries
     |  pair          |                       +2048  256 hardware entries  <- first word of the pair
     +--[ w0 | w1 ]---+                       +3072  256 hardware entries  <- second word
"""
