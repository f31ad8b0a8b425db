"""mm/cma.c: declaring and activating areas."""

from __future__ import annotations

import pytest

from bootsim.errors import InputError
from bootsim.linux.mm.cma import Cma, cma_alloc, cma_declare_contiguous, cma_init_reserved_mem, cma_release
from bootsim.linux.mm.memblock import memblock_reserve

MIB = 1 << 20


@pytest.fixture
def k(board):
    return board.boot("cma=0")


def declare(k, base, size, limit=0, fixed=False):
    return cma_declare_contiguous(k, base, size, limit, 0, 0, fixed, "area", ("CONFIG_CMA",))


def test_an_area_must_be_reserved_and_aligned(k):
    assert cma_init_reserved_mem(k, 0x70000000, 4 * MIB, 0, "x", "who") == (-22, None)
    memblock_reserve(k.mm.memblock, 0x70000000, 8 * MIB, "test")
    assert cma_init_reserved_mem(k, 0x70100000, 4 * MIB, 0, "x", "who") == (-22, None)
    assert cma_init_reserved_mem(k, 0x70000000, 0, 0, "x", "who") == (-22, None)
    assert cma_init_reserved_mem(k, 0x70000000, 4 * MIB, 0, "x" * 80, "who")[1].name == "x" * 63
    assert k.mm.totalcma_pages == 1024


def test_a_fixed_area_at_0_is_not_fixed(k):
    assert declare(k, 0, 4 * MIB, fixed=True)[1].base_pfn == 0x9FC00


def test_a_size_that_wraps_is_no_size(board, k):
    assert declare(k, 0, 4095 * MIB)[0] == -22
    assert board.said(k, "cma") == ["cma: Failed to reserve 0 MiB"]


def test_highmem_comes_first(board):
    k = board.boot("cma=0 vmalloc=800M")
    assert declare(k, 0, 4 * MIB)[1].base_pfn << 12 > k.mm.arm_lowmem_limit
    # |--- lowmem ---|- highmem, all but 1 MiB reserved -|
    memblock_reserve(k.mm.memblock, k.mm.arm_lowmem_limit, 0xA0000000 - k.mm.arm_lowmem_limit, "test")
    area = declare(k, 0, 4 * MIB)[1]
    assert (area.base_pfn + area.count) << 12 <= k.mm.arm_lowmem_limit


def test_a_fixed_area_is_not_moved_to_where_it_may_begin(board, k):
    assert declare(k, 0x70100000, 4 * MIB, fixed=True) == (-22, None)
    assert board.said(k, "aligned") == ["cma: Region at 0x70100000 must be aligned to 0x00400000 bytes"]
    assert declare(k, 0x70100000, 4 * MIB)[1].base_pfn % 1024 == 0


def test_a_fixed_area_may_end_where_lowmem_does(board):
    k = board.boot("cma=0 vmalloc=800M")
    end = k.mm.arm_lowmem_limit
    base = end - 4 * MIB
    assert declare(k, base, 8 * MIB, fixed=True) == (-22, None)
    assert board.said(k, "boundary") == [
        f"cma: Region at {base:#010x} defined on low/high memory boundary ({end:#010x})"]
    assert declare(k, base, 4 * MIB, fixed=True)[1].base_pfn == base >> 12


def test_no_more_than_the_slots(board, k):
    for _ in range(k.build.config.CMA_AREAS + 1):
        assert declare(k, 0, 4 * MIB)[0] == 0
    assert declare(k, 0, 4 * MIB) == (-28, None)
    assert board.causes(k)[-1] == "CONFIG_CMA is one more than the 8 areas of CONFIG_CMA_AREAS + 1"
    assert board.said(k, "slots") == ["cma: Not enough slots for CMA reserved regions!"]


def test_an_area_in_two_zones_is_given_up(board):
    pool = 'a@8f000000 { compatible = "shared-dma-pool"; reusable; reg = <0x8f000000 0x2000000>; };'
    k = board.boot("vmalloc=512M", reserved=pool, until=None)
    assert board.said(k, "activated") == ["cma: CMA area a@8f000000 could not be activated"]
    assert board.causes(k) == [
        "board.dts:9 /reserved-memory/a@8f000000 reg: the area spans the zones Normal and HighMem"]


def test_an_area_outside_memory_takes_other_memory_for_its_pages(board):
    pool = 'a@f0000000 { compatible = "shared-dma-pool"; reusable; reg = <0xf0000000 0x1000000>; };'
    k = board.boot(reserved=pool, until=None)
    assert k.panicked is not None
    assert board.said(k, "mm/cma.c:106") == ["WARNING: CPU: 0 PID: 1 at mm/cma.c:106 cma_init_reserved_areas"]


