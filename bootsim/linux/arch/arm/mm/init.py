"""Memory initialisation of the ARM port (arch/arm/mm/init.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause, holders, not_one_region, tell_given_twice, unheeded
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cp15 import CR_XP
from bootsim.linux.arch.arm.asm.mach.arch import run_hook
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_AP_WRITE, PMD_SECT_APX, PMD_SECT_XN, SECTION_SIZE
from bootsim.linux.arch.arm.mm.mmu import arm_mm_memblock_reserve, section_update
from bootsim.linux.drivers.of.fdt import early_init_fdt_scan_reserved_mem
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.dma.contiguous import dma_contiguous_reserve
from bootsim.linux.kernel.printk import KERN_ERR, printk, step
from bootsim.linux.mm.memblock import (
    MEMBLOCK_ALLOC_ACCESSIBLE,
    for_each_free_mem_range,
    for_each_mem_pfn_range,
    memblock_allow_resize,
    memblock_dump_all,
    memblock_end_of_DRAM,
    memblock_free,
    memblock_free_all,
    memblock_is_region_memory,
    memblock_is_region_reserved,
    memblock_phys_alloc_range,
    memblock_remove,
    memblock_reserve,
    memblock_start_of_DRAM,
)
from bootsim.linux.mm.memtest import early_memtest
from bootsim.linux.mm.page_alloc import (
    free_area_init,
    free_highmem_range,
    free_reserved_area,
    mem_init_print_info,
    pages_given,
)
from bootsim.linux.mm.percpu import max_dma_address_pa
from bootsim.linux.mm.sparse import PAGES_PER_SECTION, sparse_init
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_POISON = 0xE7FDDEF0  # an undefined instruction


def setup_dma_zone(k: Kernel) -> None:
    """Take the DMA limit (pa of the last byte) from the machine.

    Source: arch/arm/mm/init.c setup_dma_zone()
    """
    if k.build.config.ZONE_DMA and k.mdesc.dma_zone_size:
        k.mm.arm_dma_zone_size = k.mdesc.dma_zone_size
        k.mm.arm_dma_limit = k.mm.phys_offset + k.mm.arm_dma_zone_size - 1
        k.facts.add("arm_dma_limit", k.mm.arm_dma_limit, "pa", "PHYS_OFFSET + the machine's dma_zone_size - 1",
                    ("PHYS_OFFSET", "CONFIG_ZONE_DMA", "build:machines"), "arch/arm/mm/init.c setup_dma_zone()")


def initrd_root(k: Kernel) -> str:
    """The input that said where the initrd is, as facts name it.

    Source: none, for bootsim's own lines
    """
    fact = k.facts.get("phys_initrd_start")
    return fact.inputs[0] if fact is not None else "dtb:/chosen:linux,initrd-start"


def initrd_place(k: Kernel) -> str:
    """The input that said where the initrd is, as a message names it.

    Source: none, for bootsim's own lines
    """
    kind, _, rest = initrd_root(k).partition(":")
    return f"cmdline: {rest}=" if kind == "cmdline" else place_of(k, *rest.rsplit(":", 1))


def arm_initrd_init(k: Kernel) -> None:
    """Reserve the initrd in whole pages, or disable it.

    Source: arch/arm/mm/init.c arm_initrd_init()
    """
    k.initrd_start = k.initrd_end = 0
    if not k.build.config.BLK_DEV_INITRD or not k.phys_initrd_size:
        return
    start = k.phys_initrd_start & ~(PAGE_SIZE - 1)
    size = k.phys_initrd_size + (k.phys_initrd_start - start)
    size = page_align(size) & 0xFFFFFFFF
    mb = k.mm.memblock
    if not memblock_is_region_memory(mb, start, size):
        printk(k, KERN_ERR, "INITRD: {start:#010x}+{size:#010x} is not a memory region - disabling initrd",
               start=start, size=size)
        step(k, "cause: {place} puts the initrd at {first:#010x}-{last:#010x}, {why}", place=initrd_place(k),
             first=start, last=start + size - 1, why=not_one_region(k, start, start + size))
        return
    if memblock_is_region_reserved(mb, start, size):
        printk(k, KERN_ERR, "INITRD: {start:#010x}+{size:#010x} overlaps in-use memory region - disabling initrd",
               start=start, size=size)
        step(k, "cause: {place} puts the initrd at {first:#010x}-{last:#010x}, on {others}", place=initrd_place(k),
             first=start, last=start + size - 1, others=" and ".join(holders(k, start, size)))
        return
    ret = memblock_reserve(mb, start, size, "arm_initrd_init", Purpose("initrd", "initrd", initrd_root(k)))
    unheeded(k, ret, f"reserving the initrd at {start:#010x}")
    k.initrd_start = k.phys_to_virt(k.phys_initrd_start)
    k.initrd_end = k.initrd_start + k.phys_initrd_size
    step(k, "initrd reserved: {start:#010x}-{end:#010x}", start=start, end=start + size - 1)


def arm_memblock_steal(k: Kernel, size: int, align: int, what: str) -> int:
    """Take `size` bytes, aligned, out of memory for ever, as `what`; their address (pa).

    Source: arch/arm/mm/init.c arm_memblock_steal()
    """
    mb, purpose, func = k.mm.memblock, Purpose("machine", what), "arm_memblock_steal"
    phys = memblock_phys_alloc_range(mb, size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, func, purpose)
    if isinstance(phys, Err):
        raise KernelPanic(f"Failed to steal {size:#010x} bytes at {k.mdesc.reserve}",
                          f"machine {k.mdesc.name!r}: {what}: {cause(k, phys.why)}")
    unheeded(k, memblock_free(mb, phys, size, func, purpose), f"freeing {phys:#010x}+{size:#x}")
    unheeded(k, memblock_remove(mb, phys, size, func, purpose), f"taking {phys:#010x}+{size:#x} out of memory")
    n = sum(fact.name.startswith("machine.taken") for fact in k.facts)
    k.facts.add(f"machine.taken{n}", phys, "pa", f"{size >> 20} MiB below memblock's limit, out of memory: {what}",
                ("memblock.current_limit", "build:machines"), "arch/arm/mm/init.c arm_memblock_steal()")
    step(k, "machine {name!r} takes {base:#010x}-{last:#010x} out of memory", name=k.mdesc.name, base=phys,
         last=phys + size - 1)
    return phys


def arm_memblock_init(k: Kernel) -> None:
    """Reserve the kernel, the initrd, the page tables, what the tree asks for, and contiguous memory.

    Source: arch/arm/mm/init.c arm_memblock_init()
    """
    sym = k.build.symbols
    # KERNEL_START is _stext, KERNEL_END is _end
    base, size = k.virt_to_phys(sym.stext), sym.end - sym.stext
    ret = memblock_reserve(k.mm.memblock, base, size, "arm_memblock_init", Purpose("image", "kernel image"))
    unheeded(k, ret, "reserving the kernel image")
    source = "arch/arm/mm/init.c arm_memblock_init()"
    k.facts.add("kernel.base", base, "pa", "__pa(_stext)", ("symbol:_stext", "PAGE_OFFSET", "PHYS_OFFSET"), source)
    k.facts.add("kernel.size", size, "bytes", "_end - _stext", ("symbol:_stext", "symbol:_end"), source)
    step(k, "kernel image reserved: {base:#010x}-{end:#010x}", base=base, end=base + size - 1)
    arm_initrd_init(k)
    arm_mm_memblock_reserve(k)
    run_hook(k, "reserve")
    early_init_fdt_scan_reserved_mem(k)
    dma_contiguous_reserve(k, k.mm.arm_dma_limit)
    tell_given_twice(k)
    memblock_dump_all(k.mm.memblock)


def find_limits(k: Kernel) -> None:
    """The page frames where memory starts, lowmem ends and memory ends.

    Source: arch/arm/mm/init.c find_limits()
    """
    mb = k.mm.memblock
    k.mm.max_low_pfn = mb.current_limit >> PAGE_SHIFT
    k.mm.min_low_pfn = (memblock_start_of_DRAM(mb) + PAGE_SIZE - 1) >> PAGE_SHIFT
    k.mm.max_pfn = memblock_end_of_DRAM(mb) >> PAGE_SHIFT
    source = "arch/arm/mm/init.c find_limits()"
    k.facts.add("min_low_pfn", k.mm.min_low_pfn, "pfn", "start of memory, rounded up",
                tuple(f.name for f in k.facts if f.name.startswith("bank")) + ("cmdline:mem",), source)
    k.facts.add("max_low_pfn", k.mm.max_low_pfn, "pfn", "memblock's limit",
                ("memblock.current_limit", "arm_lowmem_limit"), source)
    k.facts.add("max_pfn", k.mm.max_pfn, "pfn", "end of memory", ("memory.end",), source)
    step(k, "page frames: min_low_pfn {min_low_pfn:#x}, max_low_pfn {max_low_pfn:#x}, max_pfn {max_pfn:#x}",
         min_low_pfn=k.mm.min_low_pfn, max_low_pfn=k.mm.max_low_pfn, max_pfn=k.mm.max_pfn)


def zone_sizes_init(k: Kernel) -> None:
    """Tell the page allocator where each zone ends (pfn).

    Source: arch/arm/mm/init.c zone_sizes_init()
    """
    ends = {"Normal": k.mm.max_low_pfn}
    if k.build.config.ZONE_DMA:
        ends["DMA"] = min(k.mm.arm_dma_limit >> PAGE_SHIFT, k.mm.max_low_pfn)
    if k.build.config.HIGHMEM:
        ends["HighMem"] = k.mm.max_pfn
    free_area_init(k, ends)


def bootmem_init(k: Kernel) -> None:
    """Set up zones and the memory map.

    Source: arch/arm/mm/init.c bootmem_init()
    """
    k.reached("bootmem_init:entry")
    memblock_allow_resize(k.mm.memblock)
    find_limits(k)
    early_memtest(k, k.mm.min_low_pfn << PAGE_SHIFT, k.mm.max_low_pfn << PAGE_SHIFT)
    if k.build.config.SPARSEMEM:
        sparse_init(k, max_dma_address_pa(k))
    zone_sizes_init(k)


def free_unused_memmap(k: Kernel) -> None:
    """Give back the parts of mem_map that describe holes between banks.

    Source: arch/arm/mm/init.c free_unused_memmap()
    """
    sparse = k.build.config.SPARSEMEM
    block, section = (1 << k.mm.pageblock_order) - 1, PAGES_PER_SECTION - 1
    prev_end = 0
    for start, end in list(for_each_mem_pfn_range(k.mm.memblock)):
        if sparse:
            start = min(start, (prev_end + section) & ~section)
        start &= ~block
        if prev_end and prev_end < start:
            free_memmap(k, prev_end, start)
        prev_end = (end + block) & ~block
    if sparse and prev_end & section:
        free_memmap(k, prev_end, (prev_end + section) & ~section)


def free_memmap(k: Kernel, start_pfn: int, end_pfn: int) -> None:
    """Give back the whole pages of mem_map that describe [start_pfn, end_pfn), a hole.

    Source: arch/arm/mm/init.c free_memmap()
    """
    first, last = (_struct_page_pa(k, pfn - 1) + k.build.sizeof.page for pfn in (start_pfn, end_pfn))
    first = page_align(first)
    last &= ~(PAGE_SIZE - 1)
    if first < last:
        memblock_free(k.mm.memblock, first, last - first, "free_memmap",
                      Purpose("memmap", f"mem_map of the hole {start_pfn:#x}-{end_pfn:#x}"))
        step(k, "mem_map of the hole {start:#x}-{end:#x} (pfn) freed: {first:#010x}-{last:#010x}", start=start_pfn,
             end=end_pfn, first=first, last=last - 1)


def _struct_page_pa(k: Kernel, pfn: int) -> int:
    # where the frame's struct page lies: in the one map, or in that of its section
    if k.mm.section_maps:
        return k.mm.section_maps[pfn // PAGES_PER_SECTION] + pfn % PAGES_PER_SECTION * k.build.sizeof.page
    return (k.mm.pgdat.mem_map_pa or 0) + (pfn - (k.mm.phys_offset >> PAGE_SHIFT)) * k.build.sizeof.page


def free_highpages(k: Kernel) -> None:
    """Free all highmem that is not reserved, page by page.

    Source: arch/arm/mm/init.c free_highpages()
    """
    if not k.build.config.HIGHMEM:
        return
    freed = 0
    for base, end in for_each_free_mem_range(k.mm.memblock):
        first = max((base + PAGE_SIZE - 1) >> PAGE_SHIFT, k.mm.max_low_pfn)
        last = end >> PAGE_SHIFT
        if first < last:
            free_highmem_range(k, first, last)
            freed += last - first
    step(k, "highmem freed: {pages} pages", pages=freed)


def mem_init(k: Kernel) -> None:
    """Hand all free memory to the buddy allocator and say how much there is.

    Source: arch/arm/mm/init.c mem_init()
    """
    free_unused_memmap(k)
    memblock_free_all(k)
    free_highpages(k)
    k.reached("memblock_free_all")
    mem_init_print_info(k)


def tell_layout(k: Kernel) -> None:
    """Log the table of the virtual address space, as a line of bootsim: kernels from 5.6 on keep silent about it.

    Source: arch/arm/mm/init.c mem_init(), of v5.5
    """
    numbers: dict[str, int] = {}
    regions = k.mm.layout.regions(k.build.symbols)
    for region in regions:
        name = region.name.lstrip(".")
        numbers |= {f"{name}_start": region.start_va, f"{name}_end": region.end_va}
    text = "\n".join(["Virtual kernel memory layout:", *(region.line() for region in regions)])
    step(k, text, func="mem_init", **numbers)


def _set_section_perms(k: Kernel, name: str, start: int, end: int, mask: int, prot: int) -> None:
    # set_section_perms() for init_mm: change the given bits of every section of [start, end) (va)
    if not k.cpus[0].cp15.sctlr & CR_XP:
        return
    if start % SECTION_SIZE or end % SECTION_SIZE:
        printk(k, KERN_ERR, "BUG: {name} section {start:x}-{end:x} not aligned to {size:x}", func="set_section_perms",
               name=name, start=start, end=end, size=SECTION_SIZE)
        return
    for va in range(start, end, SECTION_SIZE):
        section_update(k, va, mask, prot, k.mm.init_mm)
    step(k, "{name}: {start:#010x}-{end:#010x}", func="set_section_perms", name=name, start=start, end=end - 1)


def fix_kernmem_perms(k: Kernel) -> None:
    """Make everything of the kernel but its code non-executable.

    Source: arch/arm/mm/init.c fix_kernmem_perms()
    """
    if not k.build.config.STRICT_KERNEL_RWX:
        return
    sym, offset = k.build.symbols, k.build.config.PAGE_OFFSET
    for name, start, end in (("pre-text NX", offset, sym.stext), ("init NX", sym.init_begin, sym.sdata),
                             ("rodata NX", sym.start_rodata_section_aligned, sym.init_begin)):
        _set_section_perms(k, name, start, end, ~PMD_SECT_XN, PMD_SECT_XN)


def mark_rodata_ro(k: Kernel) -> None:
    """Make code and read-only data read-only.

    Source: arch/arm/mm/init.c mark_rodata_ro()
    """
    sym = k.build.symbols
    _set_section_perms(k, "text/rodata RO", sym.stext, sym.init_begin, ~(PMD_SECT_APX | PMD_SECT_AP_WRITE),
                       PMD_SECT_APX | PMD_SECT_AP_WRITE)


def free_initmem(k: Kernel) -> None:
    """Poison the init sections and give their pages away.

    Source: arch/arm/mm/init.c free_initmem()
    """
    fix_kernmem_perms(k)
    sym = k.build.symbols
    start, end = k.virt_to_phys(sym.init_begin), k.virt_to_phys(sym.init_end)
    k.machine.ram.fill32(start, end - start, _POISON)
    free_reserved_area(k, sym.init_begin, sym.init_end, name="unused kernel")
    pages_given(k, "and those of the init sections", ("symbol:__init_begin", "symbol:__init_end"),
                "arch/arm/mm/init.c free_initmem()")


def free_initrd_mem(k: Kernel, start: int, end: int) -> None:
    """Poison and free the initrd's pages (va).

    Source: arch/arm/mm/init.c free_initrd_mem()
    """
    if start == k.initrd_start:
        start &= ~(PAGE_SIZE - 1)
    if end == k.initrd_end:
        end = page_align(end)
    first, last = k.virt_to_phys(start), k.virt_to_phys(end)
    k.machine.ram.fill32(first, last - first, _POISON)
    free_reserved_area(k, start, end, name="initrd")
    pages_given(k, "and those of the initrd", ("phys_initrd_start", "phys_initrd_size"),
                "arch/arm/mm/init.c free_initrd_mem()")
