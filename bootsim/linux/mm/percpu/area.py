"""Areas of a per-cpu chunk: bitmaps, and what is known of free space by page (mm/percpu.c, mm/percpu-internal.h).

A bit, a byte here, stands for PCPU_MIN_ALLOC_SIZE bytes of each unit. A block of metadata is for one page:

    |#####..........######......................####.......|
     first_free ^    scan_hint: the largest known area before contig_hint
                     contig_hint: the largest     ^ right_free
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.page import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux.mm.vmalloc.early import VmStruct

PCPU_MIN_ALLOC_SIZE = 4
PCPU_BITMAP_BLOCK_BITS = PAGE_SIZE // PCPU_MIN_ALLOC_SIZE


class PcpuBlockMd:
    """struct pcpu_block_md of pcpu_init_md_block(): all in bits; `nr_bits` is how many the block has."""

    __slots__ = ("contig_hint", "contig_hint_start", "first_free", "left_free", "nr_bits", "right_free", "scan_hint",
                 "scan_hint_start")  # fmt: skip

    def __init__(self, nr_bits: int) -> None:
        self.nr_bits = self.contig_hint = self.left_free = self.right_free = nr_bits
        self.scan_hint = self.scan_hint_start = self.contig_hint_start = self.first_free = 0

    def __repr__(self) -> str:
        return f"PcpuBlockMd({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


class PcpuChunk:
    """struct pcpu_chunk: `map_size` bytes from `addr` on (va, in the unit of cpu 0); the boot's are all populated.

    `alloc_map` and `bound_map` have a byte for each bit, `populated` one for each page; `vms` are its areas of kernel
    addresses, `pfn` the first page where it has none, `parts` the addresses (va) of its descriptor and maps: those of a
    chunk that was made after the boot.
    Source: mm/percpu.c pcpu_alloc_first_chunk(), pcpu_alloc_chunk()
    """

    def __init__(self, addr: int, map_size: int, *, populated: bool = True) -> None:
        self.vms: list[VmStruct] = []
        self.pfn: int | None = None
        self.parts: list[int] = []
        self.base_addr = addr & -PAGE_SIZE
        self.start_offset = addr - self.base_addr
        region_size = page_align(self.start_offset + map_size)
        self.end_offset = region_size - self.start_offset - map_size
        self.nr_pages = region_size // PAGE_SIZE
        self.populated = bytearray([populated]) * self.nr_pages
        self.nr_empty_pop_pages = self.nr_pages if populated else 0
        self.free_bytes = map_size
        self.map_bits = bits = region_size // PCPU_MIN_ALLOC_SIZE
        self.alloc_map, self.bound_map = bytearray(bits), bytearray(bits + 1)
        self.chunk_md = PcpuBlockMd(bits)
        self.md_blocks = [PcpuBlockMd(PCPU_BITMAP_BLOCK_BITS) for _ in range(self.nr_pages)]
        if self.start_offset:
            self._hide(0, self.start_offset // PCPU_MIN_ALLOC_SIZE)
            self.chunk_md.first_free = self.start_offset // PCPU_MIN_ALLOC_SIZE
            pcpu_block_update_hint_alloc(self, 0, self.start_offset // PCPU_MIN_ALLOC_SIZE)
        if self.end_offset:
            hidden = self.end_offset // PCPU_MIN_ALLOC_SIZE
            self._hide(bits - hidden, hidden)
            pcpu_block_update_hint_alloc(self, bits - hidden, hidden)

    def _hide(self, start: int, bits: int) -> None:
        self.alloc_map[start:start + bits] = b"\1" * bits
        self.bound_map[start] = self.bound_map[start + bits] = 1

    def __contains__(self, addr: int) -> bool:
        """pcpu_addr_in_chunk(): whether an address (va) in the unit of cpu 0 is served from here."""
        end = self.base_addr + self.nr_pages * PAGE_SIZE - self.end_offset
        return self.base_addr + self.start_offset <= addr < end

    def __repr__(self) -> str:
        return f"PcpuChunk({self.base_addr:#x}, {self.free_bytes} bytes free, largest {self.chunk_md.contig_hint * 4})"


def _next_set(bits: bytearray, size: int, start: int) -> int:
    # find_next_bit()
    found = bits.find(1, start, size)
    return size if found < 0 else found


def _next_clear(bits: bytearray, size: int, start: int) -> int:
    # find_next_zero_bit()
    found = bits.find(0, start, size)
    return size if found < 0 else found


def _last_set(chunk: PcpuChunk, index: int, size: int) -> int:
    # find_last_bit() of the first `size` bits of a block; `size` when none is set
    base = index * PCPU_BITMAP_BLOCK_BITS
    found = chunk.alloc_map.rfind(1, base, base + size)
    return size if found < 0 else found - base


def _align(value: int, unit: int) -> int:
    return (value + unit - 1) & -unit


def _ffs(value: int) -> int:
    # __ffs() of a number that is not 0
    return (value & -value).bit_length() - 1


def pcpu_region_overlap(a: int, b: int, x: int, y: int) -> bool:
    """Whether [a, b) and [x, y) have a bit in common.

    Source: mm/percpu.c pcpu_region_overlap()
    """
    return a < y and x < b


# ---------------------------------------------------------------- hints


def pcpu_block_update(block: PcpuBlockMd, start: int, end: int) -> None:
    """A block, or a whole chunk, has the free area [start, end): keep the best of what is known.

    Source: mm/percpu.c pcpu_block_update()
    """
    contig = end - start
    block.first_free = min(block.first_free, start)
    if start == 0:
        block.left_free = contig
    if end == block.nr_bits:
        block.right_free = contig
    if contig > block.contig_hint:
        if start > block.contig_hint_start:
            if block.contig_hint > block.scan_hint:
                block.scan_hint_start, block.scan_hint = block.contig_hint_start, block.contig_hint
            elif start < block.scan_hint_start:
                block.scan_hint = 0
        else:
            block.scan_hint = 0
        block.contig_hint_start, block.contig_hint = start, contig
    elif contig == block.contig_hint:
        if block.contig_hint_start and (not start or _ffs(start) > _ffs(block.contig_hint_start)):
            block.contig_hint_start = start
            if start < block.scan_hint_start and block.contig_hint > block.scan_hint:
                block.scan_hint = 0
        elif start > block.scan_hint_start or block.contig_hint > block.scan_hint:
            block.scan_hint_start, block.scan_hint = start, contig
    elif start < block.contig_hint_start and (
        contig > block.scan_hint or (contig == block.scan_hint and start > block.scan_hint_start)
    ):
        block.scan_hint_start, block.scan_hint = start, contig


def pcpu_block_update_scan(chunk: PcpuChunk, bit_off: int, bits: int) -> None:
    """A search passed over a free area: its block may learn of it.

    Source: mm/percpu.c pcpu_block_update_scan()
    """
    index, s_off = divmod(bit_off, PCPU_BITMAP_BLOCK_BITS)
    e_off = s_off + bits
    if e_off > PCPU_BITMAP_BLOCK_BITS:
        return
    last = _last_set(chunk, index, s_off)
    pcpu_block_update(chunk.md_blocks[index], 0 if s_off == last else last + 1, e_off)


def _md_free_regions(chunk: PcpuChunk, bit_off: int) -> Iterator[tuple[int, int]]:
    # pcpu_for_each_md_free_region(): the largest areas of the blocks, those over several blocks whole
    while True:
        bit_off, bits = _next_md_free_region(chunk, bit_off)
        if bit_off >= chunk.map_bits:
            return
        yield bit_off, bits
        bit_off += bits + 1


def _next_md_free_region(chunk: PcpuChunk, bit_off: int) -> tuple[int, int]:
    first, block_off = divmod(bit_off, PCPU_BITMAP_BLOCK_BITS)
    bits = 0
    for i in range(first, chunk.nr_pages):
        block = chunk.md_blocks[i]
        if bits:
            bits += block.left_free
            if block.left_free == PCPU_BITMAP_BLOCK_BITS:
                continue
            return bit_off, bits
        bits = block.contig_hint
        if bits and block.contig_hint_start >= block_off and bits + block.contig_hint_start < PCPU_BITMAP_BLOCK_BITS:
            return i * PCPU_BITMAP_BLOCK_BITS + block.contig_hint_start, bits
        block_off = 0
        bits = block.right_free
        bit_off = (i + 1) * PCPU_BITMAP_BLOCK_BITS - block.right_free
    return bit_off, bits


def pcpu_chunk_refresh_hint(chunk: PcpuChunk, full_scan: bool) -> None:
    """Find the chunk's largest free area again, out of its blocks; without `full_scan` from the scan hint on.

    Source: mm/percpu.c pcpu_chunk_refresh_hint()
    """
    md = chunk.chunk_md
    if not full_scan and md.scan_hint:
        bit_off = md.scan_hint_start + md.scan_hint
        md.contig_hint_start, md.contig_hint, md.scan_hint = md.scan_hint_start, md.scan_hint, 0
    else:
        bit_off = md.first_free
        md.contig_hint = 0
    for start, bits in _md_free_regions(chunk, bit_off):
        pcpu_block_update(md, start, start + bits)


def pcpu_block_refresh_hint(chunk: PcpuChunk, index: int) -> None:
    """Scan a block's bitmap for its free areas.

    Source: mm/percpu.c pcpu_block_refresh_hint()
    """
    block = chunk.md_blocks[index]
    if block.scan_hint:
        start = block.scan_hint_start + block.scan_hint
        block.contig_hint_start, block.contig_hint, block.scan_hint = block.scan_hint_start, block.scan_hint, 0
    else:
        start = block.first_free
        block.contig_hint = 0
    block.right_free = 0
    base, end = index * PCPU_BITMAP_BLOCK_BITS, (index + 1) * PCPU_BITMAP_BLOCK_BITS
    rs = _next_clear(chunk.alloc_map, end, base + start)
    while rs < end:
        re = _next_set(chunk.alloc_map, end, rs + 1)
        pcpu_block_update(block, rs - base, re - base)
        rs = _next_clear(chunk.alloc_map, end, re + 1) if re < end else end


def pcpu_block_update_hint_alloc(chunk: PcpuChunk, bit_off: int, bits: int) -> None:
    """Bits were taken: bring the hints of their blocks and of the chunk up to date.

    Source: mm/percpu.c pcpu_block_update_hint_alloc()
    """
    full = PCPU_BITMAP_BLOCK_BITS
    s_index, s_off = divmod(bit_off, full)
    e_index, e_off = divmod(bit_off + bits - 1, full)
    e_off += 1
    s_block, e_block, md = chunk.md_blocks[s_index], chunk.md_blocks[e_index], chunk.chunk_md
    emptied = int(s_block.contig_hint == full)
    if s_off == s_block.first_free:
        s_block.first_free = _first_clear_in(chunk, s_index, s_off + bits)
    if pcpu_region_overlap(s_block.scan_hint_start, s_block.scan_hint_start + s_block.scan_hint, s_off, s_off + bits):
        s_block.scan_hint = 0
    if pcpu_region_overlap(s_block.contig_hint_start, s_block.contig_hint_start + s_block.contig_hint, s_off,
                           s_off + bits):
        if not s_off:
            s_block.left_free = 0
        pcpu_block_refresh_hint(chunk, s_index)
    else:
        s_block.left_free = min(s_block.left_free, s_off)
        s_block.right_free = min(s_block.right_free, full - e_off) if s_index == e_index else 0
    if s_index != e_index:
        emptied += int(e_block.contig_hint == full)
        emptied += e_index - s_index - 1
        _take_last_block(chunk, e_index, e_off)
        for block in chunk.md_blocks[s_index + 1:e_index + int(e_off == full)]:
            block.scan_hint = block.contig_hint = block.left_free = block.right_free = 0
    chunk.nr_empty_pop_pages -= emptied
    if pcpu_region_overlap(md.scan_hint_start, md.scan_hint_start + md.scan_hint, bit_off, bit_off + bits):
        md.scan_hint = 0
    if pcpu_region_overlap(md.contig_hint_start, md.contig_hint_start + md.contig_hint, bit_off, bit_off + bits):
        pcpu_chunk_refresh_hint(chunk, full_scan=False)


def _first_clear_in(chunk: PcpuChunk, index: int, start: int) -> int:
    base, end = index * PCPU_BITMAP_BLOCK_BITS, (index + 1) * PCPU_BITMAP_BLOCK_BITS
    return min(_next_clear(chunk.alloc_map, end, base + start) - base, PCPU_BITMAP_BLOCK_BITS)


def _take_last_block(chunk: PcpuChunk, index: int, e_off: int) -> None:
    # the last of the blocks that an allocation spans
    block = chunk.md_blocks[index]
    block.first_free = _first_clear_in(chunk, index, e_off)
    if e_off < PCPU_BITMAP_BLOCK_BITS:
        if e_off > block.scan_hint_start:
            block.scan_hint = 0
        block.left_free = 0
        if e_off > block.contig_hint_start:
            pcpu_block_refresh_hint(chunk, index)
        else:
            block.right_free = min(block.right_free, PCPU_BITMAP_BLOCK_BITS - e_off)


def pcpu_block_update_hint_free(chunk: PcpuChunk, bit_off: int, bits: int) -> None:
    """Bits were given back: bring the hints of their blocks and of the chunk up to date.

    Source: mm/percpu.c pcpu_block_update_hint_free()
    """
    full = PCPU_BITMAP_BLOCK_BITS
    s_index, s_off = divmod(bit_off, full)
    e_index, e_off = divmod(bit_off + bits - 1, full)
    e_off += 1
    s_block, e_block = chunk.md_blocks[s_index], chunk.md_blocks[e_index]
    if s_off == s_block.contig_hint + s_block.contig_hint_start:
        start = s_block.contig_hint_start
    else:
        last = _last_set(chunk, s_index, s_off)
        start = 0 if last == s_off else last + 1
    if e_off == e_block.contig_hint_start:
        end = e_block.contig_hint_start + e_block.contig_hint
    else:
        base = e_index * full
        end = _next_set(chunk.alloc_map, base + full, base + e_off) - base
    e_off = end if s_index == e_index else full
    emptied = int(not start and e_off == full)
    pcpu_block_update(s_block, start, e_off)
    if s_index != e_index:
        emptied += int(end == full) + e_index - s_index - 1
        pcpu_block_update(e_block, 0, end)
        for block in chunk.md_blocks[s_index + 1:e_index]:
            block.first_free = block.scan_hint = block.contig_hint_start = 0
            block.contig_hint = block.left_free = block.right_free = full
    chunk.nr_empty_pop_pages += emptied
    if end - start >= full or s_index != e_index:
        pcpu_chunk_refresh_hint(chunk, full_scan=True)
    else:  # the end is one of the block, not of the chunk, in the kernel, too
        pcpu_block_update(chunk.chunk_md, s_index * full + start, end)


# ---------------------------------------------------------------- finding, taking, giving back


def pcpu_next_hint(block: PcpuBlockMd, alloc_bits: int) -> int:
    """Where a search begins: at the first free bit, or behind a scan hint that is too small.

    Source: mm/percpu.c pcpu_next_hint()
    """
    if block.scan_hint and block.contig_hint_start > block.scan_hint_start and alloc_bits > block.scan_hint:
        return block.scan_hint_start + block.scan_hint
    return block.first_free


def _next_fit_region(chunk: PcpuChunk, alloc_bits: int, align: int, bit_off: int) -> tuple[int, int]:
    # pcpu_next_fit_region(): where to look, or the end of the map, and how many bits
    full = PCPU_BITMAP_BLOCK_BITS
    first, block_off = divmod(bit_off, full)
    bits = 0
    for i in range(first, chunk.nr_pages):
        block = chunk.md_blocks[i]
        if bits:
            bits += block.left_free
            if bits >= alloc_bits:
                return bit_off, bits
            if block.left_free == full:
                continue
        bits = _align(block.contig_hint_start, align) - block.contig_hint_start
        if block.contig_hint and block.contig_hint_start >= block_off and block.contig_hint >= bits + alloc_bits:
            start = pcpu_next_hint(block, alloc_bits)
            return i * full + start, bits + alloc_bits + block.contig_hint_start - start
        block_off = 0
        bit_off = _align(full - block.right_free, align)
        bits = full - bit_off
        bit_off += i * full
        if bits >= alloc_bits:
            return bit_off, bits
    return chunk.map_bits, bits


def _unpopulated(chunk: PcpuChunk, bit_off: int, bits: int) -> int | None:
    # pcpu_is_populated(): None when all pages of the bits are there, else the bit behind those that are not
    page_end = -(-(bit_off + bits) * PCPU_MIN_ALLOC_SIZE // PAGE_SIZE)
    first = chunk.populated.find(0, bit_off * PCPU_MIN_ALLOC_SIZE // PAGE_SIZE, page_end)
    if first < 0:
        return None
    return _next_set(chunk.populated, page_end, first) * PAGE_SIZE // PCPU_MIN_ALLOC_SIZE


def pcpu_find_block_fit(chunk: PcpuChunk, alloc_bits: int, align: int, pop_only: bool = False) -> int:
    """The bit from which on to search for `alloc_bits` at a multiple of `align` bits; -1 when the hints know of none.

    With `pop_only` all pages there must be populated.
    Source: mm/percpu.c pcpu_find_block_fit()
    """
    md = chunk.chunk_md
    skipped = _align(md.contig_hint_start, align) - md.contig_hint_start
    if skipped + alloc_bits > md.contig_hint:
        return -1
    bit_off, bits = _next_fit_region(chunk, alloc_bits, align, pcpu_next_hint(md, alloc_bits))
    while pop_only and bit_off < chunk.map_bits:
        behind = _unpopulated(chunk, bit_off, bits)
        if behind is None:
            break
        bit_off, bits = _next_fit_region(chunk, alloc_bits, align, behind)
    return -1 if bit_off >= chunk.map_bits else bit_off


def _find_zero_area(chunk: PcpuChunk, size: int, start: int, nr: int, align: int) -> tuple[int, int, int]:
    # pcpu_find_zero_area(): the area, at or behind `size` for none; the largest that was passed over, and its bits
    largest_off = largest_bits = 0
    while True:
        index = _align(_next_clear(chunk.alloc_map, size, start), align)
        end = index + nr
        if end > size:
            return end, largest_off, largest_bits
        taken = _next_set(chunk.alloc_map, end, index)
        if taken >= end:
            return index, largest_off, largest_bits
        bits = taken - index
        if bits > largest_bits or (
            bits == largest_bits and largest_off and (not index or _ffs(index) > _ffs(largest_off))
        ):
            largest_off, largest_bits = index, bits
        start = taken + 1


def pcpu_alloc_area(chunk: PcpuChunk, alloc_bits: int, align: int, start: int) -> int:
    """Take `alloc_bits` at a multiple of `align` bits, searching from bit `start`; their offset in bytes, or -1.

    Source: mm/percpu.c pcpu_alloc_area()
    """
    end = min(start + alloc_bits + PCPU_BITMAP_BLOCK_BITS, chunk.map_bits)
    bit_off, skipped_off, skipped_bits = _find_zero_area(chunk, end, start, alloc_bits, align)
    if bit_off >= end:
        return -1
    if skipped_bits:
        pcpu_block_update_scan(chunk, skipped_off, skipped_bits)
    chunk.alloc_map[bit_off:bit_off + alloc_bits] = b"\1" * alloc_bits
    chunk.bound_map[bit_off:bit_off + alloc_bits] = b"\1" + bytes(alloc_bits - 1)
    chunk.bound_map[bit_off + alloc_bits] = 1
    chunk.free_bytes -= alloc_bits * PCPU_MIN_ALLOC_SIZE
    if bit_off == chunk.chunk_md.first_free:
        chunk.chunk_md.first_free = _next_clear(chunk.alloc_map, chunk.map_bits, bit_off + alloc_bits)
    pcpu_block_update_hint_alloc(chunk, bit_off, alloc_bits)
    return bit_off * PCPU_MIN_ALLOC_SIZE


def pcpu_free_area(chunk: PcpuChunk, off: int) -> int:
    """Give back the area at an offset in bytes; how many bytes it had.

    Source: mm/percpu.c pcpu_free_area()
    """
    bit_off = off // PCPU_MIN_ALLOC_SIZE
    bits = _next_set(chunk.bound_map, chunk.map_bits, bit_off + 1) - bit_off
    chunk.alloc_map[bit_off:bit_off + bits] = bytes(bits)
    chunk.free_bytes += bits * PCPU_MIN_ALLOC_SIZE
    chunk.chunk_md.first_free = min(chunk.chunk_md.first_free, bit_off)
    pcpu_block_update_hint_free(chunk, bit_off, bits)
    return bits * PCPU_MIN_ALLOC_SIZE