def test_cma_debug_tells_what_is_asked_for(board):
    k = board.boot("cma=16M", build={"CMA_DEBUG": True})
    assert board.said(k, "cma: dma_contiguous", "cma: cma_declare") == [
        "cma: dma_contiguous_reserve(limit ffffffff)", "cma: dma_contiguous_reserve: reserving 16 MiB for global area",
        "cma: cma_declare_contiguous_nid(size 0x01000000, base 0x00000000, limit 0xffffffff alignment 0x00000000)"]
    assert board.said(board.boot("cma=16M"), "cma: dma_contiguous", "cma: cma_declare") == []


def test_cma_debug_tells_what_is_taken(board):
    k = board.boot("cma=16M", build={"CMA_DEBUG": True}, until=None)
    area = k.mm.cma_areas[0]
    before = len(board.said(k, "cma: "))
    first = cma_alloc(k, area, 100, 0)
    assert cma_alloc(k, area, 4000, 0) is None
    assert cma_alloc(k, area, 4097, 0) is None
    assert cma_release(k, area, first, 100)
    assert board.said(k, "cma: ")[before:] == [
        "cma: cma_alloc(cma (ptrval), count 100, align 0)", "cma: cma_alloc(): returned (ptrval)",
        "cma: cma_alloc(cma (ptrval), count 4000, align 0)",
        "cma: cma_alloc: alloc failed, req-size: 4000 pages, ret: -12",
        f"cma: number of available pages: {4096 - 164}@164=> {4096 - 164} free of 4096 total pages",  # 64 of DMA's pool
        "cma: cma_alloc(): returned 00000000",
        "cma: cma_alloc(cma (ptrval), count 4097, align 0)",
        "cma: cma_release(page (ptrval))"]


def test_no_pages_are_given_back_at_once(board):
    k = board.boot("cma=16M", until=None)
    area = k.mm.cma_areas[0]
    assert cma_release(k, area, area.base_pfn, 0)
    assert not cma_release(k, area, area.base_pfn - 1, 0)
    assert cma_alloc(k, area, 0, 0) is None


def test_only_areas_of_the_machine_give_pages(board):
    k = board.boot("cma=16M", until=None)
    area = k.mm.cma_areas[0]
    other = k.copy()
    with pytest.raises(InputError, match="no contiguous area of this machine"):
        cma_alloc(other, area, 1, 0)
    with pytest.raises(InputError, match="no contiguous area of this machine"):
        cma_release(other, area, area.base_pfn, 1)
    assert cma_alloc(k, None, 1, 0) is None
    assert not cma_release(k, None, area.base_pfn, 1)
    assert cma_alloc(k, area, 1, 1 << 40) is None
    assert cma_alloc(k, area, 1, 0) is not None


def test_without_reserved_mem_the_kernel_reserves_and_no_more(board):
    k = board.boot("", reserved="a@70000000 { reg = <0x70000000 0x100000>; }; b { size = <0x100000>; };",
                   build={"OF_RESERVED_MEM": False})
    assert k.of.reserved_mem == []
    assert (0x70000000, 0x100000) in [(r.base, r.size) for r in k.mm.memblock.reserved.regions]


def area_of(base_pfn, count, order_per_bit):
    area = Cma(base_pfn, count, order_per_bit, "area")
    area.bitmap = bytearray(count >> order_per_bit)
    return area


def take(k, area, count, align, busy=()):
    def contig(_k, start, end, _migratetype):
        return -16 if any(start <= pfn < end for pfn in busy) else 0

    k.mm.cma_areas = [area]
    return cma_alloc(k, area, count, align, contig=contig)


def test_frames_are_aligned_not_bits(k):
    # 8 MiB, where the area begins in the middle of them
    assert take(k, area_of(0x400, 8192, 0), 1, 11) == 0x800
    assert take(k, area_of(0x400, 8192, 3), 1, 11) == 0x800
    assert take(k, area_of(0x400, 8192, 3), 1, 2) == 0x400


def test_a_bit_stands_for_several_pages(k):
    area = area_of(0x400, 4096, 2)
    assert take(k, area, 5, 0) == 0x400
    assert area.set_bits == [[0, 2]]
    assert take(k, area, 4, 0) == 0x408
    assert take(k, area, 4096, 0) is None
    assert cma_release(k, area, 0x400, 5, free=False)
    assert area.set_bits == [[2, 1]]


def test_a_busy_range_leaves_no_bits_behind(k):
    area = area_of(0x400, 4096, 0)
    assert take(k, area, 8, 3, busy=(0x401, 0x40F)) == 0x410
    assert area.set_bits == [[16, 8]]
    assert take(k, area, 4096 - 24, 0, busy=range(0x418, 0x1400)) is None
    assert area.set_bits == [[16, 8]]
