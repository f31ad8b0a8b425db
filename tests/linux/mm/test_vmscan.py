"""kswapd and kcompactd on a machine in use (mm/vmscan.c, mm/compaction.c): with nothing to reclaim."""

import pytest

import bootsim
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.page_alloc import PageFrameError, check_buddy_invariants
from bootsim.linux.mm.vmscan.kswapd import wakeup_kswapd

QUIET = pa.__GFP_NOWARN | pa.__GFP_NORETRY
ATOMIC = pa.GFP_ATOMIC & ~pa.__GFP_HIGH | pa.__GFP_NOWARN  # no reserves
free_block = pa.__free_pages


class Holder:
    """Who holds one movable page."""

    def __init__(self, pfn):
        self.pfn = pfn

    def moved(self, old, new):
        assert old == self.pfn
        self.pfn = new


@pytest.fixture
def k():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="cma=0")


def runs(k, func):
    return [r for r in k.log.records if r.func == func and " runs " in r.text]


def pieces(k):
    """Take all memory with movable pages, and give every second one back: no block of two pages is left."""
    holders, kept = page_holders(k), []
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | QUIET | pa.__GFP_MEMALLOC, 0)) is not None:
        kept.append(Holder(pfn))
    for holder in kept[::2]:
        free_block(k, holder.pfn, 0)
    for holder in kept[1::2]:
        holders.hold(holder.pfn, holder)
    return kept[1::2]


def test_a_boost_lasts_until_kswapd_has_run(k):
    movable = [pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE, 4) for _ in range(600)]
    for pfn in movable[::2]:
        free_block(k, pfn, 4)
    while not runs(k, "balance_pgdat"):  # until a piece of a movable pageblock has to do
        assert pa.alloc_pages(k, pa.GFP_KERNEL, 2) is not None
    assert [r.fields["boost"] for r in runs(k, "balance_pgdat")] == [1024]  # one pageblock
    wakeup_kswapd(k, pa.GFP_KERNEL, 0, 0)
    assert len(runs(k, "balance_pgdat")) == 1  # nothing is boosted any more, and there is enough


def test_a_machine_without_memory_is_left_to_itself_after_sixteen_runs(k):
    while pa.alloc_pages(k, pa.GFP_KERNEL | QUIET, 0) is not None:
        pass
    done = runs(k, "balance_pgdat")
    assert done[-1].fields["failures"] == 16
    for _ in range(3):
        assert pa.alloc_pages(k, pa.GFP_KERNEL | QUIET, 0) is None
    assert runs(k, "balance_pgdat") == done


def test_kcompactd_makes_the_block_that_an_atomic_request_found_missing(k):
    kept = pieces(k)
    content = {}
    for holder in kept:
        content[holder] = holder.pfn.to_bytes(4, "little")
        k.machine.ram.write(holder.pfn << 12, content[holder])
    assert pa.alloc_pages(k, ATOMIC, 4) is None  # kswapd is past hope: the request wakes kcompactd
    assert len(runs(k, "kcompactd_do_work")) == 1
    assert page_holders(k).moved > 0
    assert pa.alloc_pages(k, ATOMIC, 4) is not None
    for holder in kept:
        assert k.machine.ram.read(holder.pfn << 12, 4) == content[holder]
    assert check_buddy_invariants(k.mm.pgdat) == []


def test_a_copy_goes_on_moving_its_own_pages(k):
    kept = pieces(k)
    other = k.copy()
    before = [holder.pfn for holder in kept]
    for _ in range(20):
        pa.alloc_pages(other, ATOMIC, 4)
    assert page_holders(other).moved > 0
    assert page_holders(k).moved == 0
    assert [holder.pfn for holder in kept] == before
    assert check_buddy_invariants(other.mm.pgdat) == []


def test_during_the_boot_nobody_is_there_to_be_woken():
    k = bootsim.prepare("vexpress.dts", "3G/1G", mem="64M")
    bootsim.run(k, until="mem_init")
    while pa.alloc_pages(k, pa.GFP_KERNEL | QUIET, 0) is not None:
        pass
    assert not runs(k, "balance_pgdat")


@pytest.mark.parametrize(("order", "zone"), [(11, 0), (0, 9)])
def test_what_is_no_zone_or_order_is_refused(k, order, zone):
    with pytest.raises(PageFrameError):
        wakeup_kswapd(k, pa.GFP_KERNEL, order, zone)
