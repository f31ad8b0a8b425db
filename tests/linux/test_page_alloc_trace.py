"""The page allocator against recorded traffic: the same calls must get the same pages as in a real kernel."""

import json
import lzma
import struct
from pathlib import Path

import pytest

from bootsim.hw.machine import Machine
from bootsim.inputs.configfile import load_build
from bootsim.linux import Kernel
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.memblock import MemblockRegion
from bootsim.linux.mm.page_isolation import set_migratetype_isolate, unset_migratetype_isolate

TRACES = sorted((Path(__file__).parent.parent / "golden" / "traces").glob("*.pages.xz"))
NO_PAGE = 0xFFFFFFFF
CMA, ISOLATE = pa.MIGRATE_CMA, pa.MIGRATE_ISOLATE
free_pages_ok = pa.__free_pages_ok  # inside a class the name would be mangled


def read_trace(path):
    header, records = lzma.decompress(path.read_bytes()).split(b"\n", 1)
    events = list(struct.iter_unpack("<4I", records))
    start = json.loads(header)
    assert len(events) == start["events"]
    return start, events


def set_memblock(mb, captured):
    for kind in ("memory", "reserved"):
        regions = getattr(mb, kind)
        regions.regions = [MemblockRegion(*region) for region in captured[kind]]
        regions.total_size = sum(size for _, size, _ in captured[kind])
    mb.current_limit = captured["current_limit"]


class Replay:
    """One kernel that is told what the recorded one was asked, and compares the answers."""

    def __init__(self, start):
        self.k = k = Kernel(load_build("3G/1G"), Machine())
        k.mm.memblock.zero = lambda *_: None  # this kernel has no page tables
        set_memblock(k.mm.memblock, start["zones measured"])
        k.mm.phys_offset = k.mm.memblock.memory.regions[0].base
        pa.free_area_init(k, {"Normal": start["max_low_pfn"], "HighMem": start["max_pfn"]})
        set_memblock(k.mm.memblock, start["memory freed"])
        pa.build_all_zonelists(k)
        pa.reset_all_zones_managed_pages(k)
        for region in k.mm.memblock.reserved.regions:
            pa.reserve_bootmem_region(k, region.base, region.base + region.size)
        self.max_low_pfn = start["max_low_pfn"]
        self.answers = 0
        self.wrong = []
        self.contig = None  # [start, end, migrate type, taken] inside alloc_contig_range()
        self.cma_block = None  # freed by init_cma_reserved_pageblock(), the next event tells so
        self.stolen = []  # pageblocks that a fallback of the next request will convert

    def event(self, kind, a, b, c):
        getattr(self, f"kind{kind}")(a, b, c)

    def check(self, what, real, ours):
        if real != ours:
            self.wrong.append((what, real, ours))

    def kind1(self, gfp_mask, order, pfn):
        ours = self.k.mm.pgdat.alloc(gfp_mask, order)
        self.answers += 1
        self.check(("alloc", hex(gfp_mask), order), None if pfn == NO_PAGE else pfn, ours)
        for block, migratetype in self.stolen:
            self.check(("pageblock", block), migratetype, pa.get_pageblock_migratetype(self.k, block))
        self.stolen.clear()

    def kind2(self, pfn, migratetype, cpu):
        if self.answers == 0 and pfn >= self.max_low_pfn:
            pa.free_highmem_page(self.k, pfn)
            return
        if migratetype == ISOLATE and self.contig and not self.contig[3]:
            self.contig[3] = pa.take_isolated_range(self.k, *self.contig[:2])
        self.check(("pageblock", pfn), migratetype, pa.get_pageblock_migratetype(self.k, pfn))
        pa.ClearPageReserved(self.k, pfn)
        pa.set_page_count(self.k, pfn, 0)
        pa.free_unref_page(self.k, pfn)

    def kind3(self, pfn, order, fpi_flags):
        if pfn == self.cma_block:
            self.cma_block = None
        elif self.answers == 0:
            pa.memblock_free_pages(self.k, pfn, order)
        else:
            pa.set_page_count(self.k, pfn, 0)
            free_pages_ok(self.k, pfn, order, fpi_flags)

    def kind4(self, cpu, zone, _):
        pa.drain_pages_zone(self.k, cpu, zone)

    def kind5(self, pfn, migratetype, _):
        if self.contig:
            if migratetype == ISOLATE:
                assert set_migratetype_isolate(self.k, pfn, self.contig[2], drain=False) == 0
            else:
                unset_migratetype_isolate(self.k, pfn, migratetype)
        elif migratetype == CMA:
            pa.init_cma_reserved_pageblock(self.k, pfn)
            self.cma_block = pfn
        elif self.answers:
            self.stolen.append((pfn, migratetype))

    def kind6(self, high, batch, _):
        if batch > 1 and pa.zones_snapshot(self.k)[0]["pcp"][0]["batch"] == 1:
            pa.setup_per_cpu_pageset(self.k)

    def kind7(self, min_free_kbytes, *_):
        pa.init_per_zone_wmark_min(self.k)
        self.check("min_free_kbytes", min_free_kbytes, self.k.mm.pgdat.min_free_kbytes)

    def kind8(self, start, end, migratetype):
        self.contig = [start, end, migratetype, None]

    def kind9(self, *_):
        self.contig = None


@pytest.mark.golden
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name.split(".")[0])
def test_every_page_answer_is_the_real_kernels(path):
    start, events = read_trace(path)
    replay = Replay(start)
    for event in events:
        replay.event(*event)
        assert replay.wrong == []
    assert replay.answers == sum(kind == 1 for kind, *_ in events) > 1000
    assert pa.check_buddy_invariants(replay.k.mm.pgdat) == []
    for ours, real in zip(pa.zones_snapshot(replay.k), start["end"], strict=True):
        del ours["managed"], real["managed"]  # free_initmem() does not show in a trace of pages
        assert ours["pcp"][0] == real["pcp"][0]
        assert {**ours, "pcp": None} == {**real, "pcp": None}
