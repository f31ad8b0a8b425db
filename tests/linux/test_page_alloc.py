"""The page allocator: merging, list order, per-cpu lists, fallback, watermarks, zones, and misuse."""

import pytest

from bootsim.errors import KernelPanic
from bootsim.hw.machine import Machine
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.linux import Kernel
from bootsim.linux.mm import memblock, page_alloc
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.page_poison import early_page_poison_param

MIB = 1 << 20
BASE = 0x60000000
PFN = BASE >> 12
TOP = 1024  # pages of a block of the highest order
GFP_KERNEL, GFP_HIGHUSER_MOVABLE = pa.GFP_KERNEL, pa.GFP_HIGHUSER_MOVABLE


def new_kernel(banks=((BASE, 64 * MIB),), reserved=(), low_end=None, cmdline=(), **config):
    """A Kernel whose memblock holds these ranges of bytes, and the ends of its zones."""
    options = {
        "PAGE_OFFSET": 0xC0000000,
        "HIGHMEM": low_end is not None,
        "CMA": True,
        "CONTIG_ALLOC": True,
        "SMP": True,
        "NR_CPUS": 4,
        "FLATMEM": True,
    } | config
    build = KernelBuild(
        schema=1,
        name="test",
        summary="",
        provenance="derived",
        origin="",
        banner="",
        machines=(),
        config=Config(**options),
        symbols=Symbols(**dict.fromkeys(Symbols.KERNEL_NAMES, 0xC0100000)),
        sizeof=Sizeof(**dict.fromkeys(Sizeof.KERNEL_NAMES, 32)),
    )
    k = Kernel(build, Machine())
    k.mm.memblock.zero = lambda *_: None  # these kernels have no page tables
    k.mm.phys_offset = BASE
    for base, size in banks:
        memblock.memblock_add(k.mm.memblock, base, size)
    for base, size in reserved:
        memblock.memblock_reserve(k.mm.memblock, base, size, "test")
    k.mm.max_pfn = max(base + size for base, size in banks) >> 12
    k.mm.max_low_pfn = min(low_end or k.mm.max_pfn << 12, k.mm.max_pfn << 12) >> 12
    memblock.memblock_set_current_limit(k.mm.memblock, k.mm.max_low_pfn << 12)
    for parse, value in cmdline:
        assert parse(k, value) == 0
    return k


def measure(k, **zones):
    pa.free_area_init(k, {"Normal": k.mm.max_low_pfn, "HighMem": k.mm.max_pfn} | zones)
    pa.build_all_zonelists(k)
    return k


def boot(*args, per_cpu_lists=False, **kwargs):
    """A kernel that has given all its memory to the allocator; its memory map is reserved at the top of lowmem."""
    k = measure(new_kernel(*args, **kwargs))
    memblock.memblock_free_all(k)
    for start, end in memblock.for_each_free_mem_range(k.mm.memblock):
        if end >> 12 > k.mm.max_low_pfn:
            pa.free_highmem_range(k, max(start >> 12, k.mm.max_low_pfn), end >> 12)
    if per_cpu_lists:
        pa.setup_per_cpu_pageset(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []
    return k


def zone(k, name="Normal"):
    return next(z for z in pa.zones_snapshot(k) if z["name"] == name)


def blocks(k, order, migratetype=1, name="Normal"):
    return zone(k, name)["free_area"][order]["lists"][migratetype]


def texts(k, kernel=True):
    return [record.text for record in k.log.records if record.kernel is kernel]


# ---------------------------------------------------------------- merging and list order


def test_a_range_is_freed_in_the_largest_aligned_blocks():
    #        +5          +8            +16      +1024
    #  |------|--o0--|-o1-|--o3 at 8---|--- ... --|
    k = boot(reserved=[(BASE, 5 << 12)])
    assert [blocks(k, order)[:1] for order in (0, 1, 3)] == [[PFN + 5], [PFN + 6], [PFN + 8]]
    assert blocks(k, 4)[0] == PFN + 16
    assert zone(k)["nr_free_pages"] == zone(k)["managed"] == k.mm.totalram_pages


def test_boot_memory_goes_to_the_tail_so_the_lowest_block_is_handed_out_first():
    k = boot()
    assert blocks(k, 10) == [PFN + i * TOP for i in range(15)]  # the memory map is in the sixteenth
    assert pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE, 10) == PFN


