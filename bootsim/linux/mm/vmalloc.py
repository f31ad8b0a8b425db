"""Kernel virtual memory beside the linear mapping: areas taken early, pages mapped there (mm/vmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.pgtable_2level import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE
from bootsim.linux.include.linux.errno import ENOMEM
from bootsim.linux.kernel.printk import KERN_WARNING, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel


# create_mapping imports this module by way of the other parts of mmu.c, so the functions that map import it.

VM_IOREMAP = 0x00000001


class VmStruct(NamedTuple):
    """struct vm_struct: [addr, addr + size) (va, bytes), mapped to phys_addr (pa); `caller` is a function's name."""

    addr: int
    size: int
    flags: int
    phys_addr: int = 0
    caller: str = ""


def vm_area_add_early(k: Kernel, vm: VmStruct) -> None:
    """Put an area on k.mm.vmlist, in ascending order, for vmalloc_init() to know.

    Source: mm/vmalloc.c vm_area_add_early()
    """
    at = len(k.mm.vmlist)
    for i, other in enumerate(k.mm.vmlist):
        if other.addr >= vm.addr:
            at = i
            if other.addr < vm.addr + vm.size:
                raise _overlap(vm, other)
            break
        if other.addr + other.size > vm.addr:
            raise _overlap(vm, other)
    k.mm.vmlist.insert(at, vm)


def _overlap(vm: VmStruct, other: VmStruct) -> KernelPanic:
    return KernelPanic(None, f"BUG in vm_area_add_early: {vm.addr:#x}+{vm.size:#x} ({vm.caller}) overlaps "
                       f"{other.addr:#x}+{other.size:#x} ({other.caller})")


def map_kernel_range_noflush(k: Kernel, addr: int, size: int, prot: int, pages: Sequence[int]) -> int:
    """Map the frames `pages` (pfns) one by one from `addr` (va) on, `size` bytes, with Linux page bits `prot`.

    Returns 0, or -ENOMEM when there is no page for a table or one of the pages is mapped already (which is then said).
    Source: mm/vmalloc.c map_kernel_range_noflush(), vmap_pte_range()
    Differs: the warning of a page mapped already is a line of bootsim.
    """
    from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, set_pte_at
    from bootsim.linux.mm.memory import pte_alloc_kernel

    if len(pages) < _pages(addr, size):
        raise ValueError(f"{len(pages)} frames for {size:#x} bytes: expected one a page")
    ram, pte_pa = k.machine.ram, 0
    for i in range(_pages(addr, size)):
        va = addr + i * PAGE_SIZE
        if not i or va % PMD_SIZE == 0:
            found = pte_alloc_kernel(k, pmd_off_k(k, va), va)
            if found is None:
                return -ENOMEM
            pte_pa = found
        if ram.read32(pte_pa):
            step(k, "{va:#010x} is mapped already, and not to frame {pfn:#x}", level=KERN_WARNING,
                 func="vmap_pte_range", va=va, pfn=pages[i])
            return -ENOMEM
        set_pte_at(k, va, pte_pa, pages[i] << PAGE_SHIFT | prot)
        pte_pa += 4
    return 0


def unmap_kernel_range_noflush(k: Kernel, start: int, size: int) -> None:
    """Clear the entries of `size` bytes from `start` (va) on; the tables stay, and where there is none nothing is done.

    Source: mm/vmalloc.c unmap_kernel_range_noflush()
    Differs: a section in the range is refused, where pmd_clear_bad() says so and drops it.
    """
    from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_off_k, pte_offset_kernel, set_pte_at

    ram = k.machine.ram
    for i in range(_pages(start, size)):
        va = start + i * PAGE_SIZE
        pmd_pa = pmd_off_k(k, va)
        pmd = ram.read32(pmd_pa)
        if pmd & 2:
            raise ValueError(f"{va:#010x}: a section is mapped there, and this function unmaps pages")
        if pmd:
            set_pte_at(k, va, pte_offset_kernel(k, pmd_pa, va), 0)


def _pages(addr: int, size: int) -> int:
    # how many pages a range of kernel addresses has
    if addr % PAGE_SIZE or not 0 < size <= (1 << 32) - addr:
        raise ValueError(f"{addr:#x}+{size:#x}: expected a page's address, and a range that ends below 4 GiB")
    return -(-size // PAGE_SIZE)
