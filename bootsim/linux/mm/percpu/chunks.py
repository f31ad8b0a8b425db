"""Chunks of per-cpu memory beyond those of the boot: made, given pages, given back (mm/percpu-vm.c, percpu-km.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.include.linux.slab import kzalloc
from bootsim.linux.mm.page_alloc import __GFP_HIGHMEM, __GFP_NORETRY, __GFP_NOWARN, __GFP_ZERO, GFP_KERNEL
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.page_alloc import alloc_pages as get_pages
from bootsim.linux.mm.percpu.area import PCPU_MIN_ALLOC_SIZE, PcpuChunk
from bootsim.linux.mm.vmalloc.alloc import PAGE_KERNEL, __vmalloc, kvfree
from bootsim.linux.mm.vmalloc.area import pcpu_free_vm_areas, pcpu_get_vm_areas
from bootsim.linux.mm.vmalloc.tables import map_kernel_range_noflush, unmap_kernel_range_noflush, vmalloc_to_pfn
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, get_order

if TYPE_CHECKING:
    from bootsim.linux import Kernel

PCPU_EMPTY_POP_PAGES_LOW = 2
PCPU_EMPTY_POP_PAGES_HIGH = 4
_POINTER_BYTES = 4
_GFP_HIGHMEM, _GFP_BALANCE, _GFP_ZERO = __GFP_HIGHMEM, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, __GFP_ZERO


def _longs(bits: int) -> int:
    return -(-bits // 32) * 4


def pcpu_mem_zalloc(k: Kernel, size: int, gfp: int) -> int:
    """Take cleared memory, of kmalloc() up to a page and of vmalloc() beyond; its address (va), or 0.

    Source: mm/percpu.c pcpu_mem_zalloc()
    """
    return (kzalloc(k, size, gfp) or 0) if size <= PAGE_SIZE else __vmalloc(k, size, gfp | _GFP_ZERO)


def pcpu_alloc_chunk(k: Kernel, gfp: int) -> PcpuChunk | None:
    """Make a chunk without addresses and pages: its descriptor and maps; None when there is no memory.

    Source: mm/percpu.c pcpu_alloc_chunk()
    Differs: the maps take their memory, but their contents are not written there.
    """
    sizeof, pages = k.build.sizeof, k.mm.pcpu_unit_size >> PAGE_SHIFT
    bits = k.mm.pcpu_unit_size // PCPU_MIN_ALLOC_SIZE
    parts: list[int] = []
    for size in (sizeof.pcpu_chunk + _longs(pages), _longs(bits), _longs(bits + 1), pages * sizeof.pcpu_block_md):
        parts.append(pcpu_mem_zalloc(k, size, gfp))
        if not parts[-1]:
            _free_parts(k, parts)
            return None
    chunk = PcpuChunk(0, k.mm.pcpu_unit_size, populated=False)
    chunk.parts = parts
    return chunk


def _free_parts(k: Kernel, parts: list[int]) -> None:
    # pcpu_free_chunk(): the descriptor last
    for va in reversed(parts):
        kvfree(k, va)


def pcpu_create_chunk(k: Kernel, gfp: int) -> PcpuChunk | None:
    """Make a chunk: with SMP addresses for every unit, and no pages yet; else one block of pages. None without memory.

    Source: mm/percpu-vm.c pcpu_create_chunk(), mm/percpu-km.c pcpu_create_chunk()
    """
    chunk = pcpu_alloc_chunk(k, gfp)
    if chunk is None:
        return None
    pages = k.mm.pcpu_unit_size >> PAGE_SHIFT
    if k.build.config.SMP:
        vms = pcpu_get_vm_areas(k, [0], [k.mm.pcpu_unit_size * k.num_possible_cpus], PAGE_SIZE)
        if vms is not None:
            chunk.vms, chunk.base_addr = vms, vms[0].addr
            return chunk
    else:
        chunk.pfn = get_pages(k, gfp, get_order(pages << PAGE_SHIFT))
        if chunk.pfn is not None:
            chunk.base_addr = k.phys_to_virt(chunk.pfn << PAGE_SHIFT)
            pcpu_chunk_populated(chunk, 0, pages)
            return chunk
    _free_parts(k, chunk.parts)
    return None


def pcpu_destroy_chunk(k: Kernel, chunk: PcpuChunk) -> None:
    """Give back a chunk's addresses, or its block of pages, and the chunk.

    Source: mm/percpu-vm.c pcpu_destroy_chunk(), mm/percpu-km.c pcpu_destroy_chunk()
    """
    if chunk.vms:
        pcpu_free_vm_areas(k, chunk.vms)
    if chunk.pfn is not None:
        free_pages(k, chunk.pfn, get_order(chunk.nr_pages << PAGE_SHIFT))
    _free_parts(k, chunk.parts)


def pcpu_chunk_populated(chunk: PcpuChunk, start: int, end: int) -> None:
    """Note that the pages [start, end) of each unit are there.

    Source: mm/percpu.c pcpu_chunk_populated()
    """
    chunk.populated[start:end] = b"\1" * (end - start)
    chunk.nr_empty_pop_pages += end - start


def unpopulated_regions(chunk: PcpuChunk, start: int, end: int) -> list[tuple[int, int]]:
    """The runs [start, end) of pages of a unit that are not there, in their order.

    Source: include/linux/bitmap.h bitmap_for_each_clear_region()
    """
    return _regions(chunk, 0, start, end)


def populated_regions(chunk: PcpuChunk) -> list[tuple[int, int]]:
    """The runs [start, end) of pages of a unit that are there, in their order.

    Source: include/linux/bitmap.h bitmap_for_each_set_region()
    """
    return _regions(chunk, 1, 0, chunk.nr_pages)


def _regions(chunk: PcpuChunk, there: int, start: int, end: int) -> list[tuple[int, int]]:
    regions = []
    first = chunk.populated.find(there, start, end)
    while first >= 0:
        last = chunk.populated.find(1 - there, first, end)
        last = end if last < 0 else last
        regions.append((first, last))
        first = chunk.populated.find(there, last, end)
    return regions


def pcpu_populate_chunk(k: Kernel, chunk: PcpuChunk, start: int, end: int, gfp: int) -> bool:
    """Give every unit its pages [start, end), and map them; whether there was memory for all.

    Source: mm/percpu-vm.c pcpu_populate_chunk()
    """
    pcpu = k.mm.pcpu
    if not pcpu.pages_va:
        pcpu.pages_va = pcpu_mem_zalloc(k, k.num_possible_cpus * chunk.nr_pages * _POINTER_BYTES, GFP_KERNEL)
    wanted = (end - start) * k.num_possible_cpus
    pages: list[int] = []
    while pcpu.pages_va and len(pages) < wanted:
        pfn = get_pages(k, gfp | _GFP_HIGHMEM, 0)
        if pfn is None:
            break
        pages.append(pfn)
    mapped = 0
    if len(pages) == wanted:
        for cpu in range(k.num_possible_cpus):
            va = _unit_address(k, chunk, cpu, start)
            own = pages[cpu * (end - start):(cpu + 1) * (end - start)]
            if map_kernel_range_noflush(k, va, (end - start) << PAGE_SHIFT, PAGE_KERNEL(k), own) < 0:
                break
            mapped += 1
        else:
            return True
    for cpu in range(mapped):
        unmap_kernel_range_noflush(k, _unit_address(k, chunk, cpu, start), (end - start) << PAGE_SHIFT)
    if mapped:
        last = _unit_address(k, chunk, k.num_possible_cpus - 1, end)
        flush_tlb_kernel_range(k, _unit_address(k, chunk, 0, start), last)
    # those of the unit that could not be filled first, backwards
    full = len(pages) // (end - start) * (end - start)
    for pfn in [*reversed(pages[full:]), *pages[:full]]:
        free_pages(k, pfn, 0)
    return False


def _unit_address(k: Kernel, chunk: PcpuChunk, cpu: int, page: int) -> int:
    # pcpu_chunk_addr()
    return chunk.base_addr + cpu * k.mm.pcpu_unit_size + (page << PAGE_SHIFT)


def pcpu_depopulate_chunk(k: Kernel, chunk: PcpuChunk) -> None:
    """Unmap all pages of a chunk's units and free them.

    Source: mm/percpu-vm.c pcpu_depopulate_chunk()
    """
    if not chunk.vms:
        return
    for start, end in populated_regions(chunk):
        pages = []
        for cpu in range(k.num_possible_cpus):
            pages += [vmalloc_to_pfn(k, _unit_address(k, chunk, cpu, page)) for page in range(start, end)]
            unmap_kernel_range_noflush(k, _unit_address(k, chunk, cpu, start), (end - start) << PAGE_SHIFT)
        for pfn in pages:
            if pfn is not None:
                free_pages(k, pfn, 0)
        chunk.populated[start:end] = bytes(end - start)
        chunk.nr_empty_pop_pages -= end - start


def pcpu_balance_workfn(k: Kernel) -> None:
    """Give back chunks of which nothing is in use but one, and keep a few empty pages ready for atomic allocations.

    Source: mm/percpu.c pcpu_balance_workfn()
    Differs: it runs when called; the kernel's workqueue calls it soon after it is needed. The second kind of chunks,
        which CONFIG_MEMCG_KMEM has for memory that is accounted to a group, is not modelled.
    """
    pcpu = k.mm.pcpu
    for chunk in reversed(pcpu.slots[pcpu.nr_slots - 1][1:]):
        pcpu.slots[pcpu.nr_slots - 1].remove(chunk)
        pcpu_depopulate_chunk(k, chunk)
        pcpu_destroy_chunk(k, chunk)
    while True:
        missing = min(max(PCPU_EMPTY_POP_PAGES_HIGH - pcpu.nr_empty_pop_pages, 0), PCPU_EMPTY_POP_PAGES_HIGH)
        if pcpu.atomic_alloc_failed:
            missing, pcpu.atomic_alloc_failed = PCPU_EMPTY_POP_PAGES_HIGH, False
        for slot in range(pcpu.size_to_slot(PAGE_SIZE), pcpu.nr_slots):
            found = next((c for c in pcpu.slots[slot] if 0 in c.populated), None) if missing else None
            for start, end in [] if found is None else unpopulated_regions(found, 0, found.nr_pages):
                end = min(end, start + missing)
                if found is None or not pcpu_populate_chunk(k, found, start, end, _GFP_BALANCE):
                    missing = 0
                else:
                    missing -= end - start
                    pcpu_chunk_populated(found, start, end)
                if not missing:
                    break
        new = pcpu_create_chunk(k, _GFP_BALANCE) if missing else None
        if new is None:
            return
        pcpu.relocate(new, -1)
