"""The contiguous memory allocator's areas (mm/cma.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.mm.memblock import (
    PAGE_SHIFT,
    PAGE_SIZE,
    memblock_alloc_range_nid,
    memblock_end_of_DRAM,
    memblock_free,
    memblock_is_region_memory,
    memblock_is_region_reserved,
    memblock_reserve,
)

if TYPE_CHECKING:
    from bootsim.linux import Kernel

CMA_MAX_NAME = 64
EBUSY, EINVAL, ENOMEM, ENOSPC = 16, 22, 12, 28


@dataclass(slots=True)
class Cma:
    """struct cma: `count` pages from `base_pfn`; one bitmap bit stands for 2**order_per_bit pages."""

    base_pfn: int
    count: int
    order_per_bit: int
    name: str


def _min_alignment(k: Kernel) -> int:
    # what the buddy allocator needs, so that no block spans an area's border
    return PAGE_SIZE << max(k.mm.max_order - 1, k.mm.pageblock_order)


def cma_init_reserved_mem(k: Kernel, base: int, size: int, order_per_bit: int,
                          name: str) -> tuple[int, Cma | None]:
    """Make a CMA area of reserved memory (pa, bytes); return (0 or -errno, area).

    Source: mm/cma.c cma_init_reserved_mem()
    """
    if len(k.mm.cma_areas) == k.build.config.CMA_AREAS + 1:
        printk(k, KERN_ERR, "cma: Not enough slots for CMA reserved regions!")
        return -ENOSPC, None
    if not size or not memblock_is_region_reserved(k.mm.memblock, base, size):
        return -EINVAL, None
    alignment = _min_alignment(k)
    if (alignment >> PAGE_SHIFT) % (1 << order_per_bit) or base % alignment or size % alignment:
        return -EINVAL, None
    area = Cma(base >> PAGE_SHIFT, size >> PAGE_SHIFT, order_per_bit, name[:CMA_MAX_NAME - 1])
    k.mm.cma_areas.append(area)
    k.mm.totalcma_pages += size >> PAGE_SHIFT
    n = len(k.mm.cma_areas) - 1
    source = "mm/cma.c cma_init_reserved_mem()"
    asked = ("cma.default.size", "cmdline:cma") if name == "reserved" else ("dtb:/reserved-memory:*",)
    k.facts.add(f"cma{n}.base", base, "pa", f"area {area.name!r}: free memory of that size, highmem first",
                (*asked, "memory.end", "arm_lowmem_limit", "memblock.current_limit", "kernel.base", "kernel.size",
                 "dtb.base", "CONFIG_FORCE_MAX_ZONEORDER", "CONFIG_ZONE_DMA",
                 *(f for f in ("phys_initrd_start", "arm_dma_limit") if f in k.facts)), source)
    k.facts.add(f"cma{n}.size", size, "bytes", f"area {area.name!r}, in blocks of the largest order",
                (*asked, "CONFIG_FORCE_MAX_ZONEORDER"), source)
    return 0, area


def cma_declare_contiguous(k: Kernel, base: int, size: int, limit: int, alignment: int, order_per_bit: int,
                           fixed: bool, name: str, asked_by: str) -> tuple[int, Cma | None]:
    """Reserve a contiguous area of `size` bytes at `base` (pa) if fixed, else below `limit`; (0 or -errno, area).

    `asked_by` names the input that asks for the area.
    Source: mm/cma.c cma_declare_contiguous_nid()
    """
    func = "cma_declare_contiguous_nid"
    mb = k.mm.memblock
    mib = size >> 20

    def fail(err: int, why: str) -> tuple[int, None]:
        printk(k, KERN_ERR, "cma: Failed to reserve {mib} MiB", func=func, mib=mib)
        step(k, "cause: {asked_by}: {why}", func=func, asked_by=asked_by, why=why)
        return -err, None

    memblock_end = memblock_end_of_DRAM(mb)
    highmem_start = k.mm.arm_lowmem_limit
    if len(k.mm.cma_areas) == k.build.config.CMA_AREAS + 1:
        printk(k, KERN_ERR, "cma: Not enough slots for CMA reserved regions!", func=func)
        step(k, "cause: {asked_by} is one more than the {slots} areas of CONFIG_CMA_AREAS + 1", func=func,
             asked_by=asked_by, slots=len(k.mm.cma_areas))
        return -ENOSPC, None
    if not size:
        return -EINVAL, None
    alignment = max(alignment, _min_alignment(k))
    if fixed and base & (alignment - 1):
        printk(k, KERN_ERR, "cma: Region at {base:#010x} must be aligned to {alignment:#010x} bytes", func=func,
               base=base, alignment=alignment)
        return fail(EINVAL, f"{base:#x} is no multiple of {alignment:#x}, the largest buddy block "
                    f"(CONFIG_FORCE_MAX_ZONEORDER={k.mm.max_order})")
    base = (base + alignment - 1) & ~(alignment - 1) & 0xFFFFFFFF
    size = (size + alignment - 1) & ~(alignment - 1) & 0xFFFFFFFF
    mib = size >> 20
    limit &= ~(alignment - 1)
    fixed = fixed and base != 0
    if fixed and base < highmem_start < (base + size) & 0xFFFFFFFF:
        printk(k, KERN_ERR, "cma: Region at {base:#010x} defined on low/high memory boundary ({highmem_start:#010x})",
               func=func, base=base, highmem_start=highmem_start)
        return fail(EINVAL, f"{base:#x}-{base + size - 1:#x} spans the end of lowmem at {highmem_start:#x}")
    if limit == 0 or limit > memblock_end:
        limit = memblock_end
    if (base + size) & 0xFFFFFFFF > limit:
        printk(k, KERN_ERR, "cma: Size ({size:#010x}) of region at {base:#010x} exceeds limit ({limit:#010x})",
               func=func, size=size, base=base, limit=limit)
        return fail(EINVAL, f"{size:#x} bytes from {base:#x} do not end below {limit:#x}, " +
                    (f"where memory ends ({k.memory_place()})" if limit == memblock_end else "the limit asked for"))
    if fixed:
        if memblock_is_region_reserved(mb, base, size) or memblock_reserve(mb, base, size, func) < 0:
            return fail(EBUSY, f"part of {base:#x}-{base + size - 1:#x} is reserved already: "
                        f"{', '.join(k.holders(base, size)) or 'by memory that was taken before'}")
    else:
        addr = 0
        if base < highmem_start < limit:
            addr = memblock_alloc_range_nid(mb, size, alignment, highmem_start, limit)
            limit = highmem_start
        if not addr:
            addr = memblock_alloc_range_nid(mb, size, alignment, base, limit)
        if not addr:
            return fail(ENOMEM, f"no free {size:#x} bytes aligned to {alignment:#x} below {limit:#x}; "
                        f"lowmem has {mb.current_limit - k.mm.phys_offset:#x} bytes ({k.memory_place()})")
        base = addr
    ret, area = cma_init_reserved_mem(k, base, size, order_per_bit, name)
    if ret:
        memblock_free(mb, base, size, func)
        return fail(-ret, "the area could not be registered")
    printk(k, KERN_INFO, "cma: Reserved {mib} MiB at {base:#010x}", func=func, mib=size >> 20, base=base)
    return 0, area


def _area_place(k: Kernel, area: Cma) -> str:
    # the input that asked for an area
    return k.reserved_place(area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT) or f"contiguous area {area.name!r}"


def cma_activate_area(k: Kernel, area: Cma) -> None:
    """Give the area's pageblocks to the buddy allocator as MIGRATE_CMA.

    Source: mm/cma.c cma_activate_area()
    Differs: the bitmap's kzalloc() cannot fail here.
    """
    from bootsim.linux.mm.page_alloc import init_cma_reserved_pageblock, page_zone_name

    if not memblock_is_region_memory(k.mm.memblock, area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT):
        warn(k, "mm/cma.c:106", func="cma_init_reserved_areas", pid=1)
        raise KernelPanic(None, f"{_area_place(k, area)}: the contiguous area lies outside memory "
                          f"({k.memory_place()}): the kernel takes other memory for its struct pages and frees them")
    pageblock_pages = 1 << k.mm.pageblock_order
    zone = page_zone_name(k, area.base_pfn)
    for pfn in range(area.base_pfn, area.base_pfn + area.count, pageblock_pages):
        # a zone's pfns are contiguous: the block lies in the zone when both its ends do
        if page_zone_name(k, pfn) != zone or page_zone_name(k, pfn + pageblock_pages - 1) != zone:
            place, area.count = _area_place(k, area), 0
            printk(k, KERN_ERR, "cma: CMA area {name} could not be activated", name=area.name)
            step(k, "cause: {place}: the area spans the zones {zone} and {other}", place=place, zone=zone,
                 other=page_zone_name(k, pfn + pageblock_pages - 1))
            return
        init_cma_reserved_pageblock(k, pfn)
    step(k, "cma area {name}: {pages} pages from {base:#010x} released to zone {zone} as MIGRATE_CMA", name=area.name,
         pages=area.count, base=area.base_pfn << PAGE_SHIFT, zone=zone)


def cma_init_reserved_areas(k: Kernel) -> None:
    """Activate every area.

    Source: mm/cma.c cma_init_reserved_areas()
    """
    for area in k.mm.cma_areas:
        cma_activate_area(k, area)
