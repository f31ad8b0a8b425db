"""The list of static mappings, which ioremap() and the vmalloc area must keep clear of (arch/arm/mm/ioremap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_RW
from bootsim.linux.mm.memblock import memblock_is_map_memory
from bootsim.linux.mm.vmalloc import VmStruct, vm_area_add_early
from bootsim.page import PAGE_SHIFT, page_align

if TYPE_CHECKING:
    from bootsim.linux import Kernel


SUPERSECTION_MASK = 0xFF000000
FIRST_HIGH_PFN = 0x100000  # of 4 GiB
VM_ARM_SECTION_MAPPING = 0x80000000
VM_ARM_STATIC_MAPPING = 0x40000000
VM_ARM_EMPTY_MAPPING = 0x20000000
VM_ARM_MTYPE_MASK = 0x1F << 20


def VM_ARM_MTYPE(mtype: int) -> int:
    """The vm_struct flags that name memory type `mtype` (MT_*).

    Source: arch/arm/mm/mm.h VM_ARM_MTYPE()
    """
    return mtype << 20


class StaticVm(NamedTuple):
    """struct static_vm: a mapping that stays; `pa` is where the structure itself lies."""

    vm: VmStruct
    pa: int


def find_static_vm_paddr(k: Kernel, paddr: int, size: int, mtype: int) -> StaticVm | None:
    """The static mapping that already covers [paddr, paddr + size) (pa, bytes) as memory type `mtype`, or None.

    Source: arch/arm/mm/ioremap.c find_static_vm_paddr()
    """
    svm: StaticVm
    for svm in k.mm.static_vmlist:
        vm = svm.vm
        if not vm.flags & VM_ARM_STATIC_MAPPING or vm.flags & VM_ARM_MTYPE_MASK != VM_ARM_MTYPE(mtype):
            continue
        if vm.phys_addr <= paddr and paddr + size <= vm.phys_addr + vm.size:
            return svm
    return None


def find_static_vm_vaddr(k: Kernel, vaddr: int) -> StaticVm | None:
    """The static mapping that holds `vaddr` (va), or None.

    Source: arch/arm/mm/ioremap.c find_static_vm_vaddr()
    """
    svm: StaticVm
    for svm in k.mm.static_vmlist:  # in ascending order
        if svm.vm.addr > vaddr:
            break
        if vaddr < svm.vm.addr + svm.vm.size:
            return svm
    return None


def add_static_vm_early(k: Kernel, svm: StaticVm) -> None:
    """Put a static mapping on k.mm.static_vmlist, in ascending order, and on k.mm.vmlist for vmalloc_init().

    Source: arch/arm/mm/ioremap.c add_static_vm_early()
    """
    vm_area_add_early(k, svm.vm)
    at = next((i for i, other in enumerate(k.mm.static_vmlist) if other.vm.addr > svm.vm.addr), len(k.mm.static_vmlist))
    k.mm.static_vmlist.insert(at, svm)


def ioremap_at_once(k: Kernel, pfn: int, offset: int, size: int, mtype: int) -> int | None:
    """What __arm_ioremap_pfn_caller() answers without taking addresses: those of a static mapping, or 0: refused.

    None when it goes on. Refused are frames above 4 GiB that are no whole supersections, an unknown memory type, and
    RAM but as memory.
    Source: arch/arm/mm/ioremap.c __arm_ioremap_pfn_caller()
    """
    paddr = pfn << PAGE_SHIFT & 0xFFFFFFFF
    if (pfn >= FIRST_HIGH_PFN and paddr & ~SUPERSECTION_MASK) or not 0 <= mtype < len(k.mm.mem_types):
        return 0
    size = page_align(offset + size) & 0xFFFFFFFF
    if size and pfn < FIRST_HIGH_PFN:
        svm = find_static_vm_paddr(k, paddr, size, mtype)
        if svm is not None:
            return offset + svm.vm.addr + paddr - svm.vm.phys_addr
    if memblock_is_map_memory(k.mm.memblock, paddr) and mtype != MT_MEMORY_RW:
        return 0
    return None
