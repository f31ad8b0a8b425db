"""Areas of kernel virtual memory taken before vmalloc() works (mm/vmalloc.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic

if TYPE_CHECKING:
    from bootsim.linux import Kernel

VM_IOREMAP = 0x00000001


@dataclass(slots=True)
class VmStruct:
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