def test_highmem_pages_freed_one_by_one_end_at_the_head():
    k = boot(banks=[(BASE, 96 * MIB)], low_end=BASE + 64 * MIB)
    high = blocks(k, 10, name="HighMem")
    assert high == sorted(high, reverse=True)
    assert len(high) == 8
    assert k.mm.totalhigh_pages == 8 * TOP


def test_two_halves_merge_and_the_block_is_where_the_last_half_was_freed():
    k = boot()
    a = pa.alloc_pages(k, GFP_KERNEL, 3)
    b = pa.alloc_pages(k, GFP_KERNEL, 3)
    assert b == a ^ 8
    before = zone(k)["free_area"]
    pa.__free_pages(k, a, 3)
    pa.__free_pages(k, b, 3)
    assert a & ~15 not in [pfn for order in range(3) for lists in zone(k)["free_area"][order]["lists"] for pfn in lists]
    assert (
        sum(area["nr_free"] << order for order, area in enumerate(zone(k)["free_area"]))
        == sum(area["nr_free"] << order for order, area in enumerate(before)) + 16
    )
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_a_block_whose_merge_is_near_waits_at_the_tail():
    # four pages of order 0, taken as 0 1 2 3; 2 and 3 free makes the pair, then 0 waits for 1 at the tail
    k = boot()
    first = pa.alloc_pages(k, GFP_KERNEL, 2)
    pa.split_page(k, first, 2)
    loose = pa.alloc_pages(k, GFP_KERNEL, 2)
    pa.split_page(k, loose, 2)
    pa.__free_pages(k, first, 0)  # alone: to the head
    pa.__free_pages(k, loose + 2, 0)
    pa.__free_pages(k, loose + 3, 0)  # one pair of the four
    pa.__free_pages(k, loose, 0)  # its merge would complete the four: to the tail
    assert blocks(k, 0, 0)[-1] == loose
    assert blocks(k, 0, 0)[0] == first


def test_blocks_of_two_zones_never_merge():
    k = boot(banks=[(BASE, 64 * MIB)], low_end=BASE + 30 * MIB)
    border = (BASE + 30 * MIB) >> 12
    for order in range(11):
        for name in ("Normal", "HighMem"):
            for lists in zone(k, name)["free_area"][order]["lists"]:
                assert not any(pfn < border < pfn + (1 << order) for pfn in lists)


def test_allocation_splits_the_smallest_block_that_fits():
    # free: 5, 6-7, 8-15, 16-31 ...; below what the memory map took at the top: 16254, 16252-16253, 16248-16251 ...
    k = boot(reserved=[(BASE, 5 << 12)])
    taken = [pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE, order) - PFN for order in (0, 0, 0, 2, 2)]
    assert taken == [5, 16254, 6, 16248, 8]
    assert blocks(k, 0) == [PFN + 7]
    assert blocks(k, 1) == [PFN + 16252]
    assert blocks(k, 2) == [PFN + 12]



# ---------------------------------------------------------------- per-cpu lists


def test_boot_pagesets_pass_every_page_on():
    k = boot()
    assert [(p["count"], p["high"], p["batch"]) for p in zone(k)["pcp"]] == [(0, 0, 1)] * 4


@pytest.mark.parametrize(("mib", "high", "batch"), [(16, 0, 1), (64, 18, 3), (256, 90, 15), (512, 186, 31)])
def test_batch_is_a_quarter_of_a_thousandth(mib, high, batch):
    k = boot(banks=[(BASE, mib * MIB)], per_cpu_lists=True)
    assert (zone(k)["pcp"][0]["high"], zone(k)["pcp"][0]["batch"]) == (high, batch)


def test_refill_takes_a_batch_and_hands_pages_out_in_address_order():
    k = boot(banks=[(BASE, 256 * MIB)], per_cpu_lists=True)
    first = pa.alloc_pages(k, GFP_KERNEL, 0)
    assert zone(k)["pcp"][0]["lists"][0] == list(range(first + 1, first + 15))
    assert pa.alloc_pages(k, GFP_KERNEL, 0) == first + 1


def test_a_freed_page_is_the_next_one_handed_out():
    k = boot(banks=[(BASE, 256 * MIB)], per_cpu_lists=True)
    pages = [pa.alloc_pages(k, GFP_KERNEL, 0) for _ in range(4)]
    pa.__free_pages(k, pages[1], 0)
    assert pa.alloc_pages(k, GFP_KERNEL, 0) == pages[1]


