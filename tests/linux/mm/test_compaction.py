"""Compaction and contiguous memory on a booted machine: pages move, keep their content, and their holders know."""

import random

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.cma import cma_alloc, cma_release
from bootsim.linux.mm.compaction.api import compact_memory, compaction_suitable, fragmentation_index
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.vmstat import all_vm_events

HIGHMEM = 1


class Holder:
    """Knows where its page is, and what is in it."""

    def __init__(self, k, pfn, word):
        self.pfn, self.word = pfn, word
        k.machine.ram.write32(pfn << 12, word)

    def moved(self, old, new):
        assert old == self.pfn
        self.pfn = new


@pytest.fixture
def k():
    machine = bootsim.boot("vexpress.dts", config="3G/1G", mem="1G")
    machine.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    yield machine
    assert pa.check_buddy_invariants(machine.mm.pgdat) == []


def fill(k, share, seed=1):
    """Take all movable high memory page by page, give back all but a share of it; the holders that remain."""
    holders = page_holders(k)
    pfns = []
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0)) is not None:
        if pa.page_zone_name(k, pfn) != "HighMem":
            pa.__free_pages(k, pfn, 0)
            break
        pfns.append(pfn)
    choose = random.Random(seed)
    kept = []
    for pfn in pfns:
        if choose.random() < share:
            kept.append(Holder(k, pfn, pfn ^ 0x5A5A5A5A))
            holders.hold(pfn, kept[-1])
        else:
            pa.__free_pages(k, pfn, 0)
    pa.drain_all_pages(k)
    return kept


def largest_free_blocks(k, zone):
    return len([pfn for pfns in pa.zones_snapshot(k)[zone]["free_area"][10]["lists"] for pfn in pfns])


def check_content(k, kept):
    for holder in kept:
        assert k.machine.ram.read32(holder.pfn << 12) == holder.word
        assert page_holders(k).holder(holder.pfn) is holder
        assert pa.page_info(k, holder.pfn)["refcount"] == 1


def test_compaction_makes_large_blocks_of_scattered_pages(k):
    kept = fill(k, 0.3)
    before = largest_free_blocks(k, HIGHMEM)
    assert fragmentation_index(k, HIGHMEM, 10) > 900
    free = sum(area["nr_free"] << order for order, area in enumerate(pa.zones_snapshot(k)[HIGHMEM]["free_area"]))
    assert compact_memory(k) > 0
    pa.drain_all_pages(k)
    after = largest_free_blocks(k, HIGHMEM)
    assert after > before + 20
    check_content(k, kept)
    assert free == sum(a["nr_free"] << o for o, a in enumerate(pa.zones_snapshot(k)[HIGHMEM]["free_area"]))
    assert compaction_suitable(k, HIGHMEM, 10) == "success"


def test_nothing_moves_that_nobody_holds_as_movable(k):
    pfns = [pa.alloc_pages(k, pa.GFP_HIGHUSER, 0) for _ in range(2000)]
    for pfn in pfns[::2]:
        pa.__free_pages(k, pfn, 0)
    assert compact_memory(k) == 0


def test_a_large_request_is_met_by_compaction(k):
    while pa.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 9) is not None:
        pass  # so that lowmem cannot help
    kept = fill(k, 0.4)
    assert largest_free_blocks(k, HIGHMEM) == 0
    block = pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NORETRY, 9)
    assert block is not None
    assert any("direct compaction for order 9" in record.text for record in k.log.records)
    check_content(k, kept)


def test_a_contiguous_area_gets_its_lent_pages_back(k):
    area = k.mm.cma_areas[0]
    kept = fill(k, 0.97)
    first = area.base_pfn + 512  # DMA's pool has the beginning
    lent = [holder for holder in kept if first <= holder.pfn < first + 512]
    assert lent
    assert cma_alloc(k, area, 512, 9) == first
    check_content(k, kept)
    assert not [holder for holder in kept if first <= holder.pfn < first + 512]
    assert cma_release(k, area, first, 512)


def test_a_page_that_cannot_move_makes_the_range_busy(k):
    area = k.mm.cma_areas[0]
    fill(k, 0.97)
    holders = page_holders(k)
    pinned = next(pfn for pfn in range(area.base_pfn, area.base_pfn + 1024) if pfn_is_held(holders, pfn))
    holders.let_go(pinned)  # still allocated, but nobody can be told
    assert cma_alloc(k, area, 1024, 10) == area.base_pfn + 1024  # the block behind that of the pinned page
    pa.__free_pages(k, pinned, 0)


