"""Short-lived mappings of highmem pages (arch/arm/mm/highmem.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.fixmap import END_OF_PERMANENT_FIXED_ADDRESSES, FIXADDR_START, fix_to_virt
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, pte_offset_kernel
from bootsim.linux.kernel.printk import step
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel

FIX_KMAP_BEGIN = END_OF_PERMANENT_FIXED_ADDRESSES


def kmap_atomic_high_prot(k: Kernel, pfn: int, prot: int) -> int:
    """Map a page of high memory with Linux's bits `prot` in this processor's next slot; its va.

    A window of kmap() that the page has is used instead, where the build has kmap_high_get(). Raises KmapError when all
    slots are taken.
    Source: arch/arm/mm/highmem.c kmap_atomic_high_prot()
    Differs: in the boot, which maps one page at a time, the slot is the first.
    """
    kmap = k.mm.kmap
    if kmap is not None:
        found = kmap.kmap_high_get(pfn) if kmap.atomic_uses_kmap else 0
        if not found:
            found = kmap.atomic(pfn, prot, k.mm.pgdat.cpu)
            _flush(k, found)
        return found
    va = fix_to_virt(FIX_KMAP_BEGIN)
    pte_pa = pte_offset_kernel(k, pmd_off_k(k, va), va)
    k.processor.cpu_set_pte_ext(k.machine.ram, pte_pa, pfn << PAGE_SHIFT | prot, 0)
    step(k, "kmap_atomic: {va:#010x} -> {pa:#010x}", func="kmap_atomic", va=va, pa=pfn << PAGE_SHIFT)
    return va


def kunmap_atomic_high(k: Kernel, va: int) -> None:
    """Give back what kmap_atomic_high_prot() gave; the mapping stays unless CONFIG_DEBUG_HIGHMEM wants it gone.

    Raises KmapError where this processor has no such mapping.
    Source: arch/arm/mm/highmem.c kunmap_atomic_high()
    """
    kmap = k.mm.kmap
    if kmap is None:
        if k.build.config.DEBUG_HIGHMEM:
            k.processor.cpu_set_pte_ext(k.machine.ram, pte_offset_kernel(k, pmd_off_k(k, va), va), 0, 0)
    elif va >= FIXADDR_START:
        kmap.atomic_done(va, k.mm.pgdat.cpu)
        if k.build.config.DEBUG_HIGHMEM:
            _flush(k, va)
    else:
        pfn = kmap.page_at(va)
        if pfn is not None:
            kmap.kunmap_high(pfn)


def _flush(k: Kernel, va: int) -> None:
    from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_page

    flush_tlb_kernel_page(k, va)
