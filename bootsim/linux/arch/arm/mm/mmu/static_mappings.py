"""Static mappings: devices a machine maps once and for all, and addresses kept from vmalloc()."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import InputError, KernelPanic
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MapDesc
from bootsim.linux.arch.arm.asm.memory import PCI_IO_VIRT_BASE, SZ_2M
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SIZE, SECTION_SIZE
from bootsim.linux.arch.arm.mm.ioremap import (
    VM_ARM_EMPTY_MAPPING,
    VM_ARM_MTYPE,
    VM_ARM_STATIC_MAPPING,
    StaticVm,
    add_static_vm_early,
    find_static_vm_vaddr,
)
from bootsim.linux.arch.arm.mm.mmu.create_mapping import create_mapping, pmd_off_k
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.memblock import memblock_alloc
from bootsim.linux.mm.vmalloc import VM_IOREMAP, VmStruct
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel

STATIC_VM_ALIGN = 4


def iotable_init(k: Kernel, io_desc: Sequence[MapDesc]) -> None:
    """Map a machine's static devices and keep ioremap() and vmalloc() off their addresses.

    Source: arch/arm/mm/mmu.c iotable_init()
    """
    if not io_desc:
        return
    pa = _alloc_static_vm(k, len(io_desc), "iotable_init", f"the mapping at {io_desc[0].virtual:#010x}")
    for md in io_desc:
        create_mapping(k, md, "static mapping")
        vm = VmStruct(addr=md.virtual & ~(PAGE_SIZE - 1), size=md.length + (md.virtual & PAGE_SIZE - 1) + PAGE_SIZE - 1
                      & ~(PAGE_SIZE - 1), phys_addr=md.pfn << PAGE_SHIFT & 0xFFFFFFFF,
                      flags=VM_IOREMAP | VM_ARM_STATIC_MAPPING | VM_ARM_MTYPE(md.type), caller="iotable_init")
        add_static_vm_early(k, StaticVm(vm, pa))
        pa += k.build.sizeof.static_vm


def _alloc_static_vm(k: Kernel, count: int, func: str, what: str) -> int:
    size = k.build.sizeof.static_vm * count
    pa = memblock_alloc(k.mm.memblock, size, STATIC_VM_ALIGN, func, Purpose("other", f"static_vm of {what}"))
    if isinstance(pa, Err):
        raise KernelPanic(f"{func}: Failed to allocate {size} bytes align={STATIC_VM_ALIGN:#x}",
                          f"static_vm of {what}: {cause(k, pa.why)}")
    return pa


def vm_reserve_area_early(k: Kernel, addr: int, size: int, caller: str) -> None:
    """Keep [addr, addr + size) (va, bytes) from being given out, without mapping anything.

    Source: arch/arm/mm/mmu.c vm_reserve_area_early()
    """
    pa = _alloc_static_vm(k, 1, "vm_reserve_area_early", f"{caller} at {addr:#010x}")
    vm = VmStruct(addr=addr, size=size, flags=VM_IOREMAP | VM_ARM_EMPTY_MAPPING, caller=caller)
    add_static_vm_early(k, StaticVm(vm, pa))
    step(k, "{addr:#010x}-{last:#010x} kept from vmalloc by {caller}", addr=addr,
         last=addr + size - 1, caller=caller)


def fill_pmd_gaps(k: Kernel) -> None:
    """Block the unused half of every 2 MiB that a static mapping fills by one section only.

    Source: arch/arm/mm/mmu.c fill_pmd_gaps()
    """
    next_ = 0
    for svm in list(k.mm.static_vmlist):
        addr = svm.vm.addr
        if addr < next_:
            continue
        if addr & PMD_SIZE - 1 == SECTION_SIZE and k.machine.ram.read32(pmd_off_k(k, addr)) == 0:
            vm_reserve_area_early(k, addr & ~(PMD_SIZE - 1), SECTION_SIZE, "pmd_empty_section_gap")
        addr += svm.vm.size
        if addr & PMD_SIZE - 1 == SECTION_SIZE and k.machine.ram.read32(pmd_off_k(k, addr) + 4) == 0:
            vm_reserve_area_early(k, addr, SECTION_SIZE, "pmd_empty_section_gap")
        next_ = addr + PMD_SIZE - 1 & ~(PMD_SIZE - 1)


def pci_reserve_io(k: Kernel) -> None:
    """Keep the window for PCI I/O ports, unless the machine mapped it.

    Source: arch/arm/mm/mmu.c pci_reserve_io()
    """
    config = k.build.config
    if config.PCI and not config.NEED_MACH_IO_H and find_static_vm_vaddr(k, PCI_IO_VIRT_BASE) is None:
        vm_reserve_area_early(k, PCI_IO_VIRT_BASE, SZ_2M, "pci_reserve_io")


def debug_ll_io_init(k: Kernel) -> None:
    """Map the port that low-level debugging writes to.

    Source: arch/arm/mm/mmu.c debug_ll_io_init()
    """
    config = k.build.config
    if not config.DEBUG_LL:
        return
    if config.DEBUG_UART_PHYS is None or config.DEBUG_UART_VIRT is None:
        raise InputError(f"build {k.build.name}: DEBUG_LL without DEBUG_UART_PHYS and DEBUG_UART_VIRT; expected both")
    if config.DEBUG_UART_PHYS and config.DEBUG_UART_VIRT:
        va = config.DEBUG_UART_VIRT & ~(PAGE_SIZE - 1)
        iotable_init(k, [MapDesc(va, config.DEBUG_UART_PHYS >> PAGE_SHIFT, PAGE_SIZE, MT_DEVICE)])
