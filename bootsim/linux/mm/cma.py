"""The contiguous memory allocator's areas (mm/cma.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import asked_by, cause, holders, memory_end, unheeded
from bootsim.errors import InputError, KernelPanic
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import EBUSY, EINVAL, ENOMEM, ENOSPC
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_DEBUG, KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.mm.memblock import (
    memblock_alloc_range_nid,
    memblock_end_of_DRAM,
    memblock_free,
    memblock_is_region_memory,
    memblock_is_region_reserved,
    memblock_reserve,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE
from bootsim.places import memory_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.linux import Kernel

CMA_MAX_NAME = 64
_DECLARE = "cma_declare_contiguous_nid"


class Cma:
    """struct cma: `count` pages from `base_pfn`; one bit of the bitmap, a byte here, stands for 2**order_per_bit pages.

    An area has no bitmap until it is activated.
    `wanted_by` names the input that asked for the area.
    """

    def __init__(self, base_pfn: int, count: int, order_per_bit: int, name: str, wanted_by: str = "") -> None:
        self.base_pfn = base_pfn
        self.count = count
        self.order_per_bit = order_per_bit
        self.name = name
        self.wanted_by = wanted_by
        self.bitmap = bytearray()

    def __repr__(self) -> str:
        return f"<Cma {self.name}: {self.count} pages from {self.base_pfn:#x}>"

    @property
    def set_bits(self) -> list[list[int]]:
        """The runs of pages that are taken, as [first bit, number of bits]."""
        runs: list[list[int]] = []
        start = self.bitmap.find(1)
        while start >= 0:
            end = self.bitmap.find(0, start)
            runs.append([start, (end if end >= 0 else len(self.bitmap)) - start])
            start = self.bitmap.find(1, end) if end >= 0 else -1
        return runs


def _min_alignment(k: Kernel) -> int:
    # what the buddy allocator needs, so that no block spans an area's border
    return PAGE_SIZE << max(k.mm.max_order - 1, k.mm.pageblock_order)


def cma_init_reserved_mem(k: Kernel, base: int, size: int, order_per_bit: int,
                          name: str, wanted_by: str) -> tuple[int, Cma | None]:
    """Make a CMA area of reserved memory (pa, bytes) for the input `wanted_by`; return (0 or -errno with why, area).

    Source: mm/cma.c cma_init_reserved_mem()
    """
    if len(k.mm.cma_areas) == k.build.config.CMA_AREAS + 1:
        printk(k, KERN_ERR, "cma: Not enough slots for CMA reserved regions!")
        return Err(-ENOSPC, f"more than CONFIG_CMA_AREAS + 1 = {len(k.mm.cma_areas)} areas"), None
    if not size or not memblock_is_region_reserved(k.mm.memblock, base, size):
        return Err(-EINVAL, f"nothing of {base:#010x}+{size:#x} is reserved, as reserving it failed before"), None
    alignment = _min_alignment(k)
    if (alignment >> PAGE_SHIFT) % (1 << order_per_bit) or base % alignment or size % alignment:
        return Err(-EINVAL, f"{base:#010x}+{size:#x} is not aligned to {alignment:#x}"), None
    area = Cma(base >> PAGE_SHIFT, size >> PAGE_SHIFT, order_per_bit, name[:CMA_MAX_NAME - 1], wanted_by)
    k.mm.cma_areas.append(area)
    k.mm.totalcma_pages += size >> PAGE_SHIFT
    same = sum(other.name == area.name for other in k.mm.cma_areas)
    fact = f"cma.{area.name}" if same == 1 else f"cma.{area.name} #{same}"
    source = "mm/cma.c cma_init_reserved_mem()"
    asked = ("cma.default.size", "cmdline:cma") if name == "reserved" else ("dtb:/reserved-memory:*",)
    k.facts.add(f"{fact}.base", base, "pa", "free memory of that size, highmem first",
                (*asked, *k.owners.above(base + size, 1 << 32), "memory.end",
                 "arm_lowmem_limit", "memblock.current_limit", "kernel.base", "kernel.size",
                 "dtb.base", "CONFIG_FORCE_MAX_ZONEORDER", "CONFIG_ZONE_DMA",
                 *(f for f in ("phys_initrd_start", "arm_dma_limit") if f in k.facts)), source)
    k.facts.add(f"{fact}.size", size, "bytes", "in blocks of the largest order",
                (*asked, "CONFIG_FORCE_MAX_ZONEORDER"), source)
    return 0, area


def cma_declare_contiguous(k: Kernel, base: int, size: int, limit: int, alignment: int, order_per_bit: int,
                           fixed: bool, name: str, inputs: tuple[str, ...]) -> tuple[int, Cma | None]:
    """Reserve a contiguous area of `size` bytes at `base` (pa) if fixed, else below `limit`; (0 or -errno, area).

    `inputs` are the roots that ask for the area.
    Source: mm/cma.c cma_declare_contiguous_nid()
    """
    wanted_by = " and ".join(asked_by(k, root) for root in inputs)
    if k.build.config.CMA_DEBUG:
        printk(k, KERN_DEBUG, "cma: cma_declare_contiguous_nid(size {size:#010x}, base {base:#010x}, limit "
               "{limit:#010x} alignment {alignment:#010x})", func=_DECLARE, size=size, base=base, limit=limit,
               alignment=alignment)
    if len(k.mm.cma_areas) == k.build.config.CMA_AREAS + 1:
        printk(k, KERN_ERR, "cma: Not enough slots for CMA reserved regions!", func=_DECLARE)
        step(k, "cause: {wanted_by} is one more than the {slots} areas of CONFIG_CMA_AREAS + 1", func=_DECLARE,
             wanted_by=wanted_by, slots=len(k.mm.cma_areas))
        return -ENOSPC, None
    if not size:
        return -EINVAL, None
    alignment = max(alignment, _min_alignment(k))
    if fixed and base & (alignment - 1):
        printk(k, KERN_ERR, "cma: Region at {base:#010x} must be aligned to {alignment:#010x} bytes", func=_DECLARE,
               base=base, alignment=alignment)
        return _failed(k, size, wanted_by, Err(-EINVAL, f"{base:#x} is no multiple of {alignment:#x}, the largest "
                       f"buddy block (CONFIG_FORCE_MAX_ZONEORDER={k.mm.max_order})"))
    base = (base + alignment - 1) & ~(alignment - 1) & 0xFFFFFFFF
    size = (size + alignment - 1) & ~(alignment - 1) & 0xFFFFFFFF
    limit &= ~(alignment - 1)
    purpose = Purpose("cma", f"CMA area {name!r}", inputs[0])
    base = _reserve(k, base, size, limit, alignment, fixed and base != 0, purpose)
    if isinstance(base, Err):
        return _failed(k, size, wanted_by, base)
    ret, area = cma_init_reserved_mem(k, base, size, order_per_bit, name, wanted_by)
    if isinstance(ret, Err):
        unheeded(k, memblock_free(k.mm.memblock, base, size, _DECLARE, purpose), f"freeing {base:#010x}+{size:#x}")
        return _failed(k, size, wanted_by, ret)
    printk(k, KERN_INFO, "cma: Reserved {mib} MiB at {base:#010x}", func=_DECLARE, mib=size >> 20, base=base)
    return 0, area


# The middle of cma_declare_contiguous_nid(): where the area begins (pa), or why it lies nowhere.
def _reserve(k: Kernel, base: int, size: int, limit: int, alignment: int, fixed: bool, purpose: Purpose) -> int:
    mb = k.mm.memblock
    memblock_end = memblock_end_of_DRAM(mb)
    highmem_start = k.mm.arm_lowmem_limit
    if fixed and base < highmem_start < (base + size) & 0xFFFFFFFF:
        printk(k, KERN_ERR, "cma: Region at {base:#010x} defined on low/high memory boundary ({highmem_start:#010x})",
               func=_DECLARE, base=base, highmem_start=highmem_start)
        return Err(-EINVAL, f"{base:#x}-{base + size - 1:#x} spans the end of lowmem at {highmem_start:#x}")
    if limit == 0 or limit > memblock_end:
        limit = memblock_end
    if (base + size) & 0xFFFFFFFF > limit:
        printk(k, KERN_ERR, "cma: Size ({size:#010x}) of region at {base:#010x} exceeds limit ({limit:#010x})",
               func=_DECLARE, size=size, base=base, limit=limit)
        return Err(-EINVAL, f"{size:#x} bytes from {base:#x} do not end below {limit:#x}, " +
                   (memory_end(k, limit) if limit == memblock_end else _limit_place(k, limit, alignment)))
    if fixed:
        if memblock_is_region_reserved(mb, base, size):
            return Err(-EBUSY, f"part of {base:#x}-{base + size - 1:#x} is reserved already: "
                       f"{', '.join(holders(k, base, size))}")
        ret = memblock_reserve(mb, base, size, _DECLARE, purpose)
        return Err(-EBUSY, ret.why) if isinstance(ret, Err) else base
    addr = above = 0
    if base < highmem_start < limit:
        addr = above = memblock_alloc_range_nid(mb, size, alignment, highmem_start, limit, _DECLARE, purpose)
        limit = highmem_start
    if not addr:
        addr = memblock_alloc_range_nid(mb, size, alignment, base, limit, _DECLARE, purpose)
    if isinstance(addr, Err):
        also = f"; above lowmem, {cause(k, above.why)}" if isinstance(above, Err) else ""
        return Err(-ENOMEM, f"{cause(k, addr.why)}{also}")
    return addr


def _failed(k: Kernel, size: int, wanted_by: str, err: Err) -> tuple[int, None]:
    printk(k, KERN_ERR, "cma: Failed to reserve {mib} MiB", func=_DECLARE, mib=size >> 20)
    step(k, "cause: {wanted_by}: {why}", func=_DECLARE, wanted_by=wanted_by, why=cause(k, err.why))
    return int(err), None


# Whose limit an area may not pass: that of cma=, or the end of the machine's DMA zone.
def _limit_place(k: Kernel, limit: int, alignment: int) -> str:
    if k.mm.cma_limit_cmdline and limit == k.mm.cma_limit_cmdline & ~(alignment - 1):
        return "the limit that cma= asks for"
    return f"the end of ZONE_DMA (machine {k.mdesc.name!r}, dma_zone_size)"


def cma_activate_area(k: Kernel, area: Cma) -> None:
    """Give the area's pageblocks to the buddy allocator as MIGRATE_CMA.

    Source: mm/cma.c cma_activate_area()
    Differs: the bitmap's kzalloc() cannot fail here.
    """
    from bootsim.linux.mm.page_alloc import init_cma_reserved_pageblock, page_zone_name

    if not memblock_is_region_memory(k.mm.memblock, area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT):
        warn(k, "mm/cma.c:106", func="cma_init_reserved_areas")
        raise KernelPanic(None, f"{area.wanted_by}: the contiguous area lies outside memory "
                          f"({memory_place(k)}): the kernel takes other memory for its struct pages and frees them")
    pageblock_pages = 1 << k.mm.pageblock_order
    zone = page_zone_name(k, area.base_pfn)
    for pfn in range(area.base_pfn, area.base_pfn + area.count, pageblock_pages):
        # a zone's pfns are contiguous: the block lies in the zone when both its ends do
        if page_zone_name(k, pfn) != zone or page_zone_name(k, pfn + pageblock_pages - 1) != zone:
            area.count = 0
            printk(k, KERN_ERR, "cma: CMA area {name} could not be activated", name=area.name)
            step(k, "cause: {place}: the area spans the zones {zone} and {other}", place=area.wanted_by, zone=zone,
                 other=page_zone_name(k, pfn + pageblock_pages - 1))
            return
        init_cma_reserved_pageblock(k, pfn)
    area.bitmap = bytearray(area.count >> area.order_per_bit)
    step(k, "cma area {name}: {pages} pages from {base:#010x} released to zone {zone} as MIGRATE_CMA", name=area.name,
         pages=area.count, base=area.base_pfn << PAGE_SHIFT, zone=zone)


def cma_init_reserved_areas(k: Kernel) -> None:
    """Activate every area.

    Source: mm/cma.c cma_init_reserved_areas()
    """
    from bootsim.linux.mm.page_alloc import pages_given

    for area in k.mm.cma_areas:
        cma_activate_area(k, area)
    pages_given(k, "and those of the CMA areas", [f.name for f in k.facts if f.name.startswith("cma.")],
                "mm/cma.c cma_init_reserved_areas()")


def bitmap_find_next_zero_area_off(bitmap: bytearray, start: int, nr: int, align_mask: int,
                                   align_offset: int) -> int | None:
    """The first run of `nr` clear bits from `start` on whose place plus `align_offset` is aligned, or None.

    Source: lib/bitmap.c bitmap_find_next_zero_area_off()
    """
    while True:
        index = bitmap.find(0, start)
        if index < 0:
            return None
        index = ((index + align_offset + align_mask) & ~align_mask) - align_offset
        if index + nr > len(bitmap):
            return None
        taken = bitmap.find(1, index, index + nr)
        if taken < 0:
            return index
        start = taken + 1


def _bits(area: Cma, pages: int) -> int:
    # cma_bitmap_pages_to_bits()
    return (pages + (1 << area.order_per_bit) - 1) >> area.order_per_bit


def cma_alloc(k: Kernel, area: Cma, count: int, align: int, *, no_warn: bool = False,
              contig: Callable[[Kernel, int, int, int], int] | None = None) -> int | None:
    """Take `count` contiguous pages of the area, aligned to 2**align pages; the first pfn, or None.

    `contig(k, start_pfn, end_pfn, migratetype)` takes a range and returns 0 or -errno; alloc_contig_range() does.
    Raises InputError for an area of another machine.
    Source: mm/cma.c cma_alloc()
    """
    from bootsim.linux.mm.page_alloc import MIGRATE_CMA, alloc_contig_range

    if not _is_own(k, area) or align < 0 or not area.bitmap:
        return None
    debug = k.build.config.CMA_DEBUG
    if debug:
        printk(k, KERN_DEBUG, "cma: cma_alloc(cma (ptrval), count {count}, align {align})", func="cma_alloc",
               count=count, align=align)
    if count < 1:
        return None
    align = min(align, 32)  # of more, the kernel's mask has all bits, too
    mask = 0 if align <= area.order_per_bit else (1 << (align - area.order_per_bit)) - 1
    offset = (area.base_pfn & ((1 << align) - 1)) >> area.order_per_bit
    bits, ret, start = _bits(area, count), -ENOMEM, 0
    if bits > len(area.bitmap):
        return None
    take = contig or alloc_contig_range
    while (bit := bitmap_find_next_zero_area_off(area.bitmap, start, bits, mask, offset)) is not None:
        area.bitmap[bit:bit + bits] = b"\1" * bits
        pfn = area.base_pfn + (bit << area.order_per_bit)
        ret = take(k, pfn, pfn + count, MIGRATE_CMA)
        if ret == 0:
            break
        area.bitmap[bit:bit + bits] = bytes(bits)
        if ret != -EBUSY:
            break
        if debug:
            printk(k, KERN_DEBUG, "cma: cma_alloc(): memory range at (ptrval) is busy, retrying", func="cma_alloc")
        start = bit + mask + 1
    if ret and not no_warn:
        printk(k, KERN_ERR, "cma: cma_alloc: alloc failed, req-size: {count} pages, ret: {ret}", func="cma_alloc",
               count=count, ret=ret)
        if debug:
            cma_debug_show_areas(k, area)
    if debug:
        printk(k, KERN_DEBUG, "cma: cma_alloc(): returned {page}", func="cma_alloc",
               page="00000000" if ret else "(ptrval)")
    return None if ret else pfn


def _is_own(k: Kernel, area: Cma | None) -> bool:
    if area is not None and not any(area is one for one in k.mm.cma_areas):
        raise InputError(f"{area!r} is no contiguous area of this machine")
    return area is not None


def cma_debug_show_areas(k: Kernel, area: Cma) -> None:
    """Log which runs of an area are free: pages@first bit.

    Source: mm/cma.c cma_debug_show_areas()
    """
    runs, start = [], area.bitmap.find(0)
    while start >= 0:
        end = area.bitmap.find(1, start)
        runs.append((((end if end >= 0 else len(area.bitmap)) - start) << area.order_per_bit, start))
        start = area.bitmap.find(0, end) if end >= 0 else -1
    printk(k, KERN_INFO, "cma: number of available pages: {runs}=> {free} free of {count} total pages",
           func="cma_debug_show_areas", runs="+".join(f"{pages}@{bit}" for pages, bit in runs),
           free=sum(pages for pages, _ in runs), count=area.count)


def cma_release(k: Kernel, area: Cma, pfn: int, count: int, *, free: bool = True) -> bool:
    """Give `count` pages from `pfn` on back to the area; False when they are not the area's.

    Without `free` only the bitmap changes, for those who free the pages one by one.
    Raises InputError for an area of another machine.
    Source: mm/cma.c cma_release()
    Differs: a range that passes the area's end is not its own; the kernel checks that with CONFIG_DEBUG_VM alone, and
    stops.
    """
    from bootsim.linux.mm.page_alloc import free_contig_range

    if not _is_own(k, area):
        return False
    if free and k.build.config.CMA_DEBUG:
        printk(k, KERN_DEBUG, "cma: cma_release(page (ptrval))", func="cma_release")
    end = area.base_pfn + area.count
    if not area.bitmap or count < 0 or not area.base_pfn <= pfn < end:
        return False
    if pfn + count > end:
        if k.build.config.DEBUG_VM:
            from bootsim.linux.lib.bug import bug  # few machines come to this

            bug(k, "mm/cma.c:522", func="cma_release")
        return False
    if free and not free_contig_range(k, pfn, count):
        return False
    bit, bits = (pfn - area.base_pfn) >> area.order_per_bit, _bits(area, count)
    area.bitmap[bit:bit + bits] = bytes(bits)
    return True