def test_a_busy_range_is_told_of(k):
    area = k.mm.cma_areas[0]
    fill(k, 0.97)
    holders = page_holders(k)
    pinned = next(pfn for pfn in range(area.base_pfn, area.base_pfn + 1024) if pfn_is_held(holders, pfn))
    pa.set_page_count(k, pinned, 2)
    holders.let_go(pinned)
    assert pa.alloc_contig_range(k, pinned, pinned + 1, pa.MIGRATE_CMA) == -16
    assert k.log.records[-1].text == f"alloc_contig_range: [{pinned:x}, {pinned + 1:x}) PFNs busy"
    pa.set_page_count(k, pinned, 1)
    pa.__free_pages(k, pinned, 0)


def test_without_a_frame_to_move_to_a_contiguous_request_ends_at_once(k):
    # All memory is full of movable pages, the area too: -ENOMEM is no reason to try the next place.
    holders, area = page_holders(k), k.mm.cma_areas[0]
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0)) is not None:
        holders.hold(pfn)
    since = len(k.log.records)
    assert cma_alloc(k, area, 1024, 0) is None
    said = [record.text for record in k.log.records[since:] if record.kernel]
    assert said[-1] == "cma: cma_alloc: alloc failed, req-size: 1024 pages, ret: -12"
    # GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL, and high memory for a page of it
    assert [text for text in said if "page allocation failure" in text] == [
        "swapper/0: page allocation failure: order:0, mode:0x104cca(GFP_HIGHUSER_MOVABLE|__GFP_RETRY_MAYFAIL), "
        "nodemask=(null),cpuset=/,mems_allowed=0"]
    assert not [text for text in said if "busy" in text]
    assert len(area.set_bits) == 1  # the pool of DMA
    assert len(holders) == sum(holders.holds(pfn) for bank in k.mm.pgdat.bank_pfns for pfn in range(*bank))


def movable_zone(config, cmdline):
    # A machine with movable memory, and its first frame. The last pageblock has page tables, which are not movable.
    k = bootsim.boot("vexpress.dts", config=config, mem="128M", cmdline=cmdline)
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    start = next(zone for zone in pa.zones_snapshot(k) if zone["name"] == "Movable")["start_pfn"]
    return k, start


def test_whatever_is_in_zone_movable_is_taken_for_movable():
    k, start = movable_zone("3G/1G", "kernelcore=64M cma=0")
    pfn = pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE, 10)  # that nobody can be asked to move
    assert pfn >= start
    assert pa.alloc_contig_range(k, pfn, pfn + 1, pa.MIGRATE_MOVABLE) == -16
    assert k.log.records[-1].text == f"alloc_contig_range: [{pfn:x}, {pfn + 1:x}) PFNs busy"  # it could be isolated
    normal = pa.alloc_pages(k, pa.GFP_KERNEL, 0)
    since = len(k.log.records)
    assert pa.alloc_contig_range(k, normal, normal + 1, pa.MIGRATE_MOVABLE) == -16
    assert k.log.records[since:] == []
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


@pytest.mark.parametrize("config", ["3G/1G", "3G/1G-nohighmem"])
def test_pages_of_zone_movable_move_to_zone_movable(config):
    k, start = movable_zone(config, "movablecore=32M cma=0")
    block = pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE, 10)
    pa.split_page(k, block, 10)
    pa.free_contig_range(k, block + 1, 1023)
    holder = Holder(k, block, 0x1234)
    old = holder.pfn
    page_holders(k).hold(old, holder)
    pa.drain_all_pages(k)
    assert pa.alloc_contig_range(k, old, old + 1, pa.MIGRATE_MOVABLE) == 0
    assert start <= holder.pfn != old
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def pfn_is_held(holders, pfn):
    try:
        holders.holder(pfn)
    except KeyError:
        return False
    return True


def test_a_range_that_cannot_be_isolated_is_free_as_before(k):
    # start_isolate_page_range() undoes what it did; unset_migratetype_isolate() frees a block as large as its pageblock
    # anew, at the tail, as it may not have merged
    blocks = [pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE, 10) for _ in range(4)]
    first = next(pfn for pfn in blocks if pfn + 1024 in blocks)
    pa.__free_pages(k, first, 10)
    before = pa.zones_snapshot(k)[HIGHMEM]
    assert before["free_area"][10]["lists"][pa.MIGRATE_MOVABLE][0] == first
    assert pa.alloc_contig_range(k, first, first + 2048, pa.MIGRATE_MOVABLE) == -16
    after = pa.zones_snapshot(k)[HIGHMEM]
    assert after["free_area"][10]["lists"][pa.MIGRATE_MOVABLE][-1] == first
    for name in ("nr_free_pages", "pageblocks"):
        assert after.get(name) == before.get(name)
    assert [area["nr_free"] for area in after["free_area"]] == [area["nr_free"] for area in before["free_area"]]


