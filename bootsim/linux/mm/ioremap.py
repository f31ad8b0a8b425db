"""Registers mapped page by page at kernel addresses (mm/ioremap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SIZE
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, set_pte_at
from bootsim.linux.include.linux.errno import ENOMEM
from bootsim.linux.mm.memory import pte_alloc_kernel
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class MappedError(BootsimError):
    """A page is mapped already where another is to be: the kernel stops with a BUG."""


def ioremap_page_range(k: Kernel, addr: int, end: int, phys_addr: int, prot: int) -> int:
    """Map [addr, end) (va) to what lies from `phys_addr` (pa) on, with Linux's bits `prot`; 0, or -ENOMEM.

    Raises MappedError where something is mapped.
    Source: mm/ioremap.c ioremap_page_range()
    """
    ram, pte_pa = k.machine.ram, 0
    for va in range(addr, end, PAGE_SIZE):
        if va == addr or va % PMD_SIZE == 0:
            found = pte_alloc_kernel(k, pmd_off_k(k, va), va)
            if found is None:
                return -ENOMEM
            pte_pa = found
        if ram.read32(pte_pa):
            raise MappedError(f"ioremap_page_range(): {va:#010x} is mapped already: the kernel would stop with a BUG")
        set_pte_at(k, va, pte_pa, (phys_addr + va - addr & 0xFFFFFFFF) | prot)
        pte_pa += 4
    return 0
