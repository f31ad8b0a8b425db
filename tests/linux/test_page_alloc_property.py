"""Random traffic on the page allocator: nothing lost, nothing handed out twice, every invariant kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.hw.machine import Machine
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.linux import Kernel
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.memblock import (
    for_each_free_mem_range,
    memblock_add,
    memblock_free_all,
    memblock_reserve,
    memblock_set_current_limit,
)

pytestmark = pytest.mark.property
MIB = 1 << 20
BASE = 0x60000000
PFN = BASE >> 12
LOW_END = BASE + 48 * MIB
MACHINE = Machine()
free_block = pa.__free_pages  # inside a class the name would be mangled

MASKS = st.sampled_from(
    [
        pa.GFP_KERNEL,
        pa.GFP_ATOMIC,
        pa.GFP_HIGHUSER,
        pa.GFP_HIGHUSER_MOVABLE,
        pa.GFP_NOWAIT | pa.__GFP_RECLAIMABLE,
        pa.GFP_KERNEL | pa.__GFP_COMP,
        pa.GFP_KERNEL | pa.__GFP_MEMALLOC,
        pa.GFP_USER | pa.__GFP_NORETRY,
    ]
).map(lambda mask: mask | pa.__GFP_NOWARN)
ORDERS = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 5, 9, 10])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("alloc"), MASKS, ORDERS, st.integers(1, 40)),
        st.tuples(st.just("free"), st.integers(0, 1 << 30), st.booleans(), st.integers(1, 60)),
        st.tuples(st.just("cpu"), st.integers(0, 3), st.none(), st.none()),
        st.tuples(st.just("drain"), st.integers(0, 2), st.none(), st.none()),
        st.tuples(st.just("contig"), st.integers(0, 2047), st.integers(1, 1024), st.none()),
    ),
    max_size=40,
)


def new_kernel(reserved=(), high=16 * MIB):
    build = KernelBuild(
        schema=1,
        name="test",
        summary="",
        provenance="derived",
        origin="",
        banner="",
        machines=(),
        config=Config(PAGE_OFFSET=0xC0000000, HIGHMEM=True, CMA=True, CONTIG_ALLOC=True, SMP=True, NR_CPUS=4,
                      FLATMEM=True),
        symbols=Symbols(**dict.fromkeys(Symbols.KERNEL_NAMES, 0xC0100000)),
        sizeof=Sizeof(**dict.fromkeys(Sizeof.KERNEL_NAMES, 32)),
    )
    k = Kernel(build, MACHINE)
    k.mm.memblock.zero = lambda *_: None  # these kernels have no page tables
    k.mm.phys_offset = BASE
    memblock_add(k.mm.memblock, BASE, LOW_END - BASE + high)
    for base, size in reserved:
        memblock_reserve(k.mm.memblock, base, size, "test")
    memblock_set_current_limit(k.mm.memblock, LOW_END)
    k.mm.max_low_pfn, k.mm.max_pfn = LOW_END >> 12, (LOW_END + high) >> 12
    pa.free_area_init(k, {"Normal": k.mm.max_low_pfn, "HighMem": k.mm.max_pfn})
    pa.build_all_zonelists(k)
    return k


def boot():
    """48 MiB of lowmem with 8 MiB of CMA in it, 16 MiB of highmem, per-cpu lists of 18 pages, four cpus."""
    cma = BASE + 16 * MIB
    k = new_kernel(reserved=[(cma, 8 * MIB)])
    memblock_free_all(k)
    pa.free_highmem_range(k, k.mm.max_low_pfn, k.mm.max_pfn)
    for pfn in (cma >> 12, (cma >> 12) + 1024):
        pa.init_cma_reserved_pageblock(k, pfn)
    pa.setup_per_cpu_pageset(k)
    pa.init_per_zone_wmark_min(k)
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    return k


class Model:
    """Who holds which frame, kept beside the allocator."""

    def __init__(self, k):
        self.k = k
        self.blocks = []
        self.owned = set()

    def take(self, pfn, order):
        frames = set(range(pfn, pfn + (1 << order)))
        assert pfn % (1 << order) == 0
        assert not frames & self.owned, "handed out twice"
        assert all(not pa.page_info(self.k, frame)["reserved"] for frame in frames)
        self.owned |= frames
        self.blocks.append((pfn, order))

    def alloc(self, mask, order, count):
        for _ in range(count):
            pfn = pa.alloc_pages(self.k, mask, order)
            if pfn is None:
                return
            self.take(pfn, order)

    def free(self, seed, split, count):
        for i in range(min(count, len(self.blocks))):
            pfn, order = self.blocks.pop((seed + i * 7919) % len(self.blocks))
            self.owned -= set(range(pfn, pfn + (1 << order)))
            if split and not pa.page_info(self.k, pfn)["head"]:
                pa.split_page(self.k, pfn, order)
                for frame in range(pfn, pfn + (1 << order)):
                    free_block(self.k, frame, 0)
            else:
                free_block(self.k, pfn, order)

    def cpu(self, cpu, *_):
        self.k.mm.pgdat.cpu = cpu

    def drain(self, zone, *_):
        pa.drain_all_pages(self.k, zone)

    def contig(self, offset, pages, _):
        start = PFN + 16 * 256 + offset
        end = min(start + pages, PFN + 24 * 256)
        if pa.alloc_contig_range(self.k, start, end, pa.MIGRATE_CMA) == 0:
            for frame in range(start, end):
                self.take(frame, 0)

    def check(self):
        assert pa.check_buddy_invariants(self.k.mm.pgdat) == []
        zones = pa.zones_snapshot(self.k)
        free = sum(area["nr_free"] << order for zone in zones for order, area in enumerate(zone["free_area"]))
        cached = sum(pcp["count"] for zone in zones for pcp in zone["pcp"])
        assert free + cached + len(self.owned) == sum(zone["managed"] for zone in zones) == self.k.mm.totalram_pages
        assert not [record.text for record in self.k.log.records if "BUG" in record.text]


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_nothing_is_lost_or_handed_out_twice(steps):
    model = Model(boot())
    for name, *arguments in steps:
        getattr(model, name)(*arguments)
        model.check()
    model.free(0, False, len(model.blocks))
    model.drain(None)
    model.check()
    assert model.owned == set()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 48 * 256 - 1), st.integers(1, 600)), max_size=8))
def test_freeing_ranges_equals_freeing_blocks(holes):
    reserved = [(BASE + start * 4096, min(pages, 48 * 256 - start) * 4096) for start, pages in holes]
    fast, slow = new_kernel(reserved), new_kernel(reserved)
    memblock_free_all(fast)
    pa.reset_all_zones_managed_pages(slow)
    for region in slow.mm.memblock.reserved.regions:
        pa.reserve_bootmem_region(slow, region.base, region.base + region.size)
    for start, end in for_each_free_mem_range(slow.mm.memblock):
        pfn, last = start + 4095 >> 12, min(end >> 12, slow.mm.max_low_pfn)
        while pfn < last:
            order = min(10, (pfn & -pfn).bit_length() - 1)
            while pfn + (1 << order) > last:
                order -= 1
            pa.memblock_free_pages(slow, pfn, order)
            pfn += 1 << order
    assert pa.zones_snapshot(fast) == pa.zones_snapshot(slow)
    assert pa.check_buddy_invariants(fast.mm.pgdat) == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 16 * 256), min_size=2, max_size=6, unique=True))
def test_freeing_highmem_in_whole_blocks_equals_page_by_page(borders):
    fast, slow = new_kernel(), new_kernel()
    for k in (fast, slow):
        pa.reset_all_zones_managed_pages(k)
    borders.sort()
    for start, end in zip(borders[::2], borders[1::2], strict=False):
        pa.free_highmem_range(fast, fast.mm.max_low_pfn + start, fast.mm.max_low_pfn + end)
        for offset in range(start, end):
            pa.free_highmem_page(slow, slow.mm.max_low_pfn + offset)
    assert pa.zones_snapshot(fast) == pa.zones_snapshot(slow)
    assert fast.mm.totalhigh_pages == slow.mm.totalhigh_pages
