"""/reserved-memory: placing the dynamic regions and handing each to its driver (drivers/of/of_reserved_mem.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import asked_by, cause, holders, unheeded
from bootsim.linux.drivers.of.fdt import of_fdt_is_compatible
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import EINVAL, ENOENT, ENOMEM
from bootsim.linux.kernel.dma.coherent import rmem_dma_setup
from bootsim.linux.kernel.dma.contiguous import rmem_cma_setup
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.fdt import FlatNode, cells, read_number
from bootsim.linux.lib.sort import sort
from bootsim.linux.mm.memblock import (
    MEMBLOCK_ALLOC_ANYWHERE,
    memblock_add,
    memblock_find_in_range,
    memblock_free,
    memblock_remove,
    memblock_reserve,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SIZE
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

MAX_RESERVED_REGIONS = 64
_PREFIX = "OF: reserved mem: "


class ReservedMem:
    """struct reserved_mem: one region of /reserved-memory; base (pa) and size (bytes) are 0 until it is placed."""

    __slots__ = ("base", "name", "node", "size")

    def __init__(self, node: FlatNode, name: str, base: int, size: int) -> None:
        self.node = node
        self.name = name
        self.base = base
        self.size = size

    def __repr__(self) -> str:
        return f"<ReservedMem {self.name}: {self.size:#x} bytes at {self.base:#x}>"

    def purpose(self) -> Purpose:
        """The region as an owner of memory, with the property that decided where it lies or how large it is."""
        prop = "reg" if "reg" in self.node.first else "alloc-ranges" if "alloc-ranges" in self.node.first else "size"
        return Purpose("node", self.node.path, f"dtb:{self.node.path}:{prop}")


def fdt_reserved_mem_save_node(k: Kernel, node: FlatNode, base: int, size: int) -> None:
    """Remember a region (pa, bytes) for the second pass.

    Source: drivers/of/of_reserved_mem.c fdt_reserved_mem_save_node()
    """
    if not k.build.config.OF_RESERVED_MEM:
        return
    if len(k.of.reserved_mem) == MAX_RESERVED_REGIONS:
        printk(k, KERN_ERR, _PREFIX + "not enough space for all defined regions.")
        k.of.reserved_mem_dropped += 1
        step(k, "cause: {place} is region {n} of /reserved-memory, the kernel keeps {max}: it {fate}",
             place=place_of(k, node.path), n=MAX_RESERVED_REGIONS + k.of.reserved_mem_dropped, max=MAX_RESERVED_REGIONS,
             fate="stays reserved, but no driver can take it" if size else "gets no memory")
        return
    k.of.reserved_mem.append(ReservedMem(node, node.name, base, size))


def early_init_dt_alloc_reserved_memory_arch(k: Kernel, size: int, align: int, start: int, end: int,
                                             nomap: bool, purpose: Purpose) -> tuple[int, int]:
    """Find `size` bytes within [start, end) (pa) and reserve or remove them; return (0 or -errno with why, pa).

    Source: drivers/of/of_reserved_mem.c early_init_dt_alloc_reserved_memory_arch()
    """
    func = "early_init_dt_alloc_reserved_memory_arch"
    mb = k.mm.memblock
    base = memblock_find_in_range(mb, start, end or MEMBLOCK_ALLOC_ANYWHERE, size, align or k.mm.smp_cache_bytes)
    if isinstance(base, Err):
        return Err(-ENOMEM, base.why), 0
    if nomap:
        return memblock_remove(mb, base, size, func, purpose), base
    return memblock_reserve(mb, base, size, func, purpose), base


def _wrong_length(k: Kernel, node: FlatNode, prop: str, expected: str) -> None:
    step(k, "cause: {place} has {bytes} bytes, expected {expected}", func="__reserved_mem_alloc_size",
         place=place_of(k, node.path, prop), bytes=len(node.first[prop]), expected=expected)


def _alloc_size(k: Kernel, rmem: ReservedMem) -> int:
    # __reserved_mem_alloc_size(): place a region that has a size but no address
    node, func = rmem.node, "__reserved_mem_alloc_size"
    a, s = k.of.dt_root_addr_cells, k.of.dt_root_size_cells
    prop = node.first.get("size")
    if prop is None:
        return -EINVAL
    if len(prop) != s * 4:
        printk(k, KERN_ERR, _PREFIX + "invalid size property in '{uname}' node.", func=func, uname=node.name)
        _wrong_length(k, node, "size", f"{s * 4}")
        return -EINVAL
    size = read_number(cells(prop)) & 0xFFFFFFFF
    align = 0
    prop = node.first.get("alignment")
    if prop is not None:
        if len(prop) != a * 4:
            printk(k, KERN_ERR, _PREFIX + "invalid alignment property in '{uname}' node.", func=func, uname=node.name)
            _wrong_length(k, node, "alignment", f"{a * 4}")
            return -EINVAL
        align = read_number(cells(prop)) & 0xFFFFFFFF
    nomap = "no-map" in node.first
    if (k.build.config.CMA and of_fdt_is_compatible(node, "shared-dma-pool") and "reusable" in node.first
            and not nomap):
        align = max(align, PAGE_SIZE << max(k.mm.max_order - 1, k.mm.pageblock_order))
    prop = node.first.get("alloc-ranges")
    ranges = [(0, 0)]
    if prop is not None:
        if len(prop) % ((a + s) * 4):
            printk(k, KERN_ERR, _PREFIX + "invalid alloc-ranges property in '{uname}', skipping node.", func=func,
                   uname=node.name)
            _wrong_length(k, node, "alloc-ranges", f"a multiple of {(a + s) * 4}")
            return -EINVAL
        words = cells(prop)
        ranges = []
        for i in range(0, len(words), a + s):
            start = read_number(words[i:i + a]) & 0xFFFFFFFF
            ranges.append((start, (start + read_number(words[i + a:i + a + s])) & 0xFFFFFFFF))
    base, causes = 0, []
    for start, end in ranges:
        ret, found = early_init_dt_alloc_reserved_memory_arch(k, size, align, start, end, nomap, rmem.purpose())
        base = found or base
        if isinstance(ret, Err):
            causes.append(cause(k, ret.why))
            unheeded(k, ret if found else 0, f"reserving {found:#010x}+{size:#x} for {place_of(k, node.path)}")
        else:
            step(k, "reserved-memory {path}: {base:#010x}+{size:#x}, placed", func=func, path=node.path, base=base,
                 size=size)
            break
    if not base:
        printk(k, KERN_INFO, _PREFIX + "failed to allocate memory for node '{uname}'", func=func, uname=node.name)
        step(k, "cause: {place}: {why}", place=asked_by(k, rmem.purpose().root), why="; ".join(causes))
        return -ENOMEM
    rmem.base, rmem.size = base, size
    return 0


def _init_node(k: Kernel, rmem: ReservedMem) -> int:
    # __reserved_mem_init_node(): the drivers' table, in the order the linker gives it (kernel/dma/Makefile)
    config = k.build.config
    drivers = []
    if config.DMA_CMA:
        drivers.append(("shared-dma-pool", rmem_cma_setup))
    if config.DMA_DECLARE_COHERENT:
        drivers.append(("shared-dma-pool", rmem_dma_setup))
    ret = -ENOENT
    for compat, init in drivers:
        if not of_fdt_is_compatible(rmem.node, compat):
            continue
        ret = init(k, rmem)
        if ret == 0:
            printk(k, KERN_INFO, _PREFIX + "initialized node {name}, compatible id {compat}",
                   func="__reserved_mem_init_node", name=rmem.name, compat=compat)
            break
    return ret


def _rmem_cmp(a: ReservedMem, b: ReservedMem) -> int:
    # __rmem_cmp()
    if a.base != b.base:
        return -1 if a.base < b.base else 1
    return (a.size > b.size) - (a.size < b.size)


def _check_for_overlap(k: Kernel) -> None:
    # __rmem_check_for_overlap(): the sort also decides in which order the dynamic regions are placed
    if len(k.of.reserved_mem) < 2:
        return
    sort(k.of.reserved_mem, _rmem_cmp)
    for this, after in zip(k.of.reserved_mem, k.of.reserved_mem[1:], strict=False):
        if (this.base + this.size) & 0xFFFFFFFF > after.base:
            printk(k, KERN_ERR, _PREFIX + "OVERLAP DETECTED!\n{name} ({base:#010x}--{end:#010x}) overlaps with {name2} "
                   "({base2:#010x}--{end2:#010x})", func="__rmem_check_for_overlap", name=this.name, base=this.base,
                   end=(this.base + this.size) & 0xFFFFFFFF, name2=after.name, base2=after.base,
                   end2=(after.base + after.size) & 0xFFFFFFFF)
            step(k, "cause: {place} and {place2} overlap", place=place_of(k, this.node.path, "reg"),
                 place2=place_of(k, after.node.path, "reg"))
            k.owners.told |= {(this.purpose(), after.purpose()), (after.purpose(), this.purpose())}


def fdt_init_reserved_mem(k: Kernel) -> None:
    """Place all regions without an address and let the drivers take theirs.

    Source: drivers/of/of_reserved_mem.c fdt_init_reserved_mem()
    """
    _check_for_overlap(k)
    for rmem in k.of.reserved_mem:
        err = _alloc_size(k, rmem) if rmem.size == 0 else 0
        if err == 0:
            err = _init_node(k, rmem)
            if err not in (0, -ENOENT):
                printk(k, KERN_INFO, _PREFIX + "node {name} compatible matching fail", name=rmem.name)
                _give_back(k, rmem)


def _give_back(k: Kernel, rmem: ReservedMem) -> None:
    # what fdt_init_reserved_mem() does when a driver refuses a region; it frees the range, whoever else is in it
    purpose, mb, func = rmem.purpose(), k.mm.memblock, "fdt_init_reserved_mem"
    for other in holders(k, rmem.base, rmem.size, but=purpose):
        step(k, "{place} is given back, and with it what of {other} lies there: the kernel does not say so", func=func,
             level=KERN_WARNING, place=place_of(k, rmem.node.path), other=other)
    span = f"{rmem.base:#010x}+{rmem.size:#x}"
    unheeded(k, memblock_free(mb, rmem.base, rmem.size, func, purpose), f"freeing {span}")
    if "no-map" in rmem.node.first:
        unheeded(k, memblock_add(mb, rmem.base, rmem.size, func, purpose), f"adding {span} to memory")
