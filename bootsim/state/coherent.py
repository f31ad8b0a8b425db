"""How large coherent_pool= may be: what atomic_pool_init() would find.

An initcall takes the pool, after the replay's end: from the default CMA area, where there is one, else from the page
allocator. In highmem, and without CMA, it is mapped into the vmalloc area besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel



def largest_coherent_pool(k: Kernel, zones: list[dict[str, Any]]) -> int:
    """The largest coherent_pool= (bytes) that the kernel can give when its first initcalls run; `zones` are its own.

    Source: arch/arm/mm/dma-mapping.c atomic_pool_init(), __alloc_from_contiguous(), __alloc_remap_buffer()
    """
    area = k.mm.dma_contiguous_default_area
    if area is None:
        return min(_largest_block(zones), _vmalloc_room(k))
    # the bitmap is searched from a multiple of the pool's order, which CONFIG_CMA_ALIGNMENT bounds
    unit = 1 << k.build.config.CMA_ALIGNMENT
    first = -(-area.base_pfn // unit) * unit
    size = max(0, area.base_pfn + area.count - first) * PAGE_SIZE
    return size if area.base_pfn < k.mm.max_low_pfn else min(size, _vmalloc_room(k))


# GFP_DMA takes ZONE_DMA where there is one, else ZONE_NORMAL.
def _largest_block(zones: list[dict[str, Any]]) -> int:
    zone = next((zone for zone in zones if zone["name"] in ("DMA", "Normal") and zone["spanned"]), None)
    if zone is None:
        return 0
    orders = [order for order, area in enumerate(zone["free_area"]) if any(area["lists"])]
    return PAGE_SIZE << max(orders) if orders else 0


# The largest hole of the vmalloc area that the static mappings leave; each mapping has a guard page behind it.
def _vmalloc_room(k: Kernel) -> int:
    start, room = k.mm.layout.VMALLOC_START, 0
    taken = sorted((vm.addr, vm.addr + vm.size) for vm in k.mm.vmlist)
    for low, high in [*taken, (VMALLOC_END, VMALLOC_END)]:
        room = max(room, min(low, VMALLOC_END) - start)
        start = max(start, high)
    return max(0, room - PAGE_SIZE)
