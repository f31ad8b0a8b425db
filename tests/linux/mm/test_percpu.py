"""mm/percpu.c, percpu-vm.c, percpu-km.c: the first chunk, and those made later."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.linux.mm import percpu
from bootsim.linux.mm.page_alloc import __GFP_HIGHMEM, __GFP_NOWARN, GFP_ATOMIC, GFP_KERNEL, alloc_pages
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.percpu import chunks
from bootsim.linux.mm.percpu.area import PcpuChunk, pcpu_alloc_area, pcpu_find_block_fit, pcpu_free_area

CPUS = "cpus { #address-cells = <1>; #size-cells = <0>; " + "".join(
    f'cpu@{i} {{ device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <{i}>; }}; ' for i in range(4)) + "};\n"


def test_one_unit_for_every_possible_processor(board):
    k = board.boot("", CPUS, smp=4, until="mem_init:entry")
    assert k.num_possible_cpus == 4
    assert k.mm.pcpu_unit_size == 77824
    assert board.said(k, "pcpu-alloc") == ["pcpu-alloc: s46284 r8192 d23348 u77824 alloc=19*4096",
                                           "pcpu-alloc: [0] 0 [0] 1 [0] 2 [0] 3 "]
    # each unit starts with the static data
    static = k.machine.ram.read(k.virt_to_phys(k.build.symbols.per_cpu_load), 64)
    assert all(k.machine.ram.read(k.mm.pcpu_base_pa + i * k.mm.pcpu_unit_size, 64) == static for i in range(4))


def test_modules_get_their_share(board):
    k = board.boot(until="mem_init:entry")
    assert board.said(k, "percpu") == ["percpu: Embedded 19 pages/cpu s46284 r8192 d23348 u77824"]
    k = board.boot(build={"MODULES": False}, until="mem_init:entry")
    assert board.said(k, "percpu") == ["percpu: Embedded 17 pages/cpu s46284 r0 d23348 u69632"]


def test_without_smp_there_is_one_unit_and_no_message(board):
    k = board.boot(build={"SMP": False, "SMP_ON_UP": False, "NR_CPUS": 1}, until="mem_init:entry")
    assert board.said(k, "percpu:") == []
    assert k.mm.pcpu_unit_size == 32 << 10


@pytest.mark.parametrize("name", ["embed", "page", "x"])
def test_no_choice_is_compiled_in(board, name):
    k = board.boot(f"percpu_alloc={name}", until="setup_machine_fdt")
    assert board.said(k, "percpu") == [f"percpu: unknown allocator {name} specified"]


# ------------------------------------------------------------------ alloc_percpu() on the first chunks


@pytest.fixture
def k(board):
    return board.boot("", CPUS, smp=4, until="cma_init_reserved_areas:entry")


def first_dynamic(k):
    """Where the dynamic part of a unit begins: behind the static data and what is reserved for modules."""
    sym = k.build.symbols
    static = sym.per_cpu_end - sym.per_cpu_start
    return sym.per_cpu_start + (static + 3 & ~3) + (8 << 10)


def test_the_first_area_begins_where_dynamic_memory_does(k):
    ptr = percpu.__alloc_percpu(k, 4, 4)
    assert ptr == first_dynamic(k)
    assert percpu.__alloc_percpu(k, 6, 1) == ptr + 4  # whole words
    assert percpu.__alloc_percpu(k, 4, 4) == ptr + 12


def test_each_processor_has_its_own_cleared(k):
    ptr = percpu.__alloc_percpu(k, 64, 64)
    places = [percpu.per_cpu_ptr(k, ptr, cpu) for cpu in range(4)]
    assert [va - places[0] for va in places] == [cpu * k.mm.pcpu_unit_size for cpu in range(4)]
    assert places[0] - k.phys_to_virt(k.mm.pcpu_base_pa) == ptr - k.build.symbols.per_cpu_start
    percpu.free_percpu(k, ptr)
    for va in places:
        k.machine.ram.write(k.virt_to_phys(va), b"x" * 64)
    assert percpu.__alloc_percpu(k, 64, 64) == ptr
    assert all(k.read(va, 64) == bytes(64) for va in places)
    with pytest.raises(percpu.PercpuError, match="4 processors"):
        percpu.per_cpu_ptr(k, ptr, 4)


def test_freed_areas_grow_together(k):
    one, two, three = (percpu.__alloc_percpu(k, 1024, 8) for _ in range(3))
    percpu.free_percpu(k, one)
    assert percpu.__alloc_percpu(k, 2048, 8) > three
    percpu.free_percpu(k, two)
    assert percpu.__alloc_percpu(k, 2048, 8) == one


def test_modules_have_a_chunk_of_their_own(k):
    ptr = percpu.__alloc_reserved_percpu(k, 100, 4)
    assert ptr == first_dynamic(k) - (8 << 10)
    assert percpu.__alloc_reserved_percpu(k, 8 << 10, 4) == 0
    assert k.log.records[-1].text == ("percpu: allocation failed, size=8192 align=4 atomic=0, alloc from reserved "
                                      "chunk failed")
    percpu.free_percpu(k, ptr)
    assert percpu.__alloc_reserved_percpu(k, 100, 4) == ptr


def test_the_hint_of_a_chunk_may_be_off_by_up_to_a_page(k):
    """A free inside one page tells the chunk of that page alone: the kernel then refuses what would fit."""
    whole = 8 << 10
    ptr = percpu.__alloc_reserved_percpu(k, 100, 4)
    percpu.free_percpu(k, ptr)
    assert percpu.__alloc_reserved_percpu(k, whole, 4) == 0
    assert percpu.__alloc_reserved_percpu(k, 100, 4) == ptr


def test_without_modules_reserved_areas_come_from_the_dynamic_chunk(board):
    k = board.boot("", CPUS, build={"MODULES": False}, smp=4, until="cma_init_reserved_areas:entry")
    assert percpu.__alloc_reserved_percpu(k, 4, 4) == first_dynamic(k) - (8 << 10)


def test_without_smp_a_pointer_is_an_address(board):
    k = board.boot(build={"SMP": False, "SMP_ON_UP": False, "NR_CPUS": 1}, until="cma_init_reserved_areas:entry")
    ptr = percpu.__alloc_percpu(k, 16, 8)
    assert ptr == percpu.per_cpu_ptr(k, ptr, 0) == k.phys_to_virt(k.mm.pcpu_base_pa)


@pytest.mark.parametrize(("size", "align"), [(0, 4), ((32 << 10) + 1, 4), (4, 12), (4, 8192)])
def test_sizes_that_are_none(k, size, align):
    assert percpu.__alloc_percpu(k, size, align) == 0
    rounded = size + 3 & ~3
    assert k.log.records[-1].text == f"illegal size ({rounded}) or align ({max(align, 4)}) for percpu allocation"
    said = len(k.log.records)
    assert percpu.__alloc_percpu_gfp(k, size, align, GFP_KERNEL | __GFP_NOWARN) == 0
    assert len(k.log.records) == said


def fill(k):
    """Take all of the first chunk, 1024 bytes at a time."""
    taken = []
    while ptr := percpu.__alloc_percpu_gfp(k, 1024, 4, GFP_ATOMIC):
        taken.append(ptr)
    return taken


def test_a_full_chunk_gives_nothing_without_sleeping(k):
    taken = fill(k)
    assert len(taken) == 23348 // 1024
    said = len(k.log.records)
    assert percpu.__alloc_percpu_gfp(k, 1024, 4, GFP_ATOMIC) == 0
    assert len(k.log.records) == said  # the kernel is silent, too
    percpu.free_percpu(k, taken[0])
    assert percpu.__alloc_percpu(k, 1024, 4) == taken[0]


# ------------------------------------------------------------------ chunks beyond those of the boot


def unused_pages(k):
    blocks = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    return blocks + sum(pcp["count"] for zone in k.zones for pcp in zone["pcp"])


def test_another_chunk_lies_at_the_top_of_the_vmalloc_area(k):
    fill(k)
    ptr = percpu.__alloc_percpu(k, 8000, 4)
    unit = k.mm.pcpu_unit_size
    vas = [percpu.per_cpu_ptr(k, ptr, cpu) for cpu in range(4)]
    assert vas == [0xFF800000 - 4 * unit + cpu * unit for cpu in range(4)]
    frames = {k.translate(va + at).pa >> 12 for va in vas for at in (0, 4096)}
    assert len(frames) == 8
    assert not any(k.translate(va + 8192) for va in vas)  # the other pages come when they are wanted
    for cpu, va in enumerate(vas):
        k.machine.ram.write(k.translate(va + 7000).pa, bytes([cpu + 1]))
    assert [k.read(va + 7000, 1) for va in vas] == [b"\1", b"\2", b"\3", b"\4"]
    percpu.free_percpu(k, ptr)
    assert percpu.__alloc_percpu(k, 8000, 4) == ptr
    assert [k.read(va + 7000, 1) for va in vas] == [b"\0"] * 4


def test_atomic_requests_take_pages_that_are_there(k):
    fill(k)
    ptr = percpu.__alloc_percpu(k, 1100, 4)
    assert percpu.__alloc_percpu_gfp(k, 2900, 4, GFP_ATOMIC) == ptr + 1100
    assert percpu.__alloc_percpu_gfp(k, 3000, 4, GFP_ATOMIC) == 0
    chunks.pcpu_balance_workfn(k)
    assert percpu.__alloc_percpu_gfp(k, 3000, 4, GFP_ATOMIC) == ptr + 4000


def test_empty_chunks_but_one_are_given_back_with_their_pages(k):
    fill(k)
    chunks.pcpu_balance_workfn(k)  # a request failed: four pages more
    pointers = [percpu.__alloc_percpu(k, 32 << 10, 4) for _ in range(6)]
    made = [chunk for chunks_ in k.mm.pcpu.slots for chunk in chunks_ if chunk.vms]
    assert len(made) == 3
    assert len({chunk.base_addr for chunk in made}) == 3
    before = unused_pages(k)
    for ptr in pointers:
        percpu.free_percpu(k, ptr)
    assert unused_pages(k) == before
    chunks.pcpu_balance_workfn(k)
    left = [chunk for chunks_ in k.mm.pcpu.slots for chunk in chunks_ if chunk.vms]
    assert len(left) == 1
    assert unused_pages(k) >= before + 2 * 4 * 16
    assert len(k.mm.vmap.areas.purge) == 2


def test_pages_of_a_chunk_are_freed_unit_by_unit(k, monkeypatch):
    fill(k)
    chunks.pcpu_balance_workfn(k)
    percpu.__alloc_percpu(k, 32 << 10, 4)
    chunk = next(c for cs in k.mm.pcpu.slots for c in cs if c.vms and sum(c.populated) > 2)
    runs = chunks.populated_regions(chunk)
    addresses = [chunk.base_addr + cpu * k.mm.pcpu_unit_size + (page << 12)
                 for start, end in runs for cpu in range(k.num_possible_cpus) for page in range(start, end)]
    expected = [k.translate(va).pa >> 12 for va in addresses]
    freed = []
    monkeypatch.setattr(chunks, "free_pages", lambda _k, pfn, _order: freed.append(pfn))
    chunks.pcpu_depopulate_chunk(k, chunk)
    assert freed == expected
    assert len(expected) > 2 * k.num_possible_cpus
    assert not any(chunk.populated)
    assert not any(k.translate(va) for va in addresses)


def test_when_pages_run_out_those_of_the_last_unit_go_first_backwards(k, monkeypatch):
    percpu.__alloc_percpu(k, 32 << 10, 4)
    chunk = next(c for cs in k.mm.pcpu.slots for c in cs if c.vms)
    given, freed = iter([100, 101, 102, 103, 104, None]), []
    monkeypatch.setattr(chunks, "get_pages", lambda *_: next(given))
    monkeypatch.setattr(chunks, "free_pages", lambda _k, pfn, _order: freed.append(pfn))
    assert not chunks.pcpu_populate_chunk(k, chunk, 0, 3, 0)
    assert freed == [104, 103, 100, 101, 102]


def test_when_pages_run_out_nothing_is_kept():
    k = bootsim.boot("vexpress.dts", mem="64M", config="3G/1G")
    fill(k)
    percpu.__alloc_percpu(k, 1024, 4)
    while alloc_pages(k, GFP_KERNEL | __GFP_HIGHMEM | __GFP_NOWARN, 3) is not None:
        pass
    pages = [pfn for _ in range(6) if (pfn := alloc_pages(k, GFP_KERNEL | __GFP_NOWARN, 0)) is not None]
    while alloc_pages(k, GFP_KERNEL | __GFP_HIGHMEM | __GFP_NOWARN, 0) is not None:
        pass
    for pfn in pages:
        free_pages(k, pfn, 0)
    free = unused_pages(k)
    assert percpu.__alloc_percpu(k, 32 << 10, 4) == 0
    assert unused_pages(k) == free
    text = "percpu: allocation failed, size=32768 align=4 atomic=0, failed to populate"
    assert text in [record.text for record in k.log.records]


def test_without_smp_a_chunk_is_a_block_of_pages(board):
    k = board.boot(build={"SMP": False, "SMP_ON_UP": False, "NR_CPUS": 1}, until="cma_init_reserved_areas:entry")
    fill(k)
    ptr = percpu.__alloc_percpu(k, 16 << 10, 4)
    va = percpu.per_cpu_ptr(k, ptr, 0)
    assert k.read(va, 16 << 10) == bytes(16 << 10)
    assert va < k.mm.high_memory
    percpu.free_percpu(k, ptr)


def test_what_was_not_given_is_refused(k):
    ptr = percpu.__alloc_percpu(k, 64, 4)
    percpu.free_percpu(k, 0)
    for wrong in (ptr + 4, ptr + 1, ptr + 64, 0x1000, k.build.symbols.per_cpu_start):
        with pytest.raises(percpu.PercpuError, match="free_percpu"):
            percpu.free_percpu(k, wrong)
    percpu.free_percpu(k, ptr)
    with pytest.raises(percpu.PercpuError, match="free_percpu"):
        percpu.free_percpu(k, ptr)


def test_a_promoted_scan_hint_loses_the_right_edge():
    # pcpu_block_refresh_hint() scans behind the hint that it promotes: no area there tells it of the block's end
    chunk = PcpuChunk(0xC0000000, 20 << 10)
    for bits, align in ((1, 0), (1, 9), (1, 0)):
        pcpu_alloc_area(chunk, bits, 1 << align, pcpu_find_block_fit(chunk, bits, 1 << align))
    block = chunk.md_blocks[0]
    assert (block.contig_hint_start, block.contig_hint, block.scan_hint, block.right_free) == (513, 511, 0, 0)


@pytest.mark.property
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1023), st.lists(st.tuples(st.booleans(), st.integers(1, 1500), st.integers(0, 10)), max_size=80))
def test_no_bit_twice_and_edges_are_exact(start, steps):
    chunk = PcpuChunk(0xC0000000 + 4 * start, 20 << 10)
    end = start + (20 << 10) // 4
    held = {}
    for frees, bits, align in steps:
        if frees and held:
            off = sorted(held)[bits % len(held)]
            assert pcpu_free_area(chunk, off) == 4 * held.pop(off)
        else:
            at = pcpu_find_block_fit(chunk, bits, 1 << align)
            off = -1 if at < 0 else pcpu_alloc_area(chunk, bits, 1 << align, at)
            if off >= 0:
                assert off % (4 << align) == 0
                assert start <= off // 4 <= end - bits
                assert all(off + 4 * bits <= other or other + 4 * n <= off for other, n in held.items())
                held[off] = bits
        taken = bytearray(b"\1" * start + bytes(end - start)).ljust(chunk.map_bits, b"\1")
        for off, n in held.items():
            taken[off // 4:off // 4 + n] = b"\1" * n
        assert chunk.alloc_map == taken
        assert chunk.free_bytes == 4 * taken.count(0)
        for i, block in enumerate(chunk.md_blocks):
            own = bytes(taken[i * 1024:(i + 1) * 1024])
            free = [len(run) for run in own.split(b"\1")]
            assert block.left_free == free[0]
            assert block.right_free in (free[-1], 0)  # 0: forgotten when the refresh began behind the last free area
            assert block.contig_hint <= max(free)
            assert bool(block.contig_hint) == (0 in own)
