"""Second-level tables of kernel memory, made when they are first needed (mm/memory.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.pgalloc import pte_alloc_one_kernel
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_populate_kernel, pte_offset_kernel

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def pte_alloc_kernel(k: Kernel, pmd_pa: int, addr: int) -> int | None:
    """The entry (pa) for `addr` (va) below the first-level words at `pmd_pa`; None when there is no memory for a table.

    Source: include/linux/mm.h pte_alloc_kernel(), mm/memory.c __pte_alloc_kernel()
    """
    if not k.machine.ram.read32(pmd_pa):
        table = pte_alloc_one_kernel(k, k.mm.init_mm)
        if table is None:
            return None
        pmd_populate_kernel(k, pmd_pa, table)
    return pte_offset_kernel(k, pmd_pa, addr)
