"""Pages as drivers ask for them, on a booted machine: what comes back, what is told, and that nothing leaks."""

import re

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux import gfp
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.mm import page_alloc as pa


@pytest.fixture
def k():
    machine = bootsim.boot("vexpress.dts", config="3G/1G", mem="1G")
    yield machine
    assert pa.check_buddy_invariants(machine.mm.pgdat) == []


def free_pages_of(k):
    pa.drain_all_pages(k)
    zones = pa.zones_snapshot(k)
    return sum(area["nr_free"] << order for zone in zones for order, area in enumerate(zone["free_area"]))


def told(k, since):
    return [record.text for record in k.log.records[since:]]


def test_pages_come_as_objects_and_go_back(k):
    before = free_pages_of(k)
    page = gfp.alloc_pages(k, pa.GFP_KERNEL, 2)
    assert isinstance(page, Page)
    assert (page.zone, page.refcount) == ("Normal", 1)
    assert page.pfn % 4 == 0
    single = gfp.alloc_page(k, pa.GFP_HIGHUSER)
    assert single.zone == "HighMem"
    gfp.__free_pages(k, page, 2)
    gfp.__free_page(k, single)
    assert free_pages_of(k) == before


def test_addresses_of_lowmem(k):
    before = free_pages_of(k)
    va = gfp.__get_free_pages(k, pa.GFP_KERNEL | pa.__GFP_HIGHMEM, 1)
    assert k.virt_to_phys(va) >> 12 < k.mm.max_low_pfn
    k.machine.ram.write(k.virt_to_phys(va), b"\xff" * 4096)
    gfp.free_pages(k, va, 1)
    zeroed = gfp.get_zeroed_page(k, pa.GFP_KERNEL)
    assert k.read(zeroed, 4096) == bytes(4096)
    gfp.free_page(k, zeroed)
    gfp.free_page(k, 0)
    gfp.free_page(k, gfp.__get_free_page(k, pa.GFP_ATOMIC))
    assert free_pages_of(k) == before


def test_contiguous_pages_are_the_first_range_that_can_be_emptied(k):
    before, nr = free_pages_of(k), 64
    pinned = gfp.alloc_page(k, pa.GFP_KERNEL)
    infos = {pfn: pa.page_info(k, pfn) for pfn in range(0x60000, 0x68000)}
    held = {pfn for pfn, info in infos.items() if info["reserved"] or info["refcount"]}
    blocks = {pfn >> 10 for pfn in held}  # a pageblock with a page that cannot move is not isolated
    expected = next(pfn for pfn in range(0x60000, 0x68000, nr) if pfn >> 10 not in blocks)
    page = gfp.alloc_contig_pages(k, nr, pa.GFP_KERNEL)
    assert page.pfn == expected
    assert pinned.pfn >> 10 < page.pfn >> 10
    assert all(pa.page_info(k, pfn)["refcount"] == 1 for pfn in range(page.pfn, page.pfn + nr))
    assert pa.page_info(k, page.pfn + nr)["refcount"] == 0
    high = gfp.alloc_contig_pages(k, 3000, pa.GFP_HIGHUSER)  # of pages higher than any order
    assert (high.zone, high.pfn) == ("HighMem", next(pfn for pfn in range(0x90000, 0xA0000)
                                                     if pfn == (0x90000 + 2999) & ~2999))
    pa.free_contig_range(k, high.pfn, 3000)
    pa.free_contig_range(k, page.pfn, nr)
    gfp.__free_page(k, pinned)
    assert free_pages_of(k) == before


def test_contiguous_pages_of_a_contiguous_area_are_its_own(k):
    area = k.mm.cma_areas[0]
    size = area.count & ~(area.count - 1)
    while page := gfp.alloc_contig_pages(k, size, pa.GFP_HIGHUSER):
        assert not page.pfn < area.base_pfn + area.count <= page.pfn + size
        assert pa.get_pageblock_migratetype(k, page.pfn) == pa.MIGRATE_MOVABLE
    assert gfp.alloc_contig_pages(k, 0, pa.GFP_KERNEL) is None
    assert gfp.alloc_contig_pages(k, 1 << 31, pa.GFP_KERNEL) is None


def test_contiguous_pages_of_a_kernel_without_them():
    build = load_build("3G/1G")
    build = build.replace(config=build.config.replace(CMA=False, DMA_CMA=False, CONTIG_ALLOC=False))
    with pytest.raises(pa.PageFrameError, match="no CONFIG_CONTIG_ALLOC"):
        gfp.alloc_contig_pages(bootsim.boot("vexpress.dts", build, mem="64M"), 4, pa.GFP_KERNEL)