def test_a_full_list_gives_a_batch_back_and_drain_gives_all():
    k = boot(banks=[(BASE, 256 * MIB)], per_cpu_lists=True)
    pages = [pa.alloc_pages(k, GFP_KERNEL, 0) for _ in range(100)]
    for pfn in pages:
        pa.__free_pages(k, pfn, 0)
    assert zone(k)["pcp"][0]["count"] < 90
    pa.drain_all_pages(k)
    assert zone(k)["pcp"][0]["count"] == 0
    assert zone(k)["nr_free_pages"] == zone(k)["managed"]
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_each_cpu_has_its_own_list():
    k = boot(banks=[(BASE, 256 * MIB)], per_cpu_lists=True)
    pa.alloc_pages(k, GFP_KERNEL, 0)
    k.mm.pgdat.cpu = 2
    pa.alloc_pages(k, GFP_KERNEL, 0)
    assert [p["count"] for p in zone(k)["pcp"]] == [14, 0, 14, 0]
    with pytest.raises(pa.PageFrameError):
        k.mm.pgdat.cpu = 4


# ---------------------------------------------------------------- migrate types


def test_fallback_claims_the_whole_pageblock():
    k = boot()
    unmovable = pa.alloc_pages(k, GFP_KERNEL, 0)
    reclaimable = pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_RECLAIMABLE, 0)
    # __rmqueue_fallback() looks for the largest block first: the rest of the pageblock of unmovable memory is smaller
    assert (unmovable, reclaimable) == (PFN, PFN + TOP)
    for pfn, migratetype in ((PFN, pa.MIGRATE_UNMOVABLE), (PFN + TOP, pa.MIGRATE_RECLAIMABLE)):
        assert {pa.get_pageblock_migratetype(k, pfn + i) for i in (0, 1, TOP - 1)} == {migratetype}
        assert [blocks(k, order, migratetype) for order in range(10)] == [[pfn + (1 << order)] for order in range(10)]
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_too_little_memory_turns_grouping_off():
    k = boot(banks=[(BASE, 16 * MIB)])
    assert k.mm.pgdat.page_group_by_mobility_disabled
    assert any("mobility grouping off" in text for text in texts(k))
    movable, unmovable = (pa.alloc_pages(k, mask, 0) for mask in (GFP_HIGHUSER_MOVABLE, GFP_KERNEL))
    assert unmovable == movable + 1  # out of one pageblock, which is nobody's: unmovable
    assert pa.get_pageblock_migratetype(k, movable) == pa.MIGRATE_UNMOVABLE


def test_cma_serves_movable_requests_once_it_holds_half_of_the_free_memory():
    area = BASE + 32 * MIB
    k = boot(reserved=[(area, 24 * MIB)])
    for pfn in range(area >> 12, (area + 24 * MIB) >> 12, TOP):
        pa.init_cma_reserved_pageblock(k, pfn)
    assert zone(k)["free_area"][10]["lists"][pa.MIGRATE_CMA] == [(area >> 12) + i * TOP for i in reversed(range(6))]
    while (
        sum(len(lists[pa.MIGRATE_CMA]) << o for o, lists in enumerate(a["lists"] for a in zone(k)["free_area"])) * 2
        <= zone(k)["nr_free_pages"]
    ):
        assert pa.alloc_pages(k, GFP_KERNEL, 0) is not None
    movable = pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE, 0)
    assert pa.get_pageblock_migratetype(k, movable) == pa.MIGRATE_CMA
    assert pa.get_pageblock_migratetype(k, pa.alloc_pages(k, GFP_KERNEL, 0)) != pa.MIGRATE_CMA


