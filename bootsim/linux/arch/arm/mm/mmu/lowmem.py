"""How much memory is lowmem, and its linear mapping.

Lowmem is what the linear mapping can hold below the vmalloc area, or all there is:

    PHYS_OFFSET                         vmalloc_limit
    |----------------- RAM ------------------|------- RAM ------|
    |<-------------- lowmem ---------------->|<--- highmem ---->|
                                  arm_lowmem_limit, high_memory = its virtual address
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootsim.causes import owner, unheeded
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cachetype import cache_is_vipt_aliasing
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_RW, MT_MEMORY_RWX, MapDesc
from bootsim.linux.arch.arm.asm.memory import SZ_16M, SZ_32M, VMALLOC_END
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SIZE, SECTION_SIZE
from bootsim.linux.arch.arm.mm.mmu.create_mapping import clear_pmds, create_mapping
from bootsim.linux.kernel.printk import KERN_NOTICE, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, memparse, value_of
from bootsim.linux.mm.memblock import (
    MEMBLOCK_NOMAP,
    for_each_mem_range,
    memblock_end_of_DRAM,
    memblock_mark_nomap,
    memblock_remove,
    memblock_reserve,
    memblock_set_current_limit,
)
from bootsim.owners import Purpose, meeting
from bootsim.page import PAGE_SHIFT
from bootsim.places import memory_place

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SWAPPER_PG_DIR_SIZE = 16384
_ABOVE_LOWMEM = Purpose("bank", "memory above lowmem, which needs CONFIG_HIGHMEM")
_BANK_FACT = re.compile(r"(bank\d+|mem_option)\.(base|size)|machine\.taken\d+")


def early_vmalloc(k: Kernel, arg: str | None) -> int:
    """vmalloc=SIZE: how many bytes below VMALLOC_END lowmem must leave free. Returns 0.

    Source: arch/arm/mm/mmu.c early_vmalloc()
    """
    reserve = memparse(value_of("vmalloc", arg))[0] & 0xFFFFFFFF
    most = VMALLOC_END - (k.build.config.PAGE_OFFSET + SZ_32M)
    if reserve < SZ_16M:
        reserve = SZ_16M
        printk(k, KERN_WARNING, "vmalloc area too small, limiting to {mib}MB", mib=reserve >> 20)
        step(k, "cause: cmdline: vmalloc={arg}: at least 16 MiB", arg=arg)
    if reserve > most:
        reserve = most
        printk(k, KERN_WARNING, "vmalloc area is too big, limiting to {mib}MB", mib=reserve >> 20)
        step(k, "cause: cmdline: vmalloc={arg}: lowmem needs 32 MiB from CONFIG_PAGE_OFFSET={offset:#x} on", arg=arg,
             offset=k.build.config.PAGE_OFFSET)
    k.mm.vmalloc_min = VMALLOC_END - reserve
    k.facts.add("vmalloc_min", k.mm.vmalloc_min, "va", "VMALLOC_END - vmalloc=, within 16 MiB and PAGE_OFFSET + 32 MiB",
                ("VMALLOC_END", "cmdline:vmalloc", "PAGE_OFFSET"), "arch/arm/mm/mmu.c early_vmalloc()")
    step(k, "vmalloc= leaves {bytes:#x} bytes: lowmem ends at {vmalloc_min:#010x} at most", bytes=reserve,
         vmalloc_min=k.mm.vmalloc_min)
    return 0


EARLY_PARAMS = (EarlyParam("vmalloc", early_vmalloc),)


def adjust_lowmem_bounds(k: Kernel) -> None:
    """Decide where lowmem ends, from the memory there is now; without HIGHMEM, drop what lies above.

    Sets k.mm.arm_lowmem_limit (pa), k.mm.high_memory (va) and memblock's limit, which is kept to whole 2 MiB that get
    mapped before memory is first taken.
    Source: arch/arm/mm/mmu.c adjust_lowmem_bounds()
    """
    mb = k.mm.memblock
    vmalloc_limit = k.mm.vmalloc_min - k.build.config.PAGE_OFFSET + k.mm.phys_offset
    first = next(for_each_mem_range(mb), None)
    if first is not None and first[0] % PMD_SIZE:
        size = -first[0] % PMD_SIZE
        border = _border(k, first[0])
        ret = memblock_mark_nomap(mb, first[0], size, Purpose("bank", "memory below the first 2 MiB boundary"))
        if not unheeded(k, ret, f"marking {first[0]:#010x}-{first[0] + size - 1:#010x} no-map"):
            step(k, "cause: {border} {base:#010x}, so that the first mapped memory starts at no multiple of 2 MiB: "
                 "{size:#x} bytes marked no-map", border=border, base=first[0], size=size)
    k.mm.arm_lowmem_limit, boundary, why = _lowmem_limit(k, vmalloc_limit)
    k.mm.layout.high_memory = k.phys_to_virt(k.mm.arm_lowmem_limit - 1) + 1
    limit = (boundary or k.mm.arm_lowmem_limit) // PMD_SIZE * PMD_SIZE
    aliases = cache_is_vipt_aliasing(k)
    if (not k.build.config.HIGHMEM or aliases) and memblock_end_of_DRAM(mb) > k.mm.arm_lowmem_limit:
        end = memblock_end_of_DRAM(mb)
        printk(k, KERN_NOTICE, "Ignoring RAM at {start:#010x}-{end:#010x}", start=limit, end=end)
        printk(k, KERN_NOTICE, "Consider using a HIGHMEM enabled kernel.")
        step(k, "cause: {why}", func="adjust_lowmem_bounds", why=_why_ignored(k, boundary, end, vmalloc_limit))
        ret = memblock_remove(mb, limit, end - limit, "adjust_lowmem_bounds", _ABOVE_LOWMEM)
        unheeded(k, ret, f"taking {limit:#010x}-{end - 1:#010x} out of memory")
    memblock_set_current_limit(mb, limit)
    _record_lowmem(k, vmalloc_limit, limit, why)


# Why a kernel without HIGHMEM ignores memory from a limit to `end`: what lies behind lowmem, and, where the limit is
# below that, `boundary`, the first end or start of mapped memory that is no multiple of 2 MiB.
def _why_ignored(k: Kernel, boundary: int, end: int, vmalloc_limit: int) -> str:
    lowmem = k.mm.arm_lowmem_limit
    reason = "CONFIG_HIGHMEM is not set"
    if k.build.config.HIGHMEM:
        reason = f"the data cache of {k.machine.cpu.name} has aliases, with which highmem cannot be used"
    mapped = [base for base, stop in for_each_mem_range(k.mm.memblock) if stop > lowmem]
    if mapped:
        places = [owner(k, h.purpose) for h in meeting(k.owners.banks(), max(lowmem, mapped[0]), end)]
        given = {word.partition("=")[0] for word in k.boot_command_line.split()}
        asked = "cmdline: vmalloc=" if "vmalloc" in given else "unless vmalloc= says otherwise"
        why = (f"{', '.join(dict.fromkeys(places))} goes on beyond {vmalloc_limit:#010x}, where lowmem ends as "
               f"the vmalloc area needs {VMALLOC_END - k.mm.vmalloc_min >> 20} MiB ({asked}), and {reason}")
    else:
        named = [f"{owner(k, h.purpose)} at {h.span()}" for h in meeting(k.owners.no_map(), lowmem, end)]
        why = (f"{' and '.join(dict.fromkeys(named))} is no-map at the end of memory, and without CONFIG_HIGHMEM the "
               f"kernel drops what lies behind the last mapped byte; lowmem could go up to {vmalloc_limit:#010x}")
    if 0 < boundary < lowmem:
        why += (f"; it drops all from {boundary // PMD_SIZE * PMD_SIZE:#010x} on, as {_border(k, boundary)} "
                f"{boundary:#010x}, no multiple of 2 MiB")
    return why


# What put a border of mapped memory at `pa`: a no-map region, or a bank.
def _border(k: Kernel, pa: int) -> str:
    for h in (*k.owners.no_map(), *k.owners.banks(), *k.owners.removed()):
        if pa in (h.base, h.end):
            return f"{owner(k, h.purpose)} {'begins' if pa == h.base else 'ends'} at"
    return "memory ends at"


# (arm_lowmem_limit, first address that is no multiple of 2 MiB or 0, facts that decided the former)
def _lowmem_limit(k: Kernel, vmalloc_limit: int) -> tuple[int, int, tuple[str, ...]]:
    lowmem_limit = memblock_limit = 0
    banks = tuple(fact.name for fact in k.facts if _BANK_FACT.fullmatch(fact.name))
    why = banks
    for start, end in for_each_mem_range(k.mm.memblock):
        if start >= vmalloc_limit:
            continue
        if end > lowmem_limit:
            lowmem_limit = min(vmalloc_limit, end)
            why = banks if end <= vmalloc_limit else ("vmalloc_limit",)
        if not memblock_limit:
            if start % PMD_SIZE:
                memblock_limit = start
            elif end % PMD_SIZE:
                memblock_limit = lowmem_limit
    return lowmem_limit, memblock_limit, why


def _record_lowmem(k: Kernel, vmalloc_limit: int, memblock_limit: int, why: tuple[str, ...]) -> None:
    source, add = "arch/arm/mm/mmu.c adjust_lowmem_bounds()", k.facts.add
    memory = (*(f.name for f in k.facts if _BANK_FACT.fullmatch(f.name)), "dtb:/reserved-memory:*")
    add("vmalloc_limit", vmalloc_limit, "pa", "vmalloc_min - PAGE_OFFSET + PHYS_OFFSET",
        ("vmalloc_min", "PAGE_OFFSET", "PHYS_OFFSET"), source)
    add("arm_lowmem_limit", k.mm.arm_lowmem_limit, "pa",
        "vmalloc_limit, as memory goes beyond it" if why == ("vmalloc_limit",) else "end of memory",
        ("vmalloc_limit", *memory), source)
    add("memory.end", memblock_end_of_DRAM(k.mm.memblock), "pa", "end of the last bank" if k.build.config.HIGHMEM else
        "end of the last bank; without HIGHMEM at most arm_lowmem_limit",
        (*memory, "arm_lowmem_limit", "CONFIG_HIGHMEM"), source)
    add("memory.total_size", k.mm.memblock.memory.total_size, "bytes", "sum of the banks", (*memory, "memory.end"),
        source)
    add("high_memory", k.mm.high_memory, "va", "arm_lowmem_limit in the linear mapping",
        ("arm_lowmem_limit", "PAGE_OFFSET", "PHYS_OFFSET"), source)
    add("VMALLOC_START", k.mm.layout.VMALLOC_START, "va", "high_memory + 8 MiB, rounded down to 8 MiB",
        ("high_memory",), "arch/arm/include/asm/pgtable.h")
    add("memblock.current_limit", memblock_limit, "pa",
        "arm_lowmem_limit, or the first bank boundary that is no multiple of 2 MiB, rounded down to 2 MiB",
        ("arm_lowmem_limit", *memory), source)
    step(k, "lowmem ends at {limit:#010x} = {high_memory:#010x} ({because}); memblock gives memory below "
         "{current:#010x}",
         func="adjust_lowmem_bounds", limit=k.mm.arm_lowmem_limit, high_memory=k.mm.high_memory,
         because=f"the vmalloc area needs {VMALLOC_END - k.mm.vmalloc_min >> 20} MiB"
         if why == ("vmalloc_limit",) else "all memory is lowmem", current=memblock_limit)


def arm_mm_memblock_reserve(k: Kernel) -> None:
    """Reserve swapper_pg_dir.

    Source: arch/arm/mm/mmu.c arm_mm_memblock_reserve()
    """
    # the compiler makes the call a jump, so the caller that memblock=debug shows is the function before
    ret = memblock_reserve(k.mm.memblock, k.mm.init_mm.pgd_pa, SWAPPER_PG_DIR_SIZE, "arm_memblock_init",
                           Purpose("tables", "first page table"))
    unheeded(k, ret, "reserving the first page table")
    step(k, "page table reserved: {base:#010x}-{last:#010x}", base=k.mm.init_mm.pgd_pa,
         last=k.mm.init_mm.pgd_pa + SWAPPER_PG_DIR_SIZE - 1)


def prepare_page_table(k: Kernel) -> None:
    """Clear the first level below the kernel, the identity section with it, and from the end of the first bank upwards.

    Source: arch/arm/mm/mmu.c prepare_page_table()
    """
    layout, mm, first = k.mm.layout, k.mm.init_mm, k.mm.memblock.memory.regions[0]
    gone = clear_pmds(k, mm, 0, layout.MODULES_VADDR) + clear_pmds(k, mm, layout.MODULES_VADDR, layout.PAGE_OFFSET)
    step(k, "{words} first-level words below PAGE_OFFSET {page_offset:#010x} cleared, the identity mapping among them",
         words=gone, page_offset=layout.PAGE_OFFSET)
    start, end = k.phys_to_virt(min(first.base + first.size, k.mm.arm_lowmem_limit)), layout.VMALLOC_START
    gone = clear_pmds(k, mm, start, end)
    step(k, "{words} first-level words of {start:#010x}-{end:#010x} cleared", words=gone, start=start, end=end)
    _expect_kernel_mapped(k, k.build.symbols.init_end, "prepare_page_table")


# prepare_page_table() must leave the sections it runs from; what it cleared of data lives on in the TLB until
# map_lowmem() has mapped it again. `end` (va) is how far the kernel must be mapped after `func`.
def _expect_kernel_mapped(k: Kernel, end: int, func: str) -> None:
    symbols, first = k.build.symbols, k.mm.memblock.memory.regions[0]
    va = next((va for va in range(symbols.stext, end, SECTION_SIZE) if not k.translate(va)), None)
    if va is None:
        return
    pa, bank_end = k.virt_to_phys(va), first.base + first.size
    if not first.size:
        why = f"memory is empty ({memory_place(k)})"
    elif pa >= bank_end and func == "prepare_page_table":
        why = (f"the first region of memory, {first.base:#010x}-{bank_end - 1:#010x}"
               f"{', no-map' if first.flags & MEMBLOCK_NOMAP else ''}, ends before the kernel does "
               f"({k.virt_to_phys(symbols.end):#010x}), as {_border(k, bank_end)} {bank_end:#010x}")
    else:
        others = [f"{owner(k, h.purpose)} at {h.span()} is no-map" for h in meeting(k.owners.no_map(), pa, pa + 1)]
        why = f"{pa:#010x} lies outside mapped memory: {' and '.join(others) or memory_place(k)}"
    raise KernelPanic(None, f"{func}() leaves the kernel at {va:#010x} without a mapping: {why}")


def map_lowmem(k: Kernel) -> None:
    """Map every bank of lowmem in the linear mapping; only the sections of the kernel's code are executable.

    Source: arch/arm/mm/mmu.c map_lowmem()
    """
    symbols = k.build.symbols
    x_start = k.virt_to_phys(symbols.stext) // SECTION_SIZE * SECTION_SIZE
    x_end = -(-k.virt_to_phys(symbols.init_end) // SECTION_SIZE) * SECTION_SIZE
    for start, bank_end in for_each_mem_range(k.mm.memblock):
        end = min(bank_end, k.mm.arm_lowmem_limit)
        if start >= end:
            break
        if end < x_start:
            _map(k, start, end, MT_MEMORY_RWX)
        elif start >= x_end:
            _map(k, start, end, MT_MEMORY_RW)
        else:
            if start < x_start:
                _map(k, start, x_start, MT_MEMORY_RW)
            _map(k, x_start, x_end, MT_MEMORY_RWX)
            if x_end < end:
                _map(k, x_end, end, MT_MEMORY_RW)
    _expect_kernel_mapped(k, symbols.end, "map_lowmem")


def _map(k: Kernel, start: int, end: int, mtype: int) -> None:
    create_mapping(k, MapDesc(k.phys_to_virt(start), start >> PAGE_SHIFT, end - start, mtype), "lowmem")
