"""Where the two scanners of compaction look: pages placed by hand, and what mm/compaction.c does with them."""

import pytest

import bootsim
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.vmscan.kswapd import wakeup_kswapd
from bootsim.linux.mm.vmstat import all_vm_events

PAGEBLOCK = 1024
ORDER = 4
MOVABLE = pa.GFP_HIGHUSER_MOVABLE & ~pa.__GFP_KSWAPD_RECLAIM | pa.__GFP_NOWARN  # kcompactd stays out of it
ANY_PAGE = MOVABLE & ~pa.__GFP_DIRECT_RECLAIM | pa.__GFP_MEMALLOC
LEFT, WHOLE = "what was left of the zone, without success", "the whole zone, without success"
PUT_OFF = "put off, it failed lately"
free_page = pa.__free_pages


class Scene:
    """A zone of 16 pageblocks whose pages are all in use and stay where they are, but for those that a test names.

    `blocks` are the pageblocks, in ascending order, of which every page is the test's.
    """

    def __init__(self, k):
        self.k = k
        self.holders, self.moves = page_holders(k), []
        zone = pa.zones_snapshot(k)[0]
        self.start, self.end = zone["start_pfn"], zone["start_pfn"] + zone["spanned"]
        taken = set()
        while (pfn := pa.alloc_pages(k, ANY_PAGE, 0)) is not None:
            taken.add(pfn)
        self.blocks = [b for b in range(self.start, self.end, PAGEBLOCK) if taken.issuperset(range(b, b + PAGEBLOCK))]

    def free(self, pfns):
        """Give single pages back to the zone at once; what was freed last is first in its list."""
        for pfn in pfns:
            free_page(self.k, pfn, 0)
            pa.drain_pages_zone(self.k, 0, 0)

    def hold(self, pfns):
        """Let pages move."""
        for pfn in pfns:
            self.holders.hold(pfn, self)

    def moved(self, old, new):
        self.moves.append((old, new))

    def request(self, gfp):
        """Ask for a block: its first page or None, and how the compactions ended that the request waited for."""
        since = len(self.k.log.records)
        block = pa.alloc_pages(self.k, gfp, ORDER)
        return block, [r.fields["result"] for r in self.k.log.records[since:] if "direct compaction" in r.text]

    def kswapd(self, order=0):
        """It lets the boost of the watermarks go that emptying the zone led to, and wakes kcompactd for a pageblock.

        Which runs if the zone has enough free pages for it, 2 * PAGEBLOCK above the low watermark.
        """
        wakeup_kswapd(self.k, pa.GFP_KERNEL, order, 0)

    def scanned(self, block):
        """How many pages of a pageblock the migrate scanner looks at: of free blocks and compound pages the first."""
        count, pfn = 0, block
        while pfn < block + PAGEBLOCK:
            count += 1
            page, first = pa.page_info(self.k, pfn), pfn
            pfn += 1 << page["private"] if page["buddy"] else 1
            while page["head"] and pfn < self.end and pa.page_info(self.k, pfn)["compound_head"] == first:
                pfn += 1
        return count


@pytest.fixture
def scene():
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="cma=0")
    k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    yield Scene(k)
    assert pa.check_buddy_invariants(k.mm.pgdat) == []


def half_pinned(scene):
    """Of every 16 pages of a pageblock but its first, three may move; every second page of another is free."""
    source, target = scene.blocks[0], scene.blocks[-1]
    held = [pfn + i for pfn in range(source + 16, source + PAGEBLOCK, 16) for i in range(3)]
    scene.hold(held)
    scene.free(range(target, target + PAGEBLOCK, 2))
    scene.kswapd()
    return held


def test_asynchronous_compaction_leaves_what_it_cannot_make_a_block_of(scene):
    # isolate_migratepages_block() puts pages back when another of their 16 does not move; __GFP_NORETRY has compaction
    # run twice, both times asynchronously, and only synchronous failures are remembered by defer_compaction()
    half_pinned(scene)
    for _ in range(3):
        assert scene.request(MOVABLE | pa.__GFP_NORETRY) == (None, [LEFT])
    assert scene.moves == []
    # A pageblock without pages on LRU lists is passed by later; one that has some is not, unless it begins with one.
    skipped = [pa.is_pageblock_skipped(scene.k, block) for block in scene.blocks[:3]]
    assert skipped == [False, True, True]


def test_synchronous_compaction_moves_what_it_can_and_is_put_off(scene):
    held = half_pinned(scene)
    assert scene.request(MOVABLE) == (None, [LEFT])
    assert sorted(old for old, _ in scene.moves) == held
    assert {new for _, new in scene.moves} <= set(range(scene.blocks[-1], scene.blocks[-1] + PAGEBLOCK, 2))
    # compaction_deferred() counts both attempts: the asynchronous one is the first of two to wait for
    assert scene.request(MOVABLE) == (None, [PUT_OFF, LEFT])