def test_exactly_no_bytes_is_more_than_there_can_be(k):
    # get_order(0) is that of 4 GiB
    before, since = free_pages_of(k), len(k.log.records)
    assert gfp.alloc_pages_exact(k, 0, pa.GFP_KERNEL | pa.__GFP_NOWARN) == 0
    assert free_pages_of(k) == before
    assert not [text for text in told(k, since) if "WARNING" in text]
    assert gfp.alloc_pages_exact(k, 0, pa.GFP_KERNEL) == 0
    assert any("__alloc_pages_nodemask" in text for text in told(k, since) if "WARNING" in text)


def test_exact_sizes_are_no_compound_pages(k):
    since = len(k.log.records)
    va = gfp.alloc_pages_exact(k, 4096, pa.GFP_KERNEL | pa.__GFP_COMP)
    gfp.alloc_pages_exact(k, 3 * 4096, pa.GFP_KERNEL | pa.__GFP_COMP)
    assert [text for text in told(k, since) if "WARNING" in text] == [
        "WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:5240 alloc_pages_exact"]  # once
    assert not pa.page_info(k, gfp.virt_to_pfn(k, va))["head"]


def test_exact_sizes_and_split_blocks(k):
    before = free_pages_of(k)
    va = gfp.alloc_pages_exact(k, 5 * 4096 - 1, pa.GFP_KERNEL)
    assert before - free_pages_of(k) == 5
    gfp.free_pages_exact(k, va, 5 * 4096 - 1)
    block = gfp.alloc_pages(k, pa.GFP_KERNEL, 3)
    gfp.split_page(k, block, 3)
    for pfn in range(block.pfn, block.pfn + 8):
        assert Page(k, pfn).refcount == 1
        gfp.__free_page(k, Page(k, pfn))
    assert free_pages_of(k) == before


def test_compound_pages_know_their_head(k):
    page = gfp.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_COMP, 2)
    assert page.head
    assert [Page(k, page.pfn + i).compound_head for i in range(1, 4)] == [page.pfn] * 3
    gfp.__free_pages(k, page, 2)


@pytest.mark.parametrize("addr", [0x1000, 0xFFFFFFFF, 0xF8000000])
def test_other_addresses_are_refused(k, addr):
    with pytest.raises(pa.PageFrameError, match="address of lowmem"):
        gfp.free_page(k, addr)


DEADLOCK = ("bootsim: out of memory, order 0, and no process is there to be killed: the kernel would say "
            '"Out of memory and no killable processes..." and panic, "System is deadlocked on memory"; here the '
            "request fails")
TRIES_ON = ("bootsim: without __GFP_FS nobody is killed: the kernel would try on until somebody frees memory; nobody "
            "does here, and the request fails")


def exhaust(k, mask, order):
    taken = []
    while (page := gfp.alloc_pages(k, mask | pa.__GFP_NOWARN, order)) is not None:
        taken.append(page)
    return taken


def test_a_failure_is_reported_with_the_state_of_memory(k):
    taken = exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 3)
    start = len(k.log.records)
    assert gfp.alloc_pages(k, pa.GFP_KERNEL, 3) is None
    lines = told(k, start)
    failure = lines.index("swapper/0: page allocation failure: order:3, mode:0xcc0(GFP_KERNEL), nodemask=(null),"
                          "cpuset=/,mems_allowed=0")
    assert lines[failure + 1] == "Mem-Info:"
    normal = next(zone for zone in pa.zones_snapshot(k) if zone["name"] == "Normal")
    line = next(line for line in lines if line.startswith("Normal free:"))
    figures = {name: int(kib) for name, kib in re.findall(r"(\w+):(\d+)kB", line)}
    assert figures["free"] == normal["nr_free_pages"] * 4
    boost = figures["min"] // 4 - normal["watermark"][0]  # stolen pageblocks raise all three
    assert boost >= 0
    assert [figures[mark] for mark in ("low", "high")] == [(mark + boost) * 4 for mark in normal["watermark"][1:]]
    blocks = next(line for line in lines if line.startswith("Normal: "))
    total = sum(area["nr_free"] << order for order, area in enumerate(normal["free_area"])) * 4
    assert blocks.endswith(f"= {total}kB")
    assert "262144 pages RAM" in lines
    assert "65536 pages HighMem/MovableOnly" in lines
    assert any(line.startswith("bootsim: out of memory, order 3, and no process is there") for line in lines)
    for page in taken:
        gfp.__free_pages(k, page, 3)


