"""vm_map_ram(): short-lived mappings out of a processor's own blocks of addresses (mm/vmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.include.linux.slab import kfree, kmalloc
from bootsim.linux.kernel.panic import warn
from bootsim.linux.mm.page_alloc import GFP_KERNEL, GFP_RECLAIM_MASK
from bootsim.linux.mm.vmalloc.alloc import PAGE_KERNEL, VmallocError
from bootsim.linux.mm.vmalloc.area import (
    alloc_vmap_area,
    free_unmap_vmap_area,
    free_vmap_area_noflush,
    purge_vmap_areas,
    vmap_state,
)
from bootsim.linux.mm.vmalloc.tables import frame, map_kernel_range, unmap_kernel_range_noflush
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, get_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel
    from bootsim.linux.include.linux.mm_types import Page

VMALLOC_PAGES = 128 << 20 >> PAGE_SHIFT
VMAP_MAX_ALLOC = 32
VMAP_BBMAP_BITS_MAX = 1024
VMAP_BBMAP_BITS_MIN = VMAP_MAX_ALLOC * 2
SIZEOF_VMAP_BLOCK = 44  # struct vmap_block, but for its spinlock, which is a word with SMP


class VmapBlock:
    """struct vmap_block: addresses from `start` (va) on, of which `free` pages at the end were never used.

    `dirty` pages were used and are not any more; `cpu` has it on its queue. `va` is where the struct lies. The
    dirty pages are in [dirty_min, dirty_max) of the block.
    """

    def __init__(self, start: int, free: int, cpu: int, va: int) -> None:
        self.start = start
        self.free = free
        self.dirty = 0
        self.dirty_min, self.dirty_max = VMAP_BBMAP_BITS_MAX, 0
        self.cpu = cpu
        self.va = va


def block_pages(k: Kernel) -> int:
    """How many pages a block has: 64 to 1024, fewer with many processors.

    Source: mm/vmalloc.c VMAP_BBMAP_BITS
    """
    cpus = k.build.config.NR_CPUS if k.build.config.SMP else 1
    wanted = VMALLOC_PAGES // (1 << (cpus - 1).bit_length()) // 16
    return min(VMAP_BBMAP_BITS_MAX, max(VMAP_BBMAP_BITS_MIN, wanted))


def new_vmap_block(k: Kernel, order: int, gfp: int) -> int:
    """Take a block, and its first 2**order pages; their address (va), or 0.

    Source: mm/vmalloc.c new_vmap_block()
    Differs: the array that finds a block by its address takes no memory.
    """
    vmap, cpu, pages = vmap_state(k), k.mm.pgdat.cpu, block_pages(k)
    va = kmalloc(k, SIZEOF_VMAP_BLOCK + 4 * k.build.config.SMP, gfp & GFP_RECLAIM_MASK)
    if not va:
        return 0
    size = pages << PAGE_SHIFT
    start = alloc_vmap_area(k, size, size, k.mm.layout.VMALLOC_START, VMALLOC_END, gfp)
    if not start:
        kfree(k, va)
        return 0
    block = VmapBlock(start, pages - (1 << order), cpu, va)
    vmap.blocks[start] = block
    vmap.queues.setdefault(cpu, []).append(block)
    return start


def free_vmap_block(k: Kernel, block: VmapBlock) -> None:
    """Give a block's addresses back.

    Source: mm/vmalloc.c free_vmap_block()
    Differs: the struct is freed at once, where the kernel waits for RCU.
    """
    del vmap_state(k).blocks[block.start]
    free_vmap_area_noflush(k, block.start)
    kfree(k, block.va)


def purge_fragmented_blocks_allcpus(k: Kernel) -> None:
    """Give back the blocks of which nothing is in use, but not all was.

    Source: mm/vmalloc.c purge_fragmented_blocks_allcpus()
    """
    pages = block_pages(k)
    for cpu in range(k.num_possible_cpus):
        queue = vmap_state(k).queues.get(cpu, [])
        for block in [b for b in queue if b.free + b.dirty == pages and b.dirty != pages]:
            queue.remove(block)
            free_vmap_block(k, block)


def vb_alloc(k: Kernel, count: int, gfp: int) -> int:
    """Take addresses for `count` pages, rounded up to a power of two, from this processor's blocks; or 0.

    Source: mm/vmalloc.c vb_alloc()
    """
    if count == 0:
        warn(k, "mm/vmalloc.c:1654", func="vb_alloc")
        return 0
    order, pages = get_order(count << PAGE_SHIFT), block_pages(k)
    queue = vmap_state(k).queues.get(k.mm.pgdat.cpu, [])
    for block in queue:
        if block.free >= 1 << order:
            addr = block.start + (pages - block.free << PAGE_SHIFT)
            block.free -= 1 << order
            if not block.free:
                queue.remove(block)
            return addr
    return new_vmap_block(k, order, gfp)


def vb_free(k: Kernel, addr: int, count: int) -> None:
    """Unmap `count` pages at `addr` (va) of a block; its addresses are used again when all of them have been.

    Source: mm/vmalloc.c vb_free()
    """
    pages = block_pages(k)
    block = vmap_state(k).blocks.get(addr & ~((pages << PAGE_SHIFT) - 1))
    if block is None:
        raise VmallocError(f"vm_unmap_ram({addr:#x}): no block of vm_map_ram() lies there")
    unmap_kernel_range_noflush(k, addr, count << PAGE_SHIFT)
    if k.mm.debug_pagealloc_enabled:
        flush_tlb_kernel_range(k, addr, addr + (count << PAGE_SHIFT))
    at = addr - block.start >> PAGE_SHIFT
    block.dirty_min = min(block.dirty_min, at)
    block.dirty_max = max(block.dirty_max, at + (1 << get_order(count << PAGE_SHIFT)))
    block.dirty += 1 << get_order(count << PAGE_SHIFT)
    if block.dirty == pages:
        free_vmap_block(k, block)


def vm_map_ram(k: Kernel, pages: Sequence[Page | int], count: int) -> int:
    """Map `count` pages one behind the other for a short time; their address (va), or 0.

    Raises VmallocError for fewer pages than `count`.
    Source: mm/vmalloc.c vm_map_ram()
    """
    frames = [frame(page) for page in pages]
    if count > len(frames):
        raise VmallocError(f"vm_map_ram() of {count} pages: there are {len(frames)}")
    if count <= VMAP_MAX_ALLOC:
        addr = vb_alloc(k, count, GFP_KERNEL)
    else:
        addr = alloc_vmap_area(k, count << PAGE_SHIFT, PAGE_SIZE, k.mm.layout.VMALLOC_START, VMALLOC_END, GFP_KERNEL)
    if addr and map_kernel_range(k, addr, count << PAGE_SHIFT, PAGE_KERNEL(k), frames) < 0:
        vm_unmap_ram(k, addr, count)
        return 0
    return addr


def vm_unmap_ram(k: Kernel, addr: int, count: int) -> None:
    """Unmap what vm_map_ram() has mapped: the same address and count.

    Raises VmallocError for an address that it did not give.
    Source: mm/vmalloc.c vm_unmap_ram()
    """
    found = vmap_state(k).areas.find(addr)
    if found is None or addr & (PAGE_SIZE - 1) or count < 1:
        raise VmallocError(f"vm_unmap_ram({addr:#x}, {count}): nothing of vm_map_ram() lies there")
    if count <= VMAP_MAX_ALLOC:
        vb_free(k, addr, count)
    else:
        free_unmap_vmap_area(k, *found)


def vm_unmap_aliases(k: Kernel) -> None:
    """Make free all addresses that wait to be.

    Source: mm/vmalloc.c vm_unmap_aliases()
    """
    dirty = [block for queue in vmap_state(k).queues.values() for block in queue if block.dirty]
    start = min((block.start + (block.dirty_min << PAGE_SHIFT) for block in dirty), default=1 << 32)
    end = max((block.start + (block.dirty_max << PAGE_SHIFT) for block in dirty), default=0)
    purge_fragmented_blocks_allcpus(k)
    if not purge_vmap_areas(k, (start, end)) and dirty:
        flush_tlb_kernel_range(k, start, end)