def test_an_atomic_high_order_request_reserves_its_pageblock():
    k = boot()
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    pa.init_per_zone_wmark_min(k)
    taken = []
    while (pfn := pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_NOWARN, 2)) is not None:
        taken.append(pfn)
    atomic = pa.alloc_pages(k, pa.GFP_ATOMIC, 2)
    assert atomic is not None
    assert pa.get_pageblock_migratetype(k, atomic) == pa.MIGRATE_HIGHATOMIC
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_alloc_contig_range_takes_exactly_its_pages():
    area = BASE + 32 * MIB
    k = boot(reserved=[(area, 8 * MIB)], per_cpu_lists=True)
    for pfn in range(area >> 12, (area + 8 * MIB) >> 12, TOP):
        pa.init_cma_reserved_pageblock(k, pfn)
    free = zone(k)["nr_free_pages"]
    start = (area >> 12) + 100
    assert pa.alloc_contig_range(k, start, start + 60, pa.MIGRATE_CMA) == 0
    assert zone(k)["nr_free_pages"] == free - 60
    assert pa.check_buddy_invariants(k.mm.pgdat) == []
    assert [pa.page_info(k, pfn)["refcount"] for pfn in (start - 1, start, start + 59, start + 60)] == [0, 1, 1, 0]
    assert pa.alloc_contig_range(k, start + 10, start + 70, pa.MIGRATE_CMA) == -16
    pa.free_contig_range(k, start, 60)
    pa.drain_all_pages(k)
    assert zone(k)["nr_free_pages"] == free
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def test_pages_that_somebody_holds_too_are_told_of_when_they_are_freed():
    k = boot(reserved=[(BASE + 32 * MIB, 8 * MIB)], per_cpu_lists=True)
    start = BASE + 40 * MIB >> 12
    assert pa.alloc_contig_range(k, start, start + 4, pa.MIGRATE_MOVABLE) == 0
    pa.set_page_count(k, start + 1, 2)
    pa.free_contig_range(k, start, 4)
    said = [record.text for record in k.log.records]
    assert "1 pages are still in use!" in said
    assert any("free_contig_range" in text and "WARNING: " in text for text in said)
    assert pa.page_info(k, start + 1)["refcount"] == 1


# ---------------------------------------------------------------- zones


def test_requests_go_to_the_highest_zone_they_may_use():
    k = boot(banks=[(BASE, 128 * MIB)], low_end=BASE + 96 * MIB)
    assert pa.page_zone_name(k, pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE, 0)) == "HighMem"
    assert pa.page_zone_name(k, pa.alloc_pages(k, pa.GFP_HIGHUSER, 0)) == "HighMem"
    assert pa.page_zone_name(k, pa.alloc_pages(k, GFP_KERNEL, 0)) == "Normal"


def test_a_dma_zone():
    k = new_kernel(banks=[(BASE, 64 * MIB)], ZONE_DMA=True)
    measure(k, DMA=(BASE + 16 * MIB) >> 12)
    assert [z["name"] for z in pa.zones_snapshot(k)] == ["DMA", "Normal", "Movable"]
    assert [z["spanned"] for z in pa.zones_snapshot(k)] == [4096, 12288, 0]
    assert "  DMA      [mem 0x0000000060000000-0x0000000060ffffff]" in texts(k)


@pytest.mark.parametrize("dma", [False, True])
def test_a_request_for_two_zones_at_once_gets_the_lowest(dma):
    # GFP_ZONE_BAD: the table of zones has 0 there
    k = measure(new_kernel(banks=[(BASE, 128 * MIB)], low_end=BASE + 96 * MIB, ZONE_DMA=dma),
                **({"DMA": (BASE + 16 * MIB) >> 12} if dma else {}))
    memblock.memblock_free_all(k)
    pa.free_highmem_range(k, k.mm.max_low_pfn, k.mm.max_pfn)
    for flags in (pa.__GFP_DMA | pa.__GFP_HIGHMEM, pa.__GFP_DMA32 | pa.__GFP_HIGHMEM,
                  pa.__GFP_DMA | pa.__GFP_DMA32, pa.__GFP_DMA32 | pa.__GFP_HIGHMEM | pa.__GFP_MOVABLE):
        assert pa.page_zone_name(k, pa.alloc_pages(k, GFP_KERNEL | flags, 0)) == ("DMA" if dma else "Normal")
    assert pa.page_zone_name(k, pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_DMA32, 0)) == "Normal"
    assert pa.page_zone_name(k, pa.alloc_pages(k, pa.GFP_HIGHUSER, 0)) == "HighMem"


def test_lowmem_reserve_protects_normal_from_highmem_requests():
    k = boot(banks=[(BASE, 128 * MIB)], low_end=BASE + 64 * MIB)
    pa.init_per_zone_wmark_min(k)
    reserve = zone(k)["lowmem_reserve"]
    assert reserve[0] == 0
    assert reserve[1] == zone(k, "HighMem")["managed"] // 32
    while (pfn := pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN, 0)) is not None:
        last = pfn
    assert pa.page_zone_name(k, last) == "Normal"
    assert zone(k)["nr_free_pages"] >= reserve[1]
    assert pa.alloc_pages(k, GFP_KERNEL, 0) is not None