def test_no_warning_when_none_is_wanted(k):
    start = len(k.log.records)
    exhaust(k, pa.GFP_KERNEL, 10)
    assert not [line for line in told(k, start) if "failure" in line or "Mem-Info" in line]


def test_a_request_that_may_sleep_is_told_of_reclaim(k):
    exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)
    start = len(k.log.records)
    assert gfp.alloc_page(k, pa.GFP_KERNEL | pa.__GFP_NOWARN) is None
    lines = told(k, start)
    assert any("kswapd is woken for order 0" in line for line in lines)
    assert any("direct reclaim for order 0" in line for line in lines)
    assert any("System is deadlocked on memory" in line for line in lines)
    start = len(k.log.records)
    assert gfp.alloc_page(k, pa.GFP_NOWAIT | pa.__GFP_NOWARN) is None
    assert not any("direct reclaim" in line for line in told(k, start))


@pytest.mark.parametrize(("mask", "words"), [
    (pa.GFP_KERNEL, [DEADLOCK]), (pa.GFP_NOFS, [TRIES_ON]), (pa.GFP_NOIO, [TRIES_ON]), (pa.GFP_NOWAIT, []),
    (pa.GFP_KERNEL | pa.__GFP_NORETRY, []), (pa.GFP_KERNEL | pa.__GFP_RETRY_MAYFAIL, []),
])  # fmt: skip
def test_what_the_kernel_would_do_with_nobody_to_kill(k, mask, words):
    taken = exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)
    start = len(k.log.records)
    assert gfp.alloc_page(k, mask) is None
    assert [line for line in told(k, start) if "the kernel would" in line] == words
    assert k.panicked is None
    gfp.__free_page(k, taken.pop())
    assert gfp.alloc_page(k, pa.GFP_ATOMIC) is not None


def test_without_compaction_nothing_is_said_of_it():
    build = load_build("3G/1G")
    k = bootsim.boot("vexpress.dts", build.replace(config=build.config.replace(COMPACTION=False)), mem="64M")
    exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)
    start = len(k.log.records)
    assert gfp.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_RETRY_MAYFAIL | pa.__GFP_NOWARN, 4) is None
    lines = told(k, start)
    assert not any("compaction" in line for line in lines)
    assert any("direct reclaim for order 4, 1 times" in line for line in lines)  # it cannot compact: no second try


def test_reserves_by_flags(k):
    def left():
        return next(zone for zone in pa.zones_snapshot(k) if zone["name"] == "Normal")["nr_free_pages"]

    exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)
    low = left()
    assert gfp.alloc_page(k, pa.GFP_ATOMIC) is not None  # half of the watermark, and a quarter less
    exhaust(k, pa.GFP_ATOMIC, 0)
    assert left() < low
    lower = left()
    assert gfp.alloc_page(k, pa.GFP_KERNEL | pa.__GFP_NOFAIL) is not None
    exhaust(k, pa.GFP_ATOMIC | pa.__GFP_MEMALLOC, 0)
    assert left() < lower // 2
    for mask, words in ((pa.GFP_KERNEL, DEADLOCK), (pa.GFP_NOFS, TRIES_ON)):
        start = len(k.log.records)
        assert gfp.alloc_page(k, mask | pa.__GFP_NOFAIL | pa.__GFP_NOWARN) is None
        assert [line for line in told(k, start) if "the kernel would" in line] == [words]