def test_what_may_not_move_is_refused(k):
    holders = page_holders(k)
    for pfn in (k.mm.pgdat.bank_pfns[0][0], pa.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_COMP, 1)):
        with pytest.raises(pa.PageFrameError, match="expected an allocated single page"):
            holders.hold(pfn)
    with pytest.raises(pa.PageFrameError, match="nobody holds it"):
        holders.let_go(pa.alloc_pages(k, pa.GFP_KERNEL, 0))
    with pytest.raises(pa.PageFrameError, match="expected a zone"):
        fragmentation_index(k, 9, 1)


def test_a_contiguous_range_without_pages_to_move_is_passed_by_later(k):
    # mm/compaction.c isolate_migratepages_block() sets the hint of a pageblock that it looked through from its start
    area = k.mm.cma_areas[0]
    kept = fill(k, 0.97)
    first, last = area.base_pfn + 1024, area.base_pfn + 2048
    assert [holder for holder in kept if first <= holder.pfn < first + 64]
    assert pa.alloc_contig_range(k, first, first + 64, pa.MIGRATE_CMA) == 0  # pages moved away
    assert not pa.is_pageblock_skipped(k, first)
    assert pa.alloc_contig_range(k, last + 128, last + 160, pa.MIGRATE_CMA) == 0  # from its middle
    assert not pa.is_pageblock_skipped(k, last)
    for holder in [holder for holder in kept if last <= holder.pfn < last + 64]:
        page_holders(k).let_go(holder.pfn)
        pa.__free_pages(k, holder.pfn, 0)
    pa.drain_all_pages(k)
    assert pa.alloc_contig_range(k, last, last + 64, pa.MIGRATE_CMA) == 0
    assert pa.is_pageblock_skipped(k, last)


def test_compaction_that_failed_is_put_off_ever_longer():
    # mm/compaction.c defer_compaction(): after n failures in a row 2**n attempts pass, at most 64, until the next. A
    # request makes two: the first, asynchronous one neither fails in this sense nor, put off, runs.
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="cma=0")
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    fill_with_unmovable(k)
    while pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 8) is not None:
        pass  # what the watermarks kept
    stalls = all_vm_events(k)["compact_stall"]
    tried = []
    for request in range(1, 140):
        since = len(k.log.records)
        assert pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN, 8) is None
        said = [record.text for record in k.log.records[since:] if "direct compaction for order 8" in record.text]
        if any(text.endswith("what was left of the zone, without success") for text in said):
            tried.append(request)
        else:
            assert [text for text in said if text.endswith("put off, it failed lately")]
    assert tried == [1, 2, 4, 8, 16, 32, 64, 96, 128]
    assert all_vm_events(k)["compact_stall"] - stalls == 2 * 139


def fill_with_unmovable(k):
    """All memory taken page by page, every second page given back: no block of 2 pages, and nobody to ask to move."""
    pfns = []
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0)) is not None:
        pfns.append(pfn)
    for pfn in sorted(pfns)[::2]:
        pa.__free_pages(k, pfn, 0)
    pa.drain_all_pages(k)


def test_a_build_without_compaction_is_not_asked_for_it():
    build = load_build("3G/1G")
    lacking = build.replace(config=build.config.replace(COMPACTION=False))
    with pytest.raises(pa.PageFrameError, match="no CONFIG_COMPACTION"):
        compact_memory(bootsim.boot("vexpress.dts", lacking, mem="64M"))


@pytest.mark.parametrize("ask", [lambda k: pa.alloc_contig_pages(k, 1, pa.GFP_KERNEL),
                                 lambda k: pa.alloc_contig_range(k, 0x60000, 0x60400, pa.MIGRATE_MOVABLE)])
def test_a_build_without_contiguous_ranges_is_not_asked_for_them(ask):
    build = load_build("3G/1G")
    lacking = build.replace(config=build.config.replace(CONTIG_ALLOC=False, CMA=False))
    with pytest.raises(pa.PageFrameError, match="no CONFIG_CONTIG_ALLOC"):
        ask(bootsim.boot("vexpress.dts", lacking, mem="64M"))