def test_holes_are_absent_and_their_pageblocks_stay_unmovable():
    # 6 MiB, a hole of 5 MiB, 32 MiB: the second bank starts inside a pageblock
    k = boot(banks=[(BASE, 6 * MIB), (BASE + 11 * MIB, 32 * MIB)])
    normal = zone(k)
    assert (normal["spanned"], normal["present"]) == (43 * 256, 38 * 256)
    assert pa.get_pageblock_migratetype(k, PFN + 11 * 256) == pa.MIGRATE_UNMOVABLE
    assert pa.get_pageblock_migratetype(k, PFN + 12 * 256) == pa.MIGRATE_MOVABLE
    assert pa.get_pageblock_migratetype(k, PFN + 4 * 256) == pa.MIGRATE_MOVABLE


def test_nomap_memory_has_struct_pages_but_is_neither_free_nor_reserved():
    k = new_kernel()
    memblock.memblock_mark_nomap(k.mm.memblock, BASE + 4 * MIB, MIB)
    measure(k)
    memblock.memblock_free_all(k)
    info = pa.page_info(k, PFN + 1024)
    assert (info["refcount"], info["reserved"], info["buddy"]) == (1, False, False)


@pytest.mark.parametrize(("option", "start"), [("32M", 0x62000000), ("50%", 0x62000000), ("1M", 0x60400000)])
def test_kernelcore_makes_a_movable_zone(option, start):
    k = boot(cmdline=[(pa.cmdline_parse_kernelcore, option)])
    movable = zone(k, "Movable")
    assert movable["start_pfn"] == start >> 12
    assert f"  Node 0: {start:#018x}" in texts(k)
    assert zone(k)["spanned"] + movable["spanned"] == 64 * 256


def test_movablecore_is_the_other_side_of_kernelcore():
    k = boot(banks=[(BASE, 128 * MIB)], low_end=BASE + 64 * MIB, cmdline=[(pa.cmdline_parse_movablecore, "16M")])
    assert zone(k, "Movable")["start_pfn"] == (BASE + 112 * MIB) >> 12
    assert pa.page_zone_name(k, pa.alloc_pages(k, GFP_HIGHUSER_MOVABLE, 0)) == "Movable"
    assert pa.page_zone_name(k, pa.alloc_pages(k, pa.GFP_HIGHUSER, 0)) == "HighMem"


def test_kernelcore_mirror_warns_and_changes_nothing():
    k = boot(cmdline=[(pa.cmdline_parse_kernelcore, "mirror")])
    assert zone(k, "Movable")["spanned"] == 0
    assert "This configuration results in unmirrored kernel memory." in texts(k)


@pytest.mark.parametrize("order", [9, 12])
def test_other_largest_orders(order):
    k = boot(FORCE_MAX_ZONEORDER=order)
    assert len(zone(k)["free_area"]) == order
    assert zone(k)["free_area"][order - 1]["nr_free"] > 0
    assert pa.alloc_pages(k, GFP_KERNEL, order) is None


def test_no_room_for_the_memory_map_is_a_panic():
    k = new_kernel(reserved=[(BASE, 64 * MIB)])
    with pytest.raises(KernelPanic, match="Failed to allocate 524288 bytes for node 0 memory map"):
        measure(k)


def test_sparse_memory_reserves_the_frames_of_holes_in_touched_pageblocks():
    # 6 MiB, a hole of 5 MiB, 33 MiB: 2 MiB of the second pageblock, 3 of the third and 3 at the end are no memory
    k = boot(banks=[(BASE, 6 * MIB), (BASE + 11 * MIB, 33 * MIB - 4096)], SPARSEMEM=True, FLATMEM=False)
    assert "On node 0, zone Normal: 1280 pages in unavailable ranges" in texts(k)
    assert "On node 0, zone Normal: 1 pages in unavailable ranges" in texts(k)
    assert pa.page_info(k, PFN + 7 * 256)["reserved"]
    assert k.mm.memblock.reserved.total_size == 0
    assert zone(k)["nr_free_pages"] == 39 * 256 - 1


# ---------------------------------------------------------------- struct page


