"""alloc_percpu() and free_percpu() (mm/percpu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk
from bootsim.linux.mm.page_alloc import __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL
from bootsim.linux.mm.percpu.area import (
    PCPU_MIN_ALLOC_SIZE,
    PcpuChunk,
    pcpu_alloc_area,
    pcpu_find_block_fit,
    pcpu_free_area,
)
from bootsim.page import PAGE_SIZE, page_pieces

if TYPE_CHECKING:
    from bootsim.linux import Kernel

PCPU_MIN_UNIT_SIZE = 32 << 10
PCPU_SLOT_BASE_SHIFT = 5
PCPU_SLOT_FAIL_THRESHOLD = 3
_GFP_PASSED_ON = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN


class PercpuError(BootsimError):
    """A per-cpu pointer that no allocation gave, or a processor that cannot be."""


class Percpu:
    """The variables of mm/percpu.c: `base` is pcpu_base_addr (va), `unit_size` in bytes, `slots` the lists of chunks.

    `per_cpu_start` is what per-cpu pointers count from: the static per-cpu section, or, without SMP, the unit itself.
    `pages_va` is where the array for pages of a new part of a chunk lies, 0 before its first use. `first_pages` are
    those of a unit that the boot gave.
    """

    def __init__(self, base: int, unit_size: int, per_cpu_start: int, first_pages: int) -> None:
        self.base = base
        self.unit_size = unit_size
        self.per_cpu_start = per_cpu_start
        self.first_pages = first_pages
        self.nr_slots = _size_to_slot(unit_size) + 2
        self.slots: list[list[PcpuChunk]] = [[] for _ in range(self.nr_slots)]
        self.reserved_chunk: PcpuChunk | None = None
        self.first_chunk: PcpuChunk | None = None
        self.warn_limit = 10
        self.pages_va = 0
        self.atomic_alloc_failed = False

    @property
    def nr_empty_pop_pages(self) -> int:
        """pcpu_nr_empty_pop_pages: the pages of a unit that are there and in which nothing is, in all chunks."""
        return sum(chunk.nr_empty_pop_pages for chunks in self.slots for chunk in chunks)

    @property
    def nr_populated(self) -> int:
        """pcpu_nr_populated: the pages of a unit that are there, in all chunks."""
        return self.first_pages + sum(sum(chunk.populated) for chunks in self.slots for chunk in chunks
                                      if chunk is not self.first_chunk)  # fmt: skip

    def link_first_chunk(self, chunk: PcpuChunk) -> None:
        """Make `chunk` the one that is searched."""
        self.first_chunk = chunk
        self.slots[self._slot(chunk)].append(chunk)

    def size_to_slot(self, size: int) -> int:
        """pcpu_size_to_slot(): the list for chunks whose largest free area has `size` bytes."""
        return self.nr_slots - 1 if size == self.unit_size else _size_to_slot(size)

    def _slot(self, chunk: PcpuChunk) -> int:
        # pcpu_chunk_slot()
        largest = chunk.chunk_md.contig_hint
        if chunk.free_bytes < PCPU_MIN_ALLOC_SIZE or largest == 0:
            return 0
        return self.size_to_slot(largest * PCPU_MIN_ALLOC_SIZE)

    def relocate(self, chunk: PcpuChunk, old: int) -> None:
        """pcpu_chunk_relocate(): put a chunk that was of slot `old` where it belongs now."""
        new = self._slot(chunk)
        if new != old:
            self.move(chunk, new, front=old < new)

    def move(self, chunk: PcpuChunk, slot: int, *, front: bool) -> None:
        """__pcpu_chunk_move(): put a chunk at one end of a list; the reserved one is on none."""
        if chunk is self.reserved_chunk:
            return
        for chunks in self.slots:
            if chunk in chunks:
                chunks.remove(chunk)
        self.slots[slot].insert(0 if front else len(self.slots[slot]), chunk)

    def take(self, chunk: PcpuChunk, bits: int, align: int, atomic: bool = False) -> int:
        """Search a chunk and take an area, in bits; its offset in bytes, -2 when the hints know of none, -1 the map.

        With `atomic` all of its pages must be there.
        """
        start = pcpu_find_block_fit(chunk, bits, align, atomic)
        if start < 0:
            return -2
        old = self._slot(chunk)
        off = pcpu_alloc_area(chunk, bits, align, start)
        if off >= 0:
            self.relocate(chunk, old)
        return off

    def give(self, chunk: PcpuChunk, off: int) -> int:
        """Give an area back; how many bytes it had."""
        old = self._slot(chunk)
        freed = pcpu_free_area(chunk, off)
        self.relocate(chunk, old)
        return freed


def _size_to_slot(size: int) -> int:
    # __pcpu_size_to_slot()
    return max(size.bit_length() - PCPU_SLOT_BASE_SHIFT + 2, 1)


def pcpu_alloc(k: Kernel, size: int, align: int, reserved: bool, gfp: int) -> int:
    """Take `size` bytes at a multiple of `align` in every unit, cleared; the per-cpu pointer, or 0.

    Source: mm/percpu.c pcpu_alloc()
    Differs: the work that keeps empty pages ready, pcpu_balance_workfn(), does not run by itself.
    """
    func = "pcpu_alloc"
    pcpu = k.mm.pcpu
    atomic, quiet = gfp & GFP_KERNEL != GFP_KERNEL, bool(gfp & __GFP_NOWARN)
    align = max(align, PCPU_MIN_ALLOC_SIZE)
    size = (size + PCPU_MIN_ALLOC_SIZE - 1) & -PCPU_MIN_ALLOC_SIZE
    if not 0 < size <= PCPU_MIN_UNIT_SIZE or align > PAGE_SIZE or align & (align - 1):
        if not quiet:
            warn(k, "mm/percpu.c:1714", f"illegal size ({size}) or align ({align}) for percpu allocation", func=func)
        return 0
    bits, bit_align = size // PCPU_MIN_ALLOC_SIZE, align // PCPU_MIN_ALLOC_SIZE
    if reserved and pcpu.reserved_chunk is not None:
        off = pcpu.take(pcpu.reserved_chunk, bits, bit_align, atomic)
        if off < 0:
            return _failed(k, size, align, atomic, quiet, "alloc from reserved chunk failed")
        return _cleared(k, pcpu.reserved_chunk, off, size)
    found = _search(pcpu, size, bits, bit_align, atomic)
    if found is None and atomic:
        return _failed(k, size, align, atomic, quiet, "atomic alloc failed, no space left")
    if found is None:
        return _from_new_chunk(k, size, align, gfp)
    chunk, off = found
    if not atomic and not _populate(k, chunk, off, size, gfp):
        return _failed(k, size, align, atomic, quiet, "failed to populate")
    return _cleared(k, chunk, off, size)


def _search(pcpu: Percpu, size: int, bits: int, align: int, atomic: bool) -> tuple[PcpuChunk, int] | None:
    # through the chunks of each list, those with the least room first; one of little room and no fit goes out of sight
    for slot in range(pcpu.size_to_slot(size), pcpu.nr_slots):
        for chunk in list(pcpu.slots[slot]):
            off = pcpu.take(chunk, bits, align, atomic)
            if off >= 0:
                return chunk, off
            if off == -2 and slot < PCPU_SLOT_FAIL_THRESHOLD:
                pcpu.move(chunk, 0, front=True)
    return None


def _from_new_chunk(k: Kernel, size: int, align: int, gfp: int) -> int:
    # no room: with one chunk more there is
    from bootsim.linux.mm.percpu.chunks import pcpu_create_chunk

    pcpu, quiet = k.mm.pcpu, bool(gfp & __GFP_NOWARN)
    if not pcpu.slots[pcpu.nr_slots - 1]:
        chunk = pcpu_create_chunk(k, gfp & _GFP_PASSED_ON)
        if chunk is None:
            return _failed(k, size, align, False, quiet, "failed to allocate new chunk")
        pcpu.relocate(chunk, -1)
    return pcpu_alloc(k, size, align, False, gfp)


def _populate(k: Kernel, chunk: PcpuChunk, off: int, size: int, gfp: int) -> bool:
    # whether the pages that an area lies on are there now
    from bootsim.linux.mm.percpu.chunks import pcpu_chunk_populated, pcpu_populate_chunk, unpopulated_regions

    end = -(-(off + size) // PAGE_SIZE)
    if 0 not in chunk.populated[off // PAGE_SIZE:end]:
        return True
    for first, last in unpopulated_regions(chunk, off // PAGE_SIZE, end):
        if not pcpu_populate_chunk(k, chunk, first, last, gfp & _GFP_PASSED_ON):
            k.mm.pcpu.give(chunk, off)
            return False
        pcpu_chunk_populated(chunk, first, last)
    return True


def _failed(k: Kernel, size: int, align: int, atomic: bool, quiet: bool, why: str) -> int:
    pcpu = k.mm.pcpu
    pcpu.atomic_alloc_failed |= atomic
    if not atomic and not quiet and pcpu.warn_limit:
        printk(k, KERN_WARNING, "percpu: allocation failed, size={size} align={align} atomic={atomic}, {why}",
               func="pcpu_alloc", size=size, align=align, atomic=int(atomic), why=why)
        pcpu.warn_limit -= 1
        if not pcpu.warn_limit:
            printk(k, KERN_INFO, "percpu: limit reached, disable warning", func="pcpu_alloc")
    return 0


def _cleared(k: Kernel, chunk: PcpuChunk, off: int, size: int) -> int:
    addr = chunk.base_addr + off
    for cpu in range(k.num_possible_cpus):
        for va, length in page_pieces(addr + cpu * k.mm.pcpu.unit_size, size):
            found = k.translate(va) if chunk.vms else None
            k.machine.ram.zero(found.pa if found else k.virt_to_phys(va), length)
    return addr - k.mm.pcpu.base + k.mm.pcpu.per_cpu_start


def __alloc_percpu_gfp(k: Kernel, size: int, align: int, gfp: int) -> int:
    """Take `size` bytes of every processor's unit; the per-cpu pointer, or 0.

    Source: mm/percpu.c __alloc_percpu_gfp()
    """
    return pcpu_alloc(k, size, align, False, gfp)


def __alloc_percpu(k: Kernel, size: int, align: int) -> int:
    """Take `size` bytes of every processor's unit, with GFP_KERNEL; the per-cpu pointer, or 0.

    Source: mm/percpu.c __alloc_percpu()
    """
    return pcpu_alloc(k, size, align, False, GFP_KERNEL)


def __alloc_reserved_percpu(k: Kernel, size: int, align: int) -> int:
    """Take `size` bytes of every unit, out of what is reserved for modules; the per-cpu pointer, or 0.

    Source: mm/percpu.c __alloc_reserved_percpu()
    """
    return pcpu_alloc(k, size, align, True, GFP_KERNEL)


def per_cpu_ptr(k: Kernel, ptr: int, cpu: int) -> int:
    """The address (va) of a per-cpu variable on one processor. Raises PercpuError for one that cannot be.

    Source: include/linux/percpu-defs.h per_cpu_ptr()
    """
    if not 0 <= cpu < k.num_possible_cpus:
        raise PercpuError(f"cpu {cpu}: {k.num_possible_cpus} processors are possible")
    return (ptr - k.mm.pcpu.per_cpu_start + k.mm.pcpu.base + cpu * k.mm.pcpu.unit_size) & 0xFFFFFFFF


def free_percpu(k: Kernel, ptr: int) -> None:
    """Give back what __alloc_percpu() gave; 0 is nothing. Raises PercpuError for what it did not give.

    Source: mm/percpu.c free_percpu()
    Differs: a pointer that was not given, or is free already, is refused; the kernel's bitmaps would be wrong from then
        on.
    """
    if not ptr:
        return
    pcpu = k.mm.pcpu
    addr = per_cpu_ptr(k, ptr, 0)
    chunks = (pcpu.first_chunk, pcpu.reserved_chunk, *(chunk for chunks in pcpu.slots for chunk in chunks))
    chunk = next((c for c in chunks if c is not None and addr in c), None)
    bit = -1 if chunk is None else (addr - chunk.base_addr) // PCPU_MIN_ALLOC_SIZE
    if chunk is None or addr % PCPU_MIN_ALLOC_SIZE or not (chunk.bound_map[bit] and chunk.alloc_map[bit]):
        raise PercpuError(f"free_percpu({ptr:#x}): no per-cpu allocation begins there")
    pcpu.give(chunk, addr - chunk.base_addr)
