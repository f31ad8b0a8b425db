"""ioremap() and iounmap() of a booted machine (arch/arm/mm/ioremap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.cp15 import CR_XP
from bootsim.linux.arch.arm.asm.domain import DOMAIN_IO
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE, MT_DEVICE_CACHED, MT_DEVICE_WC, MT_MEMORY_RW
from bootsim.linux.arch.arm.asm.pgtable_2level import (
    PMD_SECT_SUPER,
    PMD_SIZE,
    PMD_TYPE_MASK,
    PMD_TYPE_TABLE,
    SECTION_SHIFT,
    SECTION_SIZE,
    SUPERSECTION_SIZE,
)
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv6
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.arch.arm.mm.context import check_vmalloc_seq
from bootsim.linux.arch.arm.mm.ioremap import (
    FIRST_HIGH_PFN,
    VM_ARM_SECTION_MAPPING,
    find_static_vm_vaddr,
    ioremap_at_once,
)
from bootsim.linux.arch.arm.mm.mmu.create_mapping import pmd_clear, pmd_off_k
from bootsim.linux.arch.arm.mm.mmu.mem_types import cpu_is_xsc3
from bootsim.linux.kernel.panic import warn
from bootsim.linux.mm.ioremap import ioremap_page_range
from bootsim.linux.mm.memblock import memblock_is_map_memory
from bootsim.linux.mm.page_alloc import __free_pages
from bootsim.linux.mm.vmalloc.alloc import vunmap
from bootsim.linux.mm.vmalloc.area import find_vm_area, get_vm_area
from bootsim.linux.mm.vmalloc.early import VM_IOREMAP
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.arch.arm.mm.mmu.create_mapping import MemType


def _uses_sections(k: Kernel) -> bool:
    # another processor would not hear of a section that comes or goes
    return not k.build.config.SMP and not k.build.config.ARM_LPAE


def unmap_area_sections(k: Kernel, virt: int, size: int) -> None:
    """Clear the first-level words of `size` bytes, down to whole sections, from `virt` (va) on, and free tables there.

    Source: arch/arm/mm/ioremap.c unmap_area_sections()
    """
    ram = k.machine.ram
    end = virt + (size & ~(SECTION_SIZE - 1))
    for addr in range(virt, max(end, virt + 1), PMD_SIZE):
        pmd_pa = pmd_off_k(k, addr)
        pmd = ram.read32(pmd_pa)
        if pmd:
            pmd_clear(k, pmd_pa)
            k.mm.init_mm.vmalloc_seq += 1
            if pmd & PMD_TYPE_MASK == PMD_TYPE_TABLE:
                __free_pages(k, pmd >> PAGE_SHIFT, 0)
    if k.active_mm is not None:
        check_vmalloc_seq(k, k.active_mm)
    flush_tlb_kernel_range(k, virt, end)


def remap_area_sections(k: Kernel, virt: int, pfn: int, size: int, memtype: MemType) -> int:
    """Map `size` bytes at `virt` (va) to frames from `pfn` on in sections; 0.

    Source: arch/arm/mm/ioremap.c remap_area_sections()
    """
    unmap_area_sections(k, virt, size)
    ram = k.machine.ram
    for addr in range(virt, virt + size, PMD_SIZE):
        pmd_pa = pmd_off_k(k, addr)
        for i in range(2):
            pa = (pfn << PAGE_SHIFT) + addr - virt + i * SECTION_SIZE & 0xFFFFFFFF
            ram.write32(pmd_pa + 4 * i, pa | memtype.prot_sect)
    return 0


def remap_area_supersections(k: Kernel, virt: int, pfn: int, size: int, memtype: MemType) -> int:
    """Map `size` bytes at `virt` (va) to frames from `pfn` on, above 4 GiB too, in supersections; 0.

    Source: arch/arm/mm/ioremap.c remap_area_supersections()
    """
    unmap_area_sections(k, virt, size)
    for addr in range(virt, virt + size, SUPERSECTION_SIZE):
        at = pfn + (addr - virt >> PAGE_SHIFT)
        word = at << PAGE_SHIFT & 0xFFFFFFFF | memtype.prot_sect | PMD_SECT_SUPER
        word |= (at >> 32 - PAGE_SHIFT & 0xF) << SECTION_SHIFT
        for section in range(addr, addr + SUPERSECTION_SIZE, SECTION_SIZE):
            k.machine.ram.write32(k.mm.init_mm.pgd_pa + 4 * (section >> SECTION_SHIFT), word)
    return 0


def _uses_supersections(k: Kernel) -> bool:
    v6 = k.cpu_architecture >= CPU_ARCH_ARMv6 and k.cpus[0].cp15.sctlr & CR_XP
    return DOMAIN_IO(k.build.config) == 0 and bool(v6 or cpu_is_xsc3(k))


def __arm_ioremap_pfn_caller(k: Kernel, pfn: int, offset: int, size: int, mtype: int, caller: str = "") -> int:
    """Map `size` bytes from `offset` on in the frames from `pfn` on, as memory type `mtype` (MT_*); the va, or 0.

    Source: arch/arm/mm/ioremap.c __arm_ioremap_pfn_caller()
    """
    found = ioremap_at_once(k, pfn, offset, size, mtype)
    paddr = pfn << PAGE_SHIFT & 0xFFFFFFFF
    if found is not None:
        if not found and mtype != MT_MEMORY_RW and memblock_is_map_memory(k.mm.memblock, paddr):
            warn(k, "arch/arm/mm/ioremap.c:288", func="__arm_ioremap_pfn_caller")
        return found
    size = page_align(offset + size) & 0xFFFFFFFF
    area = get_vm_area(k, size, VM_IOREMAP, caller)
    if area is None:
        return 0
    addr, memtype = area.addr, k.mm.mem_types[mtype]
    area.phys_addr = paddr
    bits = paddr | size | addr
    if _uses_sections(k) and pfn >= FIRST_HIGH_PFN and not bits & SUPERSECTION_SIZE - 1 and _uses_supersections(k):
        area.flags |= VM_ARM_SECTION_MAPPING
        error = remap_area_supersections(k, addr, pfn, size, memtype)
    elif _uses_sections(k) and not bits & PMD_SIZE - 1:
        area.flags |= VM_ARM_SECTION_MAPPING
        error = remap_area_sections(k, addr, pfn, size, memtype)
    else:
        error = ioremap_page_range(k, addr, addr + size, paddr, memtype.prot_pte)
    if error:
        vunmap(k, addr)
        return 0
    return offset + addr


def __arm_ioremap_pfn(k: Kernel, pfn: int, offset: int, size: int, mtype: int) -> int:
    """Map `size` bytes from `offset` on in the frames from `pfn` on, as memory type `mtype` (MT_*); the va, or 0.

    Source: arch/arm/mm/ioremap.c __arm_ioremap_pfn()
    """
    return __arm_ioremap_pfn_caller(k, pfn, offset, size, mtype, "__arm_ioremap_pfn")


def __arm_ioremap_caller(k: Kernel, phys_addr: int, size: int, mtype: int, caller: str = "") -> int:
    """Map `size` bytes at `phys_addr` (pa) as memory type `mtype` (MT_*); their address (va), or 0.

    Source: arch/arm/mm/ioremap.c __arm_ioremap_caller()
    """
    if not size or phys_addr + size - 1 >> 32:
        return 0
    return __arm_ioremap_pfn_caller(k, phys_addr >> PAGE_SHIFT, phys_addr & PAGE_SIZE - 1, size, mtype, caller)


def ioremap(k: Kernel, phys_addr: int, size: int, caller: str = "") -> int:
    """Map `size` bytes of registers at `phys_addr` (pa); their address (va), or 0.

    Source: arch/arm/mm/ioremap.c ioremap()
    """
    return __arm_ioremap_caller(k, phys_addr, size, MT_DEVICE, caller)


def ioremap_cache(k: Kernel, phys_addr: int, size: int, caller: str = "") -> int:
    """Map `size` bytes of a device's memory at `phys_addr` (pa), cached; their address (va), or 0.

    Source: arch/arm/mm/ioremap.c ioremap_cache()
    """
    return __arm_ioremap_caller(k, phys_addr, size, MT_DEVICE_CACHED, caller)


def ioremap_wc(k: Kernel, phys_addr: int, size: int, caller: str = "") -> int:
    """Map `size` bytes of a device's memory at `phys_addr` (pa), writes combined; their address (va), or 0.

    Source: arch/arm/mm/ioremap.c ioremap_wc()
    """
    return __arm_ioremap_caller(k, phys_addr, size, MT_DEVICE_WC, caller)


def arch_memremap_wb(k: Kernel, phys_addr: int, size: int, caller: str = "") -> int:
    """Map `size` bytes of memory at `phys_addr` (pa), RAM too; their address (va), or 0.

    Source: arch/arm/mm/ioremap.c arch_memremap_wb()
    """
    return __arm_ioremap_caller(k, phys_addr, size, MT_MEMORY_RW, caller)


def iounmap(k: Kernel, io_addr: int) -> None:
    """Unmap what ioremap() has mapped at `io_addr` (va); a static mapping is left alone.

    Source: arch/arm/mm/ioremap.c __iounmap()
    """
    addr = io_addr & ~(PAGE_SIZE - 1)
    if find_static_vm_vaddr(k, addr) is not None:
        return
    if _uses_sections(k):
        vm = find_vm_area(k, addr)
        if vm is not None and vm.flags & VM_ARM_SECTION_MAPPING:
            unmap_area_sections(k, vm.addr, vm.size)
    vunmap(k, addr)