def test_what_a_holder_raises_ends_a_compaction_and_not_the_next(scene):
    held = half_pinned(scene)

    class Fails:
        def moved(self, old, new):
            scene.moved(old, new)
            raise ValueError("cannot follow")

    scene.holders.let_go(held[40])
    scene.holders.hold(held[40], Fails())
    with pytest.raises(ValueError, match="cannot follow"):
        compact_memory(scene.k)
    assert scene.moves[-1][0] == held[40]
    assert len(scene.moves) < len(held)
    compact_memory(scene.k)
    assert sorted(old for old, _ in scene.moves) == held


def test_compaction_from_the_first_block_with_movable_pages_is_of_the_whole_zone(scene):
    # kswapd, as it goes to sleep after a direct compaction in vain, has __reset_isolation_suitable() look where the
    # first page is on an LRU list; compact_zone() that begins there, or before, misses nothing
    half_pinned(scene)
    assert scene.request(MOVABLE | pa.__GFP_NORETRY) == (None, [LEFT])
    scene.kswapd(ORDER)
    assert scene.request(MOVABLE | pa.__GFP_NORETRY) == (None, [WHOLE])


def singles(*blocks):
    """Every second page of pageblocks."""
    return [pfn for block in blocks for pfn in range(block, block + PAGEBLOCK, 2)]


def test_a_page_that_has_moved_moves_again(scene):
    # Of a whole zone, order -1, no list is searched: the free scanner takes the first free page of the last pageblock
    page, (near, far) = scene.blocks[0] + 7, (scene.blocks[3], scene.blocks[-1])
    scene.hold([page])
    for block in (near, far):
        scene.free(singles(block))
        assert compact_memory(scene.k) == 1
    assert scene.moves == [(page, near), (near, far)]


def test_every_search_for_a_pageblock_in_vain_halves_the_next(scene):
    # fast_find_migrateblock() looks at so many blocks of a list, and stops at the next, to turn the list there:
    # freelist_scan_limit() is 33, and after i searches in vain (32 >> i) + 1. The blocks of 8 pages are too high up:
    # they lie in the last pageblock that the scanner comes to, and it seeks below. One does not, but it is the 34th:
    # the first search stops at it, the next four turn the list by 18, 10, 6 and 4, and the sixth, by 3, stops there
    # again.
    target = scene.blocks[-1]
    eights = list(range(target, target + 16 * 40, 16))
    eights.insert(-33, scene.blocks[0])
    scene.free(pfn for block in eights for pfn in range(block, block + 8))
    scene.free(singles(*scene.blocks[-5:-1]))
    passed = range(scene.start, scene.end - PAGEBLOCK, PAGEBLOCK)  # the free scanner waits in the last pageblock
    assert target == passed[-1]
    looked_at = sum(scene.scanned(block) for block in passed) + sum((32 >> i) + 2 for i in range(len(passed)))
    before = all_vm_events(scene.k)
    scene.kswapd()
    after = all_vm_events(scene.k)
    for event in ("compact_migrate_scanned", "compact_daemon_migrate_scanned"):
        assert after[event] - before[event] == looked_at


@pytest.fixture
def pairs(scene):
    """A scene with 512 pairs of free pages, all in the lower half of the zone, and two single free pages.

    The first search of fast_isolate_freepages() looks at 512 blocks of a list. There are as many pairs, so of the
    single pages it looks at one only: the one in the lower half, and not that in the upper quarter behind it. So free
    pages are looked for from the pageblock of the highest page that it saw downwards.
    """
    scene.single = scene.blocks[3] + 5
    scene.free([scene.single, scene.blocks[-2] + 5])
    scene.free(pfn + i for block in scene.blocks[1:3] for pfn in range(block, block + PAGEBLOCK, 4) for i in range(2))
    return scene


def test_a_long_list_of_low_blocks_leaves_one_look_at_the_next(pairs):
    # kcompactd: fast_isolate_around() takes the free page of that pageblock.
    page = pairs.blocks[0] + 7
    pairs.hold([page])
    pairs.free(singles(*pairs.blocks[4:7]))
    pairs.kswapd()
    assert pairs.moves == [(page, pairs.single)]


def test_an_asynchronous_request_looks_at_every_32nd_page_for_free_ones(pairs):
    # isolate_freepages() from there downwards, at first in strides of 32 pages: it passes the single page, takes the
    # pair at the start of the next pageblock with free pages, comes to no other in it, and goes on page by page in
    # the next lower one until it has 16. split_map_pages() puts what it comes to last first; and so does
    # isolate_migratepages_block() with the pages to move.
    first, low, high = pairs.blocks[:3]
    pairs.hold(range(first, first + 16))
    pairs.kswapd()
    found = [high, high + 1] + [low + 4 * i + j for i in range(7) for j in range(2)]
    assert pairs.request(MOVABLE) == (first, [LEFT])  # the scanners have met at the end of the first pageblock
    assert pairs.moves == [(first + i, found[i]) for i in reversed(range(16))]
