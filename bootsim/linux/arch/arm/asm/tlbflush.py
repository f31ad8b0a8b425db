"""What the kernel tells the TLB (arch/arm/include/asm/tlbflush.h).

There is one TLB, the boot processor's. Until something is read through it (Machine.load()) it is empty and nothing is
done here. Barriers, caches and branch prediction are not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import UserMm

_ASID_MASK = 0xFF
_PAGE_MASK = -PAGE_SIZE


def has_asids(k: Kernel) -> bool:
    """Whether entries of the TLB tell address spaces apart: from ARMv6 on.

    Source: arch/arm/mm/Kconfig CPU_HAS_ASID
    """
    return k.cpus[0].cp15.id_mmfr0 != 0


def flush_tlb_all(k: Kernel) -> None:
    """Forget all translations.

    Source: arch/arm/include/asm/tlbflush.h __flush_tlb_all()
    """
    if k.machine.tlb is not None:
        k.machine.tlb.tlbiall()


def flush_tlb_mm(k: Kernel, mm: UserMm) -> None:
    """Forget what is of one address space.

    Source: arch/arm/include/asm/tlbflush.h __flush_tlb_mm()
    """
    tlb = k.machine.tlb
    if tlb is None:
        return
    if not has_asids(k):
        if mm is k.active_mm:
            tlb.tlbiall()
    elif k.is_smp and k.build.config.ARM_ERRATA_720789:
        tlb.tlbiall()
    else:
        tlb.tlbiasid(mm.context_id & _ASID_MASK)


def flush_tlb_page(k: Kernel, mm: UserMm, uaddr: int) -> None:
    """Forget the page of one address of a process (va).

    Source: arch/arm/include/asm/tlbflush.h __flush_tlb_page()
    """
    flush_tlb_range(k, mm, uaddr & _PAGE_MASK, (uaddr & _PAGE_MASK) + PAGE_SIZE)


def flush_tlb_range(k: Kernel, mm: UserMm, start: int, end: int) -> None:
    """Forget the pages of [start, end) (va) of an address space.

    Source: arch/arm/mm/tlb-v7.S v7wbi_flush_user_tlb_range(), and those of other processors
    """
    tlb = k.machine.tlb
    if tlb is None or not (has_asids(k) or mm is k.active_mm):
        return
    asid = mm.context_id & _ASID_MASK
    one = tlb.tlbimvaa if k.is_smp and k.build.config.ARM_ERRATA_720789 else tlb.tlbimva
    for va in range(start & _PAGE_MASK, min(end, 1 << 32), PAGE_SIZE):
        one(va | asid)


def flush_tlb_kernel_page(k: Kernel, kaddr: int) -> None:
    """Forget the page of an address of the kernel's (va).

    Source: arch/arm/include/asm/tlbflush.h __flush_tlb_kernel_page()
    """
    if k.machine.tlb is not None:
        k.machine.tlb.tlbimva(kaddr & _PAGE_MASK)


def flush_tlb_kernel_range(k: Kernel, start: int, end: int) -> None:
    """Forget the pages of [start, end) (va) of the kernel's.

    Source: arch/arm/mm/tlb-v7.S v7wbi_flush_kern_tlb_range(), and those of other processors
    """
    tlb = k.machine.tlb
    if tlb is None:
        return
    one = tlb.tlbimvaa if k.is_smp and k.build.config.ARM_ERRATA_720789 else tlb.tlbimva
    for va in range(start & _PAGE_MASK, min(end, 1 << 32), PAGE_SIZE):
        one(va)