def test_compound_pages_know_their_head():
    k = boot()
    pfn = pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_COMP, 2)
    assert [pa.page_info(k, pfn + i)["compound_head"] for i in range(4)] == [pfn] * 4
    assert pa.page_info(k, pfn)["head"]
    pa.__free_pages(k, pfn, 2)
    assert not pa.page_info(k, pfn)["head"]
    assert pa.page_info(k, pfn + 3)["compound_head"] == pfn + 3
    assert not [text for text in texts(k) if "BUG" in text]


def test_alloc_pages_exact_gives_the_rest_back():
    k = boot()
    free = zone(k)["nr_free_pages"]
    pfn = pa.alloc_pages_exact(k, 5 << 12, GFP_KERNEL)
    assert zone(k)["nr_free_pages"] == free - 5
    pa.free_pages_exact(k, pfn, 5 << 12)
    assert zone(k)["nr_free_pages"] == free


def test_a_reference_more_keeps_only_the_first_page():
    k = boot()
    free = zone(k)["nr_free_pages"]
    pfn = pa.alloc_pages(k, GFP_KERNEL, 2)
    pa.set_page_count(k, pfn, 2)
    pa.__free_pages(k, pfn, 2)
    assert zone(k)["nr_free_pages"] == free - 1
    pa.__free_pages(k, pfn, 0)
    assert zone(k)["nr_free_pages"] == free


def test_zeroed_pages():
    k = boot()
    pfn = pa.alloc_pages(k, GFP_KERNEL, 1)
    k.machine.ram.write(pfn << 12, b"\xff" * 8192)
    pa.__free_pages(k, pfn, 1)
    assert pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_ZERO, 1) == pfn
    assert k.machine.ram.read(pfn << 12, 8192) == bytes(8192)


def test_init_on_alloc_clears_every_page():
    k = boot(cmdline=[(pa.early_init_on_alloc, "1")])
    pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
    k.machine.ram.write(pfn << 12, b"dirt")
    pa.__free_pages(k, pfn, 0)
    assert pa.alloc_pages(k, GFP_KERNEL, 0) == pfn
    assert k.machine.ram.read(pfn << 12, 4) == bytes(4)


def test_page_poison_goes_before_init_on_free():
    k = boot(PAGE_POISONING=True, cmdline=[(early_page_poison_param, "on"), (pa.early_init_on_free, "1")])
    assert any(
        "mem auto-init: CONFIG_PAGE_POISONING is on, will take precedence over init_on_free" in text
        for text in texts(k)
    )
    pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
    pa.__free_pages(k, pfn, 0)
    assert k.machine.ram.read(pfn << 12, 4096) == b"\xaa" * 4096
    assert not pa.want_init_on_free(k)


# ---------------------------------------------------------------- misuse


def test_a_page_freed_twice_is_found_when_it_is_handed_out():
    k = boot()
    pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
    pa.__free_pages(k, pfn, 0)
    pa.__free_pages(k, pfn, 0)
    assert pa.alloc_pages(k, GFP_KERNEL, 0) != pfn
    assert f"BUG: Bad page state in process swapper  pfn:{pfn:05x}" in texts(k)
    assert "page dumped because: nonzero _refcount" in texts(k)


def test_freeing_a_reserved_block_is_bad():
    k = boot(reserved=[(BASE, 8192)])
    free = zone(k)["nr_free_pages"]
    pa.set_page_count(k, PFN + 1, 0)
    pa.__free_pages(k, PFN, 1)
    page = k.phys_to_virt(k.mm.pgdat.mem_map_pa)  # of the first frame
    assert texts(k)[-4:] == [
        f"BUG: Bad page state in process swapper  pfn:{PFN:05x}",
        f"page:{page:08x} refcount:0 mapcount:0 mapping:00000000 index:0x0 pfn:{PFN:#x}",
        "flags: 0x1000(reserved)",
        "page dumped because: PAGE_FLAGS_CHECK_AT_FREE flag(s) set",
    ]
    assert zone(k)["nr_free_pages"] == free


def test_a_single_reserved_page_slips_through_unless_the_build_checks():
    # free_pages_prepare() clears the flags before the per-cpu list's check sees them
    for debug_vm, caught in ((False, 0), (True, 1)):
        k = boot(reserved=[(BASE, 4096)], DEBUG_VM=debug_vm)
        pa.__free_pages(k, PFN, 0)
        assert sum("BUG: Bad page" in text for text in texts(k)) == caught