@pytest.mark.parametrize(("mask", "least"), [
    (pa.GFP_KERNEL | pa.__GFP_NORETRY, lambda low: low),
    (pa.GFP_NOWAIT, lambda low: low),
    (pa.GFP_NOWAIT | pa.__GFP_HIGH, lambda low: low - low // 2),
    (pa.GFP_ATOMIC | pa.__GFP_NOMEMALLOC, lambda low: low - low // 2),
    (pa.GFP_ATOMIC & ~pa.__GFP_HIGH, lambda low: low - low // 4),
    (pa.GFP_ATOMIC, lambda low: low - low // 2 - (low - low // 2) // 4),
])  # fmt: skip
def test_how_far_a_request_may_empty_a_zone(mask, least):
    # gfp_to_alloc_flags(), __zone_watermark_ok(): two pages are given while more than `least` are left beside one
    build = load_build("3G/1G")
    k = bootsim.boot("vexpress.dts", build.replace(config=build.config.replace(SMP=False, NR_CPUS=1)), mem="64M",
                     cmdline="cma=0")  # fmt: skip
    taken = exhaust(k, pa.__GFP_MEMALLOC, 0)
    assert gfp.alloc_page(k, pa.GFP_NOWAIT) is None  # kswapd lets the boosts of the watermarks go
    for page in taken:
        gfp.__free_page(k, page)
    pa.drain_all_pages(k)  # from here on all memory is unmovable: nothing is stolen, nothing boosts
    exhaust(k, mask, 1)
    zone = pa.zones_snapshot(k)[0]
    assert zone["nr_free_pages"] - least(zone["watermark"][0]) in (0, 1)
    assert any(area["nr_free"] for area in zone["free_area"][1:])


def test_one_pageblock_is_kept_for_atomic_requests_however_many_there_are(k):
    # reserve_highatomic_pageblock() passes by a pageblock that is kept already, though there might be more of them
    for _ in range(3):
        assert gfp.alloc_pages(k, pa.GFP_ATOMIC, 1) is not None
        exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)  # only below the low watermark is it an atomic request's
    start = len(k.log.records)
    assert gfp.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0) is None
    (line,) = [line for line in told(k, start) if line.startswith("Normal free:")]
    assert " reserved_highatomic:4096KB " in line


def test_a_request_that_sleeps_is_not_atomic(k):
    exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 1)
    start = len(k.log.records)
    for _ in range(2):
        assert gfp.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_ATOMIC | pa.__GFP_NORETRY, 1) is None
    warnings = [line.split(" at ")[1] for line in told(k, start) if line.startswith("WARNING:")]
    assert warnings == ["mm/page_alloc.c:4664 __alloc_pages_slowpath"]  # WARN_ON_ONCE()


@pytest.mark.parametrize(("order", "warned"), [(1, 0), (2, 1)])
def test_what_must_not_fail_is_to_be_small(k, order, warned):
    start = len(k.log.records)
    assert gfp.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_NOFAIL, order) is not None
    assert sum(line.endswith("mm/page_alloc.c:3451 get_page_from_freelist") for line in told(k, start)) == warned


@pytest.mark.parametrize(("mask", "order", "line"), [(pa.GFP_NOWAIT, 0, 4876), (pa.GFP_KERNEL, 4, 4892)])
def test_what_must_not_fail_may_sleep_and_is_not_costly(k, mask, order, line):
    exhaust(k, pa.GFP_ATOMIC | pa.__GFP_MEMALLOC, order)
    start = len(k.log.records)
    for _ in range(2):
        assert gfp.alloc_pages(k, mask | pa.__GFP_NOFAIL | pa.__GFP_NOWARN, order) is None
    warnings = [text.split(" at ")[1] for text in told(k, start) if text.startswith("WARNING:")]
    assert warnings == [f"mm/page_alloc.c:{line} __alloc_pages_slowpath"]  # WARN_ON_ONCE()


def test_masks_that_contradict_themselves(k):
    with pytest.raises(pa.PageFrameError):
        gfp.alloc_page(k, pa.__GFP_MOVABLE | pa.__GFP_RECLAIMABLE)
    start = len(k.log.records)
    for _ in range(2):
        assert gfp.alloc_pages(k, pa.GFP_KERNEL, k.mm.max_order) is None
    warnings = [line for line in told(k, start) if line.startswith("WARNING:")]
    assert len(warnings) == 1  # WARN_ON_ONCE()
    assert warnings[0].endswith("__alloc_pages_nodemask")


def test_a_block_kept_for_atomic_requests_stays_when_reclaim_has_no_hope(k):
    atomic = gfp.alloc_pages(k, pa.GFP_ATOMIC, 1)
    exhaust(k, pa.GFP_KERNEL | pa.__GFP_NORETRY, 0)
    first = gfp.alloc_pages(k, pa.GFP_ATOMIC, 1)  # only now with ALLOC_HARDER
    assert first is not None
    assert first.migratetype == pa.MIGRATE_HIGHATOMIC
    gfp.__free_pages(k, first, 1)
    gfp.__free_pages(k, atomic, 1)
    exhaust(k, pa.GFP_KERNEL, 0)
    assert Page(k, first.pfn).migratetype == pa.MIGRATE_HIGHATOMIC  # 5.10 gives it up after 16 hopeful rounds alone
