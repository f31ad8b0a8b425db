"""What a migrate type takes from another when it has nothing free (mm/page_alloc.c __rmqueue_fallback())."""

import pytest

import bootsim
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.page_alloc import check_buddy_invariants

PAGEBLOCK = 1024
RESERVES = pa.__GFP_MEMALLOC | pa.__GFP_NOWARN  # a request with nothing else is unmovable
free_page = pa.__free_pages


@pytest.fixture
def taken():
    """A machine whose memory is all in use, and the pageblocks that a test has for its own; all are unmovable."""
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="cma=0")
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    pa.drain_all_pages(k)
    pfns = set()
    while (pfn := pa.alloc_pages(k, RESERVES, 0)) is not None:
        pfns.add(pfn)
    yield k, [pfn for pfn in sorted(pfns) if not pfn % PAGEBLOCK and pfns.issuperset(range(pfn, pfn + PAGEBLOCK))]
    assert check_buddy_invariants(k.mm.pgdat) == []


def free(k, pfn, order):
    for i in range(1 << order):
        free_page(k, pfn + i, 0)
    pa.drain_all_pages(k)


@pytest.mark.parametrize(("order", "chosen"), [(5, 0), (4, 1)])
def test_a_movable_request_takes_the_largest_block_if_it_may_have_its_pageblock(taken, order, chosen):
    # can_steal_fallback(): from half of pageblock_order on; else the smallest block is split
    k, pageblocks = taken
    places = [pageblocks[0] + 64, pageblocks[1] + 2]
    for pfn, size in zip(places, (order, 1), strict=True):
        free(k, pfn, size)
    assert pa.alloc_pages(k, RESERVES | pa.__GFP_MOVABLE, 0) == places[chosen]


@pytest.mark.parametrize(("first", "second"), [
    (pa.__GFP_RECLAIMABLE, 0), (pa.__GFP_RECLAIMABLE, pa.__GFP_MOVABLE), (0, pa.__GFP_MOVABLE),
])  # fmt: skip
def test_the_first_type_to_fall_back_to_comes_before_the_second(taken, first, second):
    # fallbacks[]: the type that is asked for is neither of the two
    k, pageblocks = taken
    types = dict(zip((0, pa.__GFP_MOVABLE, pa.__GFP_RECLAIMABLE), range(3), strict=True))
    (wanted,) = types.keys() - {first, second}
    for pfn, flag in zip(pageblocks, (second, first), strict=False):
        pa.set_pageblock_migratetype(k, pfn, types[flag])
        free(k, pfn, 3)
    assert pa.alloc_pages(k, RESERVES | wanted, 0) == pageblocks[1]


@pytest.mark.parametrize(("was", "wanted", "free_pages", "lru_pages", "claimed"), [
    (pa.MIGRATE_UNMOVABLE, pa.__GFP_RECLAIMABLE, 511, 0, False),
    (pa.MIGRATE_UNMOVABLE, pa.__GFP_RECLAIMABLE, 512, 0, True),
    (pa.MIGRATE_UNMOVABLE, pa.__GFP_MOVABLE, 32, 479, False),
    (pa.MIGRATE_UNMOVABLE, pa.__GFP_MOVABLE, 32, 480, True),
    (pa.MIGRATE_MOVABLE, 0, 32, 513, False),
    (pa.MIGRATE_MOVABLE, 0, 32, 512, True),
])  # fmt: skip
def test_a_pageblock_that_is_half_free_or_alike_changes_its_type(taken, was, wanted, free_pages, lru_pages, claimed):
    # steal_suitable_fallback(): alike are to a movable request the pages on LRU lists, to others, of a movable
    # pageblock, those in use that are on none; between unmovable and reclaimable ones nobody can tell
    k, pageblocks = taken
    pfn, end = pageblocks[0], pageblocks[0] + PAGEBLOCK
    pa.set_pageblock_migratetype(k, pfn, was)
    for i in range(lru_pages):
        page_holders(k).hold(pfn + i)
    for i in range(end - free_pages, end):
        free(k, i, 0)
    assert end - free_pages <= pa.alloc_pages(k, RESERVES | wanted, 0) < end
    assert (pa.get_pageblock_migratetype(k, pfn) == was) != claimed
