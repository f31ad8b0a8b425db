"""Per-cpu areas (mm/percpu.c, percpu-vm.c, percpu-km.c): the first chunk, set up.

One C file, in parts:

    area       bitmaps of a chunk, and hints of what is free
    dynamic    alloc_percpu() and free_percpu()
    chunks     chunks beyond those of the boot
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import ENOMEM
from bootsim.linux.kernel.printk import KERN_DEBUG, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.linux.mm.memblock import memblock_alloc, memblock_alloc_try_nid, memblock_free
from bootsim.linux.mm.percpu.area import PCPU_MIN_ALLOC_SIZE, PcpuChunk
from bootsim.linux.mm.percpu.dynamic import (
    PCPU_MIN_UNIT_SIZE,
    Percpu,
    PercpuError,
    __alloc_percpu,
    __alloc_percpu_gfp,
    __alloc_reserved_percpu,
    free_percpu,
    per_cpu_ptr,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.linux import Kernel

__all__ = [
    "EARLY_PARAMS", "PcpuChunk", "Percpu", "PercpuError", "__alloc_percpu", "__alloc_percpu_gfp",
    "__alloc_reserved_percpu", "free_percpu", "per_cpu_ptr", "percpu_alloc_setup", "setup_per_cpu_areas",
]  # fmt: skip

PCPU_BITMAP_BLOCK_SIZE = PAGE_SIZE
PERCPU_DYNAMIC_EARLY_SIZE = 12 << 10
PERCPU_DYNAMIC_RESERVE = 20 << 10
PERCPU_MODULE_RESERVE = 8 << 10
_POINTER_BYTES = 4
_INFO = Purpose("percpu", "per-cpu layout, freed again")
_CHUNK = Purpose("percpu", "per-cpu first chunk")


class PcpuAllocInfo:
    """struct pcpu_alloc_info of one group: sizes in bytes of each part of a unit, of a unit, and of an allocation."""

    def __init__(self, pa: int, size: int) -> None:
        self.pa = pa
        self.bytes = size
        self.static_size = self.reserved_size = self.dyn_size = 0
        self.unit_size = self.atom_size = self.alloc_size = 0
        self.cpu_map: list[int] = []


def _longs(bits: int) -> int:
    # BITS_TO_LONGS(), in bytes
    return -(-bits // 32) * 4


def _alloc(k: Kernel, size: int, func: str, what: str) -> int:
    # memblock_alloc() that panics as each caller in percpu.c does
    pa = memblock_alloc(k.mm.memblock, size, k.mm.smp_cache_bytes, func, Purpose("percpu", f"per-cpu {what}"))
    if isinstance(pa, Err):
        raise KernelPanic(f"{func}: Failed to allocate {size} bytes", f"per-cpu {what}: {cause(k, pa.why)}")
    return pa


def percpu_alloc_setup(k: Kernel, arg: str | None) -> int:
    """percpu_alloc=embed|page. Returns 0 or a negative errno.

    Source: mm/percpu.c percpu_alloc_setup()
    Differs: on 32-bit ARM neither choice is compiled in, so each is unknown to the kernel.
    """
    if arg is None:
        return -22
    printk(k, KERN_WARNING, "percpu: unknown allocator {name} specified", name=arg)
    return 0


EARLY_PARAMS = (EarlyParam("percpu_alloc", percpu_alloc_setup, ("SMP",)),)


def pcpu_alloc_alloc_info(k: Kernel, nr_units: int) -> PcpuAllocInfo:
    """Allocate the description of one group of `nr_units` units.

    Source: mm/percpu.c pcpu_alloc_alloc_info()
    """
    sizeof = k.build.sizeof
    size = page_align(sizeof.pcpu_alloc_info + sizeof.pcpu_group_info + nr_units * 4)
    pa = memblock_alloc(k.mm.memblock, size, PAGE_SIZE, "pcpu_alloc_alloc_info", _INFO)
    return PcpuAllocInfo(pa, size)


def pcpu_build_alloc_info(k: Kernel, reserved_size: int, dyn_size: int, atom_size: int) -> PcpuAllocInfo:
    """Size the units (bytes) and put all possible CPUs into one group; its `pa` is 0, with why, when memory is short.

    Source: mm/percpu.c pcpu_build_alloc_info()
    Differs: without NUMA distances there is always one group, and with page-sized atoms one unit an allocation.
    """
    sym = k.build.symbols
    static_size = sym.per_cpu_end - sym.per_cpu_start
    size_sum = page_align(static_size + reserved_size + max(dyn_size, PERCPU_DYNAMIC_EARLY_SIZE))
    min_unit_size = max(size_sum, PCPU_MIN_UNIT_SIZE)
    alloc_size = -(-min_unit_size // atom_size) * atom_size
    cpus = list(range(k.num_possible_cpus))
    ai = pcpu_alloc_alloc_info(k, len(cpus))
    if not ai.pa:
        return ai
    ai.static_size, ai.reserved_size = static_size, reserved_size
    ai.dyn_size = size_sum - static_size - reserved_size
    ai.unit_size = ai.alloc_size = alloc_size
    ai.atom_size = atom_size
    ai.cpu_map = cpus
    return ai


def pcpu_embed_first_chunk(k: Kernel, reserved_size: int, dyn_size: int, atom_size: int) -> int:
    """Take a unit per CPU from the linear mapping, copy the static data, give back what is left; 0 or -errno with why.

    Source: mm/percpu.c pcpu_embed_first_chunk()
    """
    func = "pcpu_embed_first_chunk"
    mb, ram, sym = k.mm.memblock, k.machine.ram, k.build.symbols
    ai = pcpu_build_alloc_info(k, reserved_size, dyn_size, atom_size)
    if isinstance(ai.pa, Err):
        return Err(-ENOMEM, ai.pa.why)
    size_sum = ai.static_size + ai.reserved_size + ai.dyn_size
    areas_size = page_align(_POINTER_BYTES)
    base = areas = memblock_alloc(mb, areas_size, k.mm.smp_cache_bytes, func, _INFO)
    if areas:
        base = memblock_alloc_try_nid(mb, len(ai.cpu_map) * ai.unit_size, atom_size, max_dma_address_pa(k),
                                      caller="pcpu_dfl_fc_alloc", purpose=_CHUNK)
    if not isinstance(base, Err):
        max_distance = ai.unit_size * len(ai.cpu_map)
        vmalloc_total = VMALLOC_END - k.mm.layout.VMALLOC_START
        if max_distance > vmalloc_total * 3 // 4:
            printk(k, KERN_WARNING, "percpu: max_distance={max_distance:#x} too large for vmalloc space "
                   "{vmalloc_total:#x}", max_distance=max_distance, vmalloc_total=vmalloc_total)
        static = ram.read(k.virt_to_phys(sym.per_cpu_load), ai.static_size)
        blank = static == bytes(ai.static_size)  # as in RAM that nobody loaded an image to; the units are clear already
        for unit in range(len(ai.cpu_map)):
            pa = base + unit * ai.unit_size
            if not blank:
                ram.write(pa, static)
            memblock_free(mb, pa + size_sum, ai.unit_size - size_sum, func, _CHUNK)
        printk(k, KERN_INFO, "percpu: Embedded {pages} pages/cpu s{static} r{reserved} d{dyn} u{unit}",
               pages=size_sum >> PAGE_SHIFT, static=ai.static_size, reserved=ai.reserved_size, dyn=ai.dyn_size,
               unit=ai.unit_size)
        pcpu_setup_first_chunk(k, ai, base)
    memblock_free(mb, ai.pa, ai.bytes, func, _INFO)
    if areas:
        memblock_free(mb, areas, areas_size, func, _INFO)
    return Err(-ENOMEM, base.why) if isinstance(base, Err) else 0


def max_dma_address_pa(k: Kernel) -> int:
    """The end (pa) of ZONE_DMA when the machine limits it, else that of the last virtual address.

    Source: arch/arm/include/asm/dma.h MAX_DMA_ADDRESS
    """
    if 0 < k.mm.arm_dma_zone_size < 0x100000000 - k.build.config.PAGE_OFFSET:
        return (k.mm.phys_offset + k.mm.arm_dma_zone_size) & 0xFFFFFFFF
    return k.virt_to_phys(0xFFFFFFFF)


def pcpu_dump_alloc_info(k: Kernel, ai: PcpuAllocInfo) -> None:
    """Log how the CPUs are laid out, some to a line of sixty characters.

    Source: mm/percpu.c pcpu_dump_alloc_info()
    """
    func = "pcpu_dump_alloc_info"
    cpu_width = len(str(k.num_possible_cpus))
    per_line = max(60 // (cpu_width + 1 + 1 + 3), 1)
    per_line = 1 << (per_line.bit_length() - 1)
    printk(k, KERN_DEBUG, "pcpu-alloc: s{static} r{reserved} d{dyn} u{unit} alloc={atoms}*{atom}", func=func,
           static=ai.static_size, reserved=ai.reserved_size, dyn=ai.dyn_size, unit=ai.unit_size,
           atoms=ai.alloc_size // ai.atom_size, atom=ai.atom_size)
    for i in range(0, len(ai.cpu_map), per_line):
        printk(k, KERN_DEBUG, "pcpu-alloc: {units}", func=func,
               units="".join(f"[0] {cpu:0{cpu_width}d} " for cpu in ai.cpu_map[i:i + per_line]))


def pcpu_setup_first_chunk(k: Kernel, ai: PcpuAllocInfo, base: int) -> None:
    """Allocate the allocator's own tables for the chunk at `base` (pa).

    Source: mm/percpu.c pcpu_setup_first_chunk()
    """
    func = "pcpu_setup_first_chunk"
    units = len(ai.cpu_map)
    _alloc(k, _POINTER_BYTES, func, "group offsets")
    _alloc(k, 4, func, "group sizes")
    _alloc(k, k.nr_cpu_ids * 4, func, "unit map")
    _alloc(k, k.nr_cpu_ids * 4, func, "unit offsets")
    pcpu_dump_alloc_info(k, ai)
    slots = max(ai.unit_size.bit_length() - 5 + 2, 1) + 2
    types = 2 if k.build.config.MEMCG_KMEM else 1
    _alloc(k, slots * 8 * types, func, "chunk lists")
    static_size = (ai.static_size + PCPU_MIN_ALLOC_SIZE - 1) & ~(PCPU_MIN_ALLOC_SIZE - 1)
    dyn_size = ai.dyn_size - (static_size - ai.static_size)
    base_va = k.phys_to_virt(base)
    k.mm.pcpu = Percpu(base_va, ai.unit_size, k.build.symbols.per_cpu_start if k.build.config.SMP else base_va,
                       (ai.static_size + ai.reserved_size + ai.dyn_size) // PAGE_SIZE)
    chunk = pcpu_alloc_first_chunk(k, base_va + static_size, ai.reserved_size or dyn_size)
    if ai.reserved_size:
        k.mm.pcpu.reserved_chunk = chunk
        chunk = pcpu_alloc_first_chunk(k, base_va + static_size + ai.reserved_size, dyn_size)
    k.mm.pcpu.link_first_chunk(chunk)
    k.mm.pcpu_base_pa, k.mm.pcpu_unit_size = base, ai.unit_size
    source = "mm/percpu.c setup_per_cpu_areas()"
    k.facts.add("pcpu_base", base, "pa", "one unit per possible CPU, below what is taken already",
                ("nr_cpu_ids", "pcpu_unit_size", "unflattened_tree", "cmdline:*", "CONFIG_SMP",
                 *k.owners.above(base, k.mm.memblock.current_limit)), source)
    k.facts.add("pcpu_unit_size", ai.unit_size, "bytes", "static + module + dynamic, whole pages",
                ("symbol:__per_cpu_start", "symbol:__per_cpu_end", "CONFIG_MODULES", "CONFIG_SMP"), source)
    step(k, "per-cpu areas: {units} units of {unit} bytes from {base:#010x}", func=func, units=units,
         unit=ai.unit_size, base=base)


def pcpu_alloc_first_chunk(k: Kernel, start: int, map_size: int) -> PcpuChunk:
    """Allocate a chunk descriptor with its maps for `map_size` bytes at `start` (va).

    Source: mm/percpu.c pcpu_alloc_first_chunk()
    Differs: descriptor and maps take their memory, but their contents are not written there.
    """
    func = "pcpu_alloc_first_chunk"
    sizeof = k.build.sizeof
    region_size = page_align((start & (PAGE_SIZE - 1)) + map_size)
    region_bits = region_size // PCPU_MIN_ALLOC_SIZE
    _alloc(k, sizeof.pcpu_chunk + _longs(region_size >> PAGE_SHIFT), func, "chunk descriptor")
    _alloc(k, _longs(region_bits), func, "allocation map")
    _alloc(k, _longs(region_bits + 1), func, "boundary map")
    _alloc(k, region_size // PCPU_BITMAP_BLOCK_SIZE * sizeof.pcpu_block_md, func, "block descriptors")
    return PcpuChunk(start, map_size)


def setup_per_cpu_areas(k: Kernel) -> None:
    """Set up per-cpu memory for all possible CPUs.

    Source: mm/percpu.c setup_per_cpu_areas()
    """
    config = k.build.config
    if not config.SMP:
        return _setup_up(k)
    reserve = PERCPU_MODULE_RESERVE if config.MODULES else 0
    ret = pcpu_embed_first_chunk(k, reserve, PERCPU_DYNAMIC_RESERVE, PAGE_SIZE)
    if isinstance(ret, Err):
        raise KernelPanic("Failed to initialize percpu areas.", f"per-cpu first chunk: {cause(k, ret.why)}")
    return None


def _setup_up(k: Kernel) -> None:
    # without SMP static per-cpu data are plain variables: only the dynamic part needs memory
    unit = 1 << (max(PCPU_MIN_UNIT_SIZE, PERCPU_DYNAMIC_RESERVE) - 1).bit_length()
    ai = pcpu_alloc_alloc_info(k, 1)
    base = memblock_alloc_try_nid(k.mm.memblock, unit, PAGE_SIZE, max_dma_address_pa(k), caller="setup_per_cpu_areas",
                                  purpose=_CHUNK)
    for pa in (ai.pa, base):
        if isinstance(pa, Err):
            raise KernelPanic("Failed to allocate memory for percpu areas.",
                              f"per-cpu first chunk: {cause(k, pa.why)}")
    ai.dyn_size = ai.unit_size = ai.atom_size = ai.alloc_size = unit
    ai.cpu_map = [0]
    pcpu_setup_first_chunk(k, ai, base)
    memblock_free(k.mm.memblock, ai.pa, ai.bytes, "setup_per_cpu_areas", _INFO)
