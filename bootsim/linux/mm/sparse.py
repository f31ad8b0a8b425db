"""SPARSEMEM: a memory map of its own for each 256 MiB section that holds memory (mm/sparse.c).

section    0x6           0x7           0x8
memory     [#############|######]      |   #####]
mem_map    [ 2 MiB       ][ 2 MiB     ][ 2 MiB      ]   from one buffer, in section order
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.memblock import for_each_mem_pfn_range, memblock_alloc_node, memblock_alloc_try_nid, memblock_free
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SECTION_SIZE_BITS = 28
PFN_SECTION_SHIFT = SECTION_SIZE_BITS - PAGE_SHIFT
PAGES_PER_SECTION = 1 << PFN_SECTION_SHIFT
NR_PAGEBLOCK_BITS = 4


def section_map_size(k: Kernel) -> int:
    """Bytes of one section's memory map.

    Source: mm/sparse.c section_map_size()
    """
    return page_align(k.build.sizeof.page * PAGES_PER_SECTION)


def mem_section_usage_size(k: Kernel) -> int:
    """Bytes of one section's pageblock flags.

    Source: mm/sparse.c mem_section_usage_size()
    """
    bits = (1 << (PFN_SECTION_SHIFT - k.mm.pageblock_order)) * NR_PAGEBLOCK_BITS
    return (k.build.sizeof.mem_section_usage or 0) + -(-bits // 32) * 4


def sparse_init(k: Kernel, max_dma_pa: int) -> None:
    """Find the sections that hold memory and give each a memory map. Sets k.mm.section_maps: {section: pa of its map}.

    `max_dma_pa` is __pa(MAX_DMA_ADDRESS), above which the maps are wanted.
    Source: mm/sparse.c sparse_init(), sparse_init_nid()
    """
    present = sorted({pfn >> PFN_SECTION_SHIFT for start, end in for_each_mem_pfn_range(k.mm.memblock)
                      for pfn in range(start & ~(PAGES_PER_SECTION - 1), end, PAGES_PER_SECTION)})
    usage_bytes, map_bytes = mem_section_usage_size(k), section_map_size(k)
    usage = memblock_alloc_node(k.mm.memblock, usage_bytes * len(present), k.mm.smp_cache_bytes, 0, "sparse_init_nid",
                                Purpose("memmap", "pageblock flags of all sections"))
    if isinstance(usage, Err):
        raise KernelPanic(None, f"pageblock flags of the sections: {cause(k, usage.why)}")
    size = map_bytes * len(present)
    maps = Purpose("memmap", "memory maps of the sections")
    buffer = memblock_alloc_try_nid(k.mm.memblock, size, map_bytes, max_dma_pa, nid=0, caller="sparse_init_nid",
                                    purpose=maps, func="memblock_alloc_exact_nid_raw")
    end = buffer + size
    for section in present:
        pa = -(-buffer // map_bytes) * map_bytes
        if buffer and pa + map_bytes <= end:
            if pa > buffer:
                memblock_free(k.mm.memblock, buffer, pa - buffer, "sparse_buffer_alloc", maps)
            buffer = pa + map_bytes
        else:
            pa = memblock_alloc_try_nid(k.mm.memblock, map_bytes, map_bytes, max_dma_pa, nid=0,
                                        caller="__populate_section_memmap", func="memblock_alloc_try_nid_raw",
                                        purpose=Purpose("memmap", f"memory map of section {section:#x}"))
            if isinstance(pa, Err):
                raise KernelPanic(f"__populate_section_memmap: Failed to allocate {map_bytes} bytes "
                                  f"align={PAGE_SIZE:#x} nid=0 from={max_dma_pa:#010x}",
                                  cause(k, pa.why))
        k.mm.section_maps[section] = pa
        step(k, "section {section:#x}: {start:#010x}-{last:#010x}, memory map at {pa:#010x}", section=section,
             start=section << SECTION_SIZE_BITS, last=((section + 1) << SECTION_SIZE_BITS) - 1, pa=pa)
    if buffer and buffer < end:
        memblock_free(k.mm.memblock, buffer, end - buffer, "sparse_init_nid", maps)
    k.facts.add("mem_map.size", size, "bytes", "sections that hold memory, times pages a section, times struct page",
                ("sizeof:struct page", "CONFIG_SPARSEMEM", "max_pfn", "min_low_pfn", "memory.total_size"),
                "mm/sparse.c sparse_init_nid()")
