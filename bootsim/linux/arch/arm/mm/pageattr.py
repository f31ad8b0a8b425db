"""Permissions of pages that are mapped at kernel addresses, changed (arch/arm/mm/pageattr.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_RDONLY, L_PTE_XN
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, set_pte_at
from bootsim.linux.include.linux.errno import EINVAL, ENOMEM
from bootsim.linux.kernel.panic import warn
from bootsim.linux.mm.memory import pte_alloc_kernel
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def change_memory_common(k: Kernel, addr: int, numpages: int, set_mask: int, clear_mask: int) -> int:
    """Set and clear Linux's bits in the entries of `numpages` pages from `addr` (va) on; 0, -EINVAL or -ENOMEM.

    Only areas of modules and of vmalloc() may be changed. An address within a page has its page changed too, and a
    warning.
    Source: arch/arm/mm/pageattr.c change_memory_common()
    Differs: the warning comes every time, where the kernel gives it once.
    """
    start = addr & ~(PAGE_SIZE - 1)
    size = ((addr + PAGE_SIZE - 1 & ~(PAGE_SIZE - 1)) + (numpages << PAGE_SHIFT)) - start
    if start != addr:
        warn(k, "arch/arm/mm/pageattr.c:44", func="change_memory_common")
    if not size:
        return 0
    layout = k.mm.layout
    ranges = ((layout.MODULES_VADDR, layout.MODULES_END), (layout.VMALLOC_START, VMALLOC_END))
    if not any(low <= start < high and size <= high - start for low, high in ranges):
        return -EINVAL
    for va in range(start, start + size, PAGE_SIZE):
        pte_pa = pte_alloc_kernel(k, pmd_off_k(k, va), va)
        if pte_pa is None:
            return -ENOMEM
        set_pte_at(k, va, pte_pa, k.machine.ram.read32(pte_pa) & ~clear_mask | set_mask)
    flush_tlb_kernel_range(k, start, start + size)
    return 0


def set_memory_ro(k: Kernel, addr: int, numpages: int) -> int:
    """Let nobody write to `numpages` pages from `addr` (va) on.

    Source: arch/arm/mm/pageattr.c set_memory_ro()
    """
    return change_memory_common(k, addr, numpages, L_PTE_RDONLY, 0)


def set_memory_rw(k: Kernel, addr: int, numpages: int) -> int:
    """Let the kernel write to `numpages` pages from `addr` (va) on.

    Source: arch/arm/mm/pageattr.c set_memory_rw()
    """
    return change_memory_common(k, addr, numpages, 0, L_PTE_RDONLY)


def set_memory_nx(k: Kernel, addr: int, numpages: int) -> int:
    """Let nothing be executed from `numpages` pages from `addr` (va) on.

    Source: arch/arm/mm/pageattr.c set_memory_nx()
    """
    return change_memory_common(k, addr, numpages, L_PTE_XN, 0)


def set_memory_x(k: Kernel, addr: int, numpages: int) -> int:
    """Let `numpages` pages from `addr` (va) on be executed.

    Source: arch/arm/mm/pageattr.c set_memory_x()
    """
    return change_memory_common(k, addr, numpages, 0, L_PTE_XN)
