"""The default contiguous area and CMA pools from /reserved-memory (kernel/dma/contiguous.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.linux.arch.arm.mm.dma_mapping import dma_contiguous_early_fixup
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import EBUSY, EINVAL
from bootsim.linux.kernel.printk import KERN_DEBUG, KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, memparse
from bootsim.linux.mm.cma import cma_declare_contiguous, cma_init_reserved_mem
from bootsim.page import PAGE_SHIFT, PAGE_SIZE
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.of_reserved_mem import ReservedMem
    from bootsim.linux.mm.cma import Cma



def early_cma(k: Kernel, arg: str | None) -> int:
    """cma=SIZE[@BASE[-LIMIT]]. Returns 0 or a negative errno.

    Source: kernel/dma/contiguous.c early_cma()
    """
    if arg is None:
        printk(k, KERN_ERR, "cma: Config string not provided")
        return -EINVAL
    size, rest = memparse(arg)
    size &= 0xFFFFFFFF
    k.mm.cma_size_cmdline = size if size != 0xFFFFFFFF else None  # the variable's value when there is no cma=
    if not rest.startswith("@"):
        return 0
    base, rest = memparse(rest[1:])
    k.mm.cma_base_cmdline = base & 0xFFFFFFFF
    if rest.startswith("-"):
        k.mm.cma_limit_cmdline = memparse(rest[1:])[0] & 0xFFFFFFFF
    else:
        k.mm.cma_limit_cmdline = (k.mm.cma_base_cmdline + size) & 0xFFFFFFFF
    return 0


EARLY_PARAMS = (EarlyParam("cma", early_cma, ("DMA_CMA",)),)


def cma_early_percent_memory(k: Kernel) -> int:
    """CMA_SIZE_PERCENTAGE of all memory, in bytes; 0 without the option.

    Source: kernel/dma/contiguous.c cma_early_percent_memory()
    """
    pages = k.mm.memblock.memory.total_size >> PAGE_SHIFT
    return (((pages * k.build.config.CMA_SIZE_PERCENTAGE) & 0xFFFFFFFF) // 100 << PAGE_SHIFT) & 0xFFFFFFFF


def _configured_size(k: Kernel) -> tuple[int, tuple[str, ...]]:
    # the size the build asks for, and where it comes from
    config = k.build.config
    mbytes = config.CMA_SIZE_MBYTES << 20
    percent = cma_early_percent_memory(k)
    if config.CMA_SIZE_SEL_MBYTES:
        return mbytes, ("CONFIG_CMA_SIZE_MBYTES",)
    if config.CMA_SIZE_SEL_PERCENTAGE:
        return percent, ("CONFIG_CMA_SIZE_PERCENTAGE", "memory.total_size")
    both = ("CONFIG_CMA_SIZE_MBYTES", "CONFIG_CMA_SIZE_PERCENTAGE", "memory.total_size")
    if config.CMA_SIZE_SEL_MIN:
        return min(mbytes, percent), both
    if config.CMA_SIZE_SEL_MAX:
        return max(mbytes, percent), both
    return 0, ()


def dma_contiguous_reserve(k: Kernel, limit: int) -> None:
    """Reserve the default contiguous area, below `limit` (pa; 0 for any).

    Source: kernel/dma/contiguous.c dma_contiguous_reserve()
    """
    if not k.build.config.DMA_CMA:
        return
    if k.build.config.CMA_DEBUG:
        printk(k, KERN_DEBUG, "cma: dma_contiguous_reserve(limit {limit:08x})", limit=limit)
    base, fixed = 0, False
    inputs: tuple[str, ...]
    if k.mm.cma_size_cmdline is not None:
        size, inputs = k.mm.cma_size_cmdline, ("cmdline:cma",)
        base = k.mm.cma_base_cmdline
        limit = min(x for x in (k.mm.cma_limit_cmdline, limit) if x) if k.mm.cma_limit_cmdline or limit else 0
        fixed = (base + size) & 0xFFFFFFFF == k.mm.cma_limit_cmdline
    else:
        size, inputs = _configured_size(k)
    k.facts.add("cma.default.size", size, "bytes", "cma= or what the build selects",
                (*inputs, "cmdline:cma", "CONFIG_CMA_SIZE_SEL_MBYTES", "CONFIG_CMA_SIZE_SEL_PERCENTAGE",
                 "CONFIG_CMA_SIZE_SEL_MIN", "CONFIG_CMA_SIZE_SEL_MAX", "CONFIG_CMA_SIZE_MBYTES"),
                "kernel/dma/contiguous.c dma_contiguous_reserve()")
    if not size or k.mm.dma_contiguous_default_area is not None:
        return
    if k.build.config.CMA_DEBUG:
        printk(k, KERN_DEBUG, "cma: dma_contiguous_reserve: reserving {mib} MiB for global area", mib=size >> 20)
    k.mm.dma_contiguous_default_area = dma_contiguous_reserve_area(k, size, base, limit, fixed, inputs)


def dma_contiguous_reserve_area(k: Kernel, size: int, base: int, limit: int, fixed: bool,
                                inputs: tuple[str, ...]) -> Cma | None:
    """Reserve a contiguous area of `size` bytes (at `base` if `fixed`, below `limit`, pa); None when it cannot be.

    `inputs` are the roots that ask for it.
    Source: kernel/dma/contiguous.c dma_contiguous_reserve_area()
    """
    ret, area = cma_declare_contiguous(k, base, size, limit, 0, 0, fixed, "reserved", inputs)
    if ret or area is None:
        return None
    dma_contiguous_early_fixup(k, area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT, area.wanted_by)
    return area


def _placed_by(rmem: ReservedMem) -> str:
    # the property that decided base and size
    return "reg" if "reg" in rmem.node.first else "size"


def rmem_cma_setup(k: Kernel, rmem: ReservedMem) -> int:
    """Take a reusable shared-dma-pool as a CMA area. Returns 0 or a negative errno.

    Source: kernel/dma/contiguous.c rmem_cma_setup()
    """
    props = rmem.node.first
    mask = (PAGE_SIZE << max(k.mm.max_order - 1, k.mm.pageblock_order)) - 1
    default_cma = "linux,cma-default" in props
    if k.mm.cma_size_cmdline is not None and default_cma:
        printk(k, KERN_INFO, "Reserved memory: bypass {name} node, using cmdline CMA params instead", name=rmem.name)
        step(k, "cause: cmdline: cma= wins over {place}", place=place_of(k, rmem.node.path, "linux,cma-default"))
        return -EBUSY
    if "reusable" not in props or "no-map" in props:
        return -EINVAL
    if rmem.base & mask or rmem.size & mask:
        printk(k, KERN_ERR, "Reserved memory: incorrect alignment of CMA region")
        step(k, "cause: {place}: base {base:#x} and size {size:#x} must be multiples of {align:#x}, the largest buddy "
             "block (CONFIG_FORCE_MAX_ZONEORDER={order})", place=place_of(k, rmem.node.path, _placed_by(rmem)),
             base=rmem.base, size=rmem.size, align=mask + 1, order=k.mm.max_order)
        return -EINVAL
    place = place_of(k, rmem.node.path, _placed_by(rmem))
    err, area = cma_init_reserved_mem(k, rmem.base, rmem.size, 0, rmem.name, place)
    if isinstance(err, Err):
        printk(k, KERN_ERR, "Reserved memory: unable to setup CMA region")
        step(k, "cause: {place}: {why}", place=place, why=cause(k, err.why))
        return err
    dma_contiguous_early_fixup(k, rmem.base, rmem.size, place)
    if default_cma:
        k.mm.dma_contiguous_default_area = area
    printk(k, KERN_INFO, "Reserved memory: created CMA memory pool at {base:#010x}, size {mib} MiB", base=rmem.base,
           mib=rmem.size >> 20)
    return 0