def test_bad_pages_are_shown_sixty_times_at_most():
    k = boot()
    for _ in range(70):
        pfn = pa.alloc_pages(k, GFP_KERNEL, 0)
        pa.__free_pages(k, pfn, 0)
        pa.set_page_count(k, pfn, -1)
    assert sum("BUG: Bad page" in text for text in texts(k)) == 60


def test_failure_is_told_in_the_kernels_words():
    k = boot()
    while pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_NOWARN, 10) is not None:
        pass
    assert not [text for text in texts(k) if "failure" in text]
    assert pa.alloc_pages(k, GFP_KERNEL, 10) is None
    assert "swapper: page allocation failure: order:10, mode:0x0(), nodemask=(null)" in texts(k)
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    assert pa.alloc_pages(k, GFP_KERNEL | pa.__GFP_ZERO, 10) is None
    told = "swapper: page allocation failure: order:10, mode:0xdc0(GFP_KERNEL|__GFP_ZERO), nodemask=(null)"
    assert told in texts(k)


@pytest.mark.parametrize(("pfn", "order"), [(0, 0), (PFN - 1, 0), (PFN + 16 * TOP, 0), (PFN + 1, 1), (PFN, 11)])
def test_blocks_that_do_not_exist_are_refused(pfn, order):
    k = boot()
    with pytest.raises(pa.PageFrameError):
        pa.__free_pages(k, pfn, order)


def test_freeing_after_boot_keeps_the_counts():
    k = boot(reserved=[(BASE, 16 * 4096)])
    managed, total = zone(k)["managed"], k.mm.totalram_pages
    assert pa.free_reserved_area(k, 0xC0000000, 0xC0010FFF, poison=0xCC, name="test") == 16
    assert (zone(k)["managed"], k.mm.totalram_pages) == (managed + 16, total + 16)
    assert texts(k)[-1] == "Freeing test memory: 64K"
    assert k.machine.ram.read(BASE, 4) == b"\xcc" * 4


# ---------------------------------------------------------------- hash tables and options


def test_hash_tables_grow_with_lowmem():
    k = measure(new_kernel(banks=[(BASE, 256 * MIB)]))
    address, shift, mask = pa.alloc_large_system_hash(k, "Dentry cache", 4, 0, 13, pa.HASH_EARLY | pa.HASH_ZERO, 0, 0)
    assert (shift, mask) == (15, 32767)
    assert address % 64 == 0
    assert texts(k)[-1] == "Dentry cache hash table entries: 32768 (order: 5, 131072 bytes, linear)"


def test_hash_tables_after_boot_come_from_the_allocator():
    k = boot()
    address, shift, _ = pa.alloc_large_system_hash(k, "Mount-cache", 4, 0, 19, pa.HASH_ZERO, 0, 0)
    assert pa.page_info(k, address >> 12)["refcount"] == 1
    assert texts(k)[-1] == "Mount-cache hash table entries: 1024 (order: 0, 4096 bytes, linear)"
    assert shift == 10


@pytest.mark.parametrize(("arg", "value"), [("1", True), ("on", True), ("y", True), ("0", False), ("off", False)])
def test_init_on_alloc_option(arg, value):
    k = new_kernel()
    assert pa.early_init_on_alloc(k, arg) == 0
    assert k.mm.init_on_alloc.enabled is k.mm.init_on_alloc.taken is value
    assert pa.early_init_on_free(k, "maybe") == -22
    assert pa.early_init_on_free(k, None) == -22


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (pa.GFP_ATOMIC, "GFP_ATOMIC"),
        (pa.GFP_HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE"),
        (pa.GFP_KERNEL | pa.__GFP_COMP | pa.__GFP_NOWARN, "GFP_KERNEL|__GFP_NOWARN|__GFP_COMP"),
        (0, ""),
        (1 << 30, "0x40000000"),
    ],
)
def test_gfp_names(mask, text):
    assert pa.format_gfp_flags(mask) == text


def test_the_checker_can_fail():
    k = boot()
    pa.set_page_count(k, blocks(k, 10)[0], 3)
    assert any("refcount 3" in fault for fault in pa.check_buddy_invariants(k.mm.pgdat))


def test_two_kernels_are_apart():
    one, two = boot(), boot()
    page_alloc.alloc_pages(one, GFP_KERNEL, 0)
    assert zone(one) != zone(two)
