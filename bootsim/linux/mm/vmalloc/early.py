"""Areas of kernel virtual memory that are taken before there is an allocator of them (mm/vmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic

if TYPE_CHECKING:
    from bootsim.linux import Kernel


# What an area is for (include/linux/vmalloc.h).
VM_IOREMAP = 0x00000001
VM_ALLOC = 0x00000002
VM_MAP = 0x00000004
VM_USERMAP = 0x00000008
VM_DMA_COHERENT = 0x00000010
VM_UNINITIALIZED = 0x00000020
VM_NO_GUARD = 0x00000040
VM_FLUSH_RESET_PERMS = 0x00000100
VM_MAP_PUT_PAGES = 0x00000200


class VmStruct:
    """struct vm_struct: [addr, addr + size) (va, bytes), mapped to phys_addr (pa); `caller` is a function's name.

    `pages` are the frames that are freed with it, `pages_va` where the kernel keeps their array; `va` is where the
    struct itself lies, 0 in the kernel's image.
    """

    __slots__ = ("addr", "array_va", "caller", "flags", "pages", "pages_va", "phys_addr", "size", "va")

    def __init__(self, addr: int, size: int, flags: int, phys_addr: int = 0, caller: str = "", va: int = 0) -> None:
        self.addr = addr
        self.size = size
        self.flags = flags
        self.phys_addr = phys_addr
        self.caller = caller
        self.pages: list[int] = []
        self.pages_va = 0
        self.va = va
        self.array_va = 0

    def __repr__(self) -> str:
        return f"VmStruct({self.addr:#x}-{self.addr + self.size:#x} {self.caller})"


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
