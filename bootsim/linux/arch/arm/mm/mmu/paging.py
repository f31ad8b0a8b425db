"""The kernel's final page tables: fixmap, vectors, device tree, machine devices, highmem window, zero page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cp15 import CR_V
from bootsim.linux.arch.arm.asm.fixmap import (
    END_OF_PERMANENT_FIXED_ADDRESSES,
    FIXADDR_START,
    FIXADDR_TOP,
    FIXMAP_PAGE_IO,
    end_of_fixed_addresses,
    fix_to_virt,
)
from bootsim.linux.arch.arm.asm.mach.arch import run_hook
from bootsim.linux.arch.arm.asm.mach.map import (
    MT_DEVICE,
    MT_HIGH_VECTORS,
    MT_LOW_VECTORS,
    MT_MEMORY_RO,
    MapDesc,
)
from bootsim.linux.arch.arm.asm.memory import (
    FDT_FIXED_BASE,
    FDT_FIXED_SIZE,
    SECTION_MASK,
    VECTORS_BASE,
)
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_MT_DEV_SHARED, L_PTE_MT_MASK, PMD_SIZE
from bootsim.linux.arch.arm.kernel.traps import early_trap_init
from bootsim.linux.arch.arm.mm.mmu.create_mapping import (
    clear_pmds,
    create_mapping,
    early_alloc,
    early_pte_alloc,
    pmd_clear,
    pmd_off_k,
    pmd_populate_kernel,
    pte_offset_kernel,
)
from bootsim.linux.arch.arm.mm.mmu.lowmem import map_lowmem, prepare_page_table
from bootsim.linux.arch.arm.mm.mmu.static_mappings import debug_ll_io_init, fill_pmd_gaps, pci_reserve_io
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_INFO, step
from bootsim.linux.mm.memblock import memblock_set_current_limit
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.inputs.build import MachineDesc
    from bootsim.linux import Kernel


def early_fixmap_init(k: Kernel) -> None:
    """Let the fixmap's 2 MiB use bm_pte, a page table inside the kernel image.

    Source: arch/arm/mm/mmu.c early_fixmap_init()
    """
    bm_pte_pa = k.virt_to_phys(k.build.symbols.bm_pte)
    pmd_populate_kernel(k, pmd_off_k(k, FIXADDR_TOP), bm_pte_pa)
    k.mm.early_fixmap = True
    step(k, "fixmap: {va:#010x}-{last:#010x} uses the page table bm_pte at {pa:#010x}",
         va=FIXADDR_TOP & ~(PMD_SIZE - 1), last=FIXADDR_TOP | PMD_SIZE - 1, pa=bm_pte_pa)


# pa of the Linux entry for a fixmap address; before early_fixmap_shutdown() in bm_pte, whatever the first level says
def _pte_offset_fixmap(k: Kernel, va: int) -> int:
    if k.mm.early_fixmap:
        return k.virt_to_phys(k.build.symbols.bm_pte) + 4 * (va >> PAGE_SHIFT & 511)
    return pte_offset_kernel(k, pmd_off_k(k, va), va)


def set_fixmap(k: Kernel, idx: int, phys: int, prot: int) -> None:
    """Map fixmap slot `idx` to the page at `phys` (pa) with Linux page bits `prot`; prot 0 clears it.

    Source: arch/arm/mm/mmu.c __set_fixmap()
    """
    if not 0 <= idx < end_of_fixed_addresses(k.build.config.NR_CPUS):
        raise IndexError(f"fixmap slot {idx}: expected one of {end_of_fixed_addresses(k.build.config.NR_CPUS)}")
    if prot not in (0, FIXMAP_PAGE_IO) and not k.mm.pgprot_kernel:
        warn(k, "arch/arm/mm/mmu.c:408", func="__set_fixmap")
        return
    va = fix_to_virt(idx)
    pte = phys & ~(PAGE_SIZE - 1) | prot if prot else 0
    k.processor.cpu_set_pte_ext(k.machine.ram, _pte_offset_fixmap(k, va), pte, 0)
    if k.machine.tlb is not None:
        from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range  # a boot has nothing to flush

        flush_tlb_kernel_range(k, va, va + PAGE_SIZE)
    step(k, "fixmap slot {idx} at {va:#010x} -> {phys:#010x}, page bits {prot:#x}", func="__set_fixmap", idx=idx, va=va,
         phys=phys, prot=prot)


def early_fixmap_shutdown(k: Kernel) -> None:
    """Take bm_pte out of the tables; a device page that the early console mapped is mapped again for good.

    Source: arch/arm/mm/mmu.c early_fixmap_shutdown()
    """
    k.mm.early_fixmap = False
    pmd_clear(k, pmd_off_k(k, fix_to_virt(END_OF_PERMANENT_FIXED_ADDRESSES - 1)))
    step(k, "fixmap: bm_pte taken out")
    bm_pte_pa = k.virt_to_phys(k.build.symbols.bm_pte)
    for idx in range(END_OF_PERMANENT_FIXED_ADDRESSES):
        va = fix_to_virt(idx)
        pte = k.machine.ram.read32(bm_pte_pa + 4 * (va >> PAGE_SHIFT & 511))
        if pte and pte & L_PTE_MT_MASK == L_PTE_MT_DEV_SHARED:
            _expect_silence(k, va)
            try:
                create_mapping(k, MapDesc(va, pte >> PAGE_SHIFT, PAGE_SIZE, MT_DEVICE), "fixmap")
            except KernelPanic as death:
                raise KernelPanic(None, f"{death.cause}; the panic message itself faults, as early_fixmap_shutdown() "
                                  f"has unmapped the early console at {va:#x}") from None


# The page table for the console's page is about to be allocated. If memblock=debug speaks of that, it speaks to a
# console that is not mapped.
def _expect_silence(k: Kernel, va: int) -> None:
    if k.mm.memblock.debug and (k.log.ignore_loglevel or k.log.console_loglevel > KERN_INFO):
        raise KernelPanic(None, "earlycon with memblock=debug: early_fixmap_shutdown() unmapped the console at "
                          f"{va:#x}, and the message about the page table for it faults with no vectors to take it")


def devicemaps_init(k: Kernel, mdesc: MachineDesc | None) -> None:
    """Clear the vmalloc area's first level; map the tree, the vectors and the machine's devices.

    Source: arch/arm/mm/mmu.c devicemaps_init()
    Differs: caches and TLBs are not modelled, so nothing is flushed.
    """
    vectors = early_alloc(k, PAGE_SIZE * 2, "vectors and stubs pages")
    early_trap_init(k, vectors)
    start, end = k.mm.layout.VMALLOC_START, FIXADDR_TOP & ~(PMD_SIZE - 1)
    gone = clear_pmds(k, k.mm.init_mm, start, end)
    step(k, "{words} first-level words of {start:#010x}-{end:#010x} cleared", words=gone, start=start, end=end)
    if k.atags_pointer:
        tree_pa = k.atags_pointer & SECTION_MASK
        create_mapping(k, MapDesc(FDT_FIXED_BASE, tree_pa >> PAGE_SHIFT, FDT_FIXED_SIZE, MT_MEMORY_RO), "device tree")
    pfn = vectors >> PAGE_SHIFT
    vectors_type = MT_HIGH_VECTORS if k.build.config.KUSER_HELPERS else MT_LOW_VECTORS
    create_mapping(k, MapDesc(VECTORS_BASE, pfn, PAGE_SIZE, vectors_type), "vectors")
    if not k.cpus[0].cp15.sctlr & CR_V:
        create_mapping(k, MapDesc(0, pfn, PAGE_SIZE * 2, MT_LOW_VECTORS), "low vectors")
    create_mapping(k, MapDesc(VECTORS_BASE + PAGE_SIZE, pfn + 1, PAGE_SIZE, MT_LOW_VECTORS), "stubs")
    if mdesc is None or mdesc.map_io is None:
        debug_ll_io_init(k)
    else:
        run_hook(k, "map_io")
    fill_pmd_gaps(k)
    pci_reserve_io(k)


def kmap_init(k: Kernel) -> None:
    """Make the page tables for the highmem window and for the fixmap.

    Source: arch/arm/mm/mmu.c kmap_init()
    """
    base = k.mm.layout.PKMAP_BASE
    if base is not None:
        k.mm.pkmap_page_table_pa = early_pte_alloc(k, pmd_off_k(k, base), base, k.mm.kernel_pmd_table)
        step(k, "pkmap: {va:#010x}-{last:#010x}, page table at {pa:#010x}", va=base, last=base + PMD_SIZE - 1,
             pa=k.mm.pkmap_page_table_pa)
    pte_pa = early_pte_alloc(k, pmd_off_k(k, FIXADDR_START), FIXADDR_START, k.mm.kernel_pmd_table)
    step(k, "fixmap: {va:#010x}-{last:#010x}, page table at {pa:#010x}", va=FIXADDR_START & ~(PMD_SIZE - 1),
         last=FIXADDR_START | PMD_SIZE - 1, pa=pte_pa & ~(PAGE_SIZE - 1))


def paging_init(k: Kernel, mdesc: MachineDesc | None = None) -> None:
    """Build the kernel's page tables, then the zones (bootmem_init).

    `mdesc` is k.mdesc unless given. Sets vectors_page_pa, pkmap_page_table_pa, top_pmd_pa, empty_zero_page_pa of k.mm.
    Source: arch/arm/mm/mmu.c paging_init()
    """
    from bootsim.linux.arch.arm.mm.dma_mapping import dma_contiguous_remap
    from bootsim.linux.arch.arm.mm.flush import __flush_dcache_page as flush_dcache_page
    from bootsim.linux.arch.arm.mm.init import bootmem_init

    prepare_page_table(k)
    map_lowmem(k)
    memblock_set_current_limit(k.mm.memblock, k.mm.arm_lowmem_limit)
    dma_contiguous_remap(k)
    early_fixmap_shutdown(k)
    devicemaps_init(k, mdesc or k.mdesc)
    kmap_init(k)
    if k.build.config.HAVE_TCM:
        from bootsim.linux.arch.arm.kernel.tcm import tcm_init

        tcm_init(k)
    k.mm.top_pmd_pa = pmd_off_k(k, VECTORS_BASE)
    zero_page = early_alloc(k, PAGE_SIZE, "zero page")
    k.facts.add("empty_zero_page", zero_page, "pa", "the page below the tables of vectors, pkmap and fixmap",
                ("vectors_page", "CONFIG_HIGHMEM", "arm_lowmem_limit", "build:machines",
                 *(f.name for f in k.facts if f.name.startswith("cma")),
                 *k.owners.above(zero_page, k.mm.memblock.current_limit)),
                "arch/arm/mm/mmu.c paging_init()")
    step(k, "zero page at {pa:#010x}", pa=zero_page)
    bootmem_init(k)
    k.mm.empty_zero_page_pa = zero_page
    flush_dcache_page(k, zero_page)
