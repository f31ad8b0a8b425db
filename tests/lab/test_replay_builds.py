"""Replays of kernels built otherwise: what their traffic must be answered with, and what is refused."""

import json
import random
import struct
import tarfile
from pathlib import Path

import pytest

from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.lab.recording import Recording
from bootsim.lab.replay import PageReplay
from bootsim.linux.mm import page_alloc as pa
from bootsim.start import prepare, run

GOLDEN = Path(__file__).parents[1] / "golden"
DTB_PA = 0x68000000
MASKS = (pa.GFP_KERNEL, pa.GFP_HIGHUSER_MOVABLE, pa.GFP_ATOMIC, pa.GFP_KERNEL | pa.__GFP_RECLAIMABLE)
free_block = pa.__free_pages


@pytest.fixture(scope="module")
def dtb(tmp_path_factory):
    place = tmp_path_factory.mktemp("tree")
    with tarfile.open(GOLDEN / "recordings/kc-slub-256.tar.xz") as archive:
        found = archive.extractfile("kc-slub-256/boot.dtb")
        (place / "boot.dtb").write_bytes(found.read())
    return place / "boot.dtb"


def build_with(**config):
    build = load_build(GOLDEN / "builds/k3slub.yaml")
    return build.replace(config=build.config.replace(**config))


def write(place, dtb, records, **meta):
    place.mkdir(parents=True)
    (place / "boot.dtb").write_bytes(dtb.read_bytes())
    (place / "meta.json").write_text(json.dumps({"mem": "256", "dtb_pa": hex(DTB_PA), **meta}))
    (place / "mmtrace.bin").write_bytes(b"".join(struct.pack("<4I", *record) for record in records))
    return Recording(place)


def traffic(k, steps=3000):
    """Requests and frees of pages on a machine: the records of them, as TRACES.md has them."""
    rng, held, records = random.Random(5), [], []
    for _ in range(steps):
        if held and rng.random() < 0.47:
            pfn, order = held.pop(rng.randrange(len(held)))
            free_block(k, pfn, order)
            records.append((3, pfn, order, 0) if order else (2, pfn, 0, 0))
        else:
            mask, order = rng.choice(MASKS), rng.choice((0, 0, 0, 0, 1, 2, 3, 5, 8))
            pfn = pa.alloc_pages(k, mask | pa.__GFP_NOWARN, order)
            records.append((1, mask | pa.__GFP_NOWARN, order, 0xFFFFFFFF if pfn is None else pfn))
            held += [] if pfn is None else [(pfn, order)]
    return records


@pytest.mark.parametrize("config", [
    {"CMA": False, "DMA_CMA": False, "MEMORY_ISOLATION": False},
    {"CMA": False, "DMA_CMA": False, "MEMORY_ISOLATION": False, "HIGHMEM": False},
    {"COMPACTION": False},
    {"HIGHMEM": False},
    {"SMP": False, "NR_CPUS": 1, "SLUB_CPU_PARTIAL": False},
    {"SLUB": False, "SLOB": True, "SMP": False, "NR_CPUS": 1},
], ids="-".join)
def test_page_traffic_of_any_build_is_answered_as_by_the_machine_itself(tmp_path, dtb, config):
    build = build_with(**config)
    k = prepare(dtb, build, dtb_addr=DTB_PA)
    run(k, until="mem_init")
    replay = PageReplay(write(tmp_path / "recording", dtb, traffic(k)), build)
    replay.run()
    right, asked, first = replay.score()
    assert (right, first) == (asked, None)
    assert asked > 1000
    assert replay.state()["zones"] == PageReplay.state_of(k)["zones"]


def test_a_kernel_without_cma_has_four_lists_an_order_and_no_area(tmp_path, dtb):
    build = build_with(CMA=False, DMA_CMA=False, MEMORY_ISOLATION=False)
    replay = PageReplay(write(tmp_path / "recording", dtb, [(1, pa.GFP_KERNEL, 0, 0)]), build)
    state = replay.state()
    assert state["areas"] == []
    assert {len(area["lists"]) for zone in state["zones"] for area in zone["free_area"]} == {4}


@pytest.mark.parametrize(("meta", "what"), [
    ({"allocator": "SLAB"}, "allocator is SLAB, and the build has SLUB"),
    ({"smp_kernel": "n"}, "smp_kernel is n, and the build has y"),
    ({"highmem": "n"}, "highmem is n, and the build has y"),
    ({"page_offset": "0x80000000"}, "page_offset is 0x80000000, and the build has 0xc0000000"),
])
def test_another_kernel_than_the_recorded_one_is_refused(tmp_path, dtb, meta, what):
    with pytest.raises(InputError, match=what):
        PageReplay(write(tmp_path / "recording", dtb, [(1, pa.GFP_KERNEL, 0, 0)], **meta), build_with())


def test_objects_with_red_zones_of_slab_are_refused(tmp_path, dtb):
    with pytest.raises(InputError, match="CONFIG_DEBUG_SLAB"):
        PageReplay(write(tmp_path / "recording", dtb, [(1, pa.GFP_KERNEL, 0, 0)]),
                   build_with(SLUB=False, SLAB=True, DEBUG_SLAB=True))


def test_a_random_order_of_objects_is_told(tmp_path, dtb):
    recording = write(tmp_path / "recording", dtb, [(1, pa.GFP_KERNEL, 0, 0)])
    assert PageReplay(recording, build_with()).notes == []
    assert "random" in PageReplay(recording, build_with(SLAB_FREELIST_RANDOM=True)).notes[0]


def test_a_record_that_the_machine_cannot_have_is_named(tmp_path, dtb):
    recording = write(tmp_path / "recording", dtb, [(1, pa.GFP_KERNEL, 0, 0), (5, 0x6F000, 4, 0)])
    with pytest.raises(InputError, match=r"record 1: pfn 0x6f000"):
        PageReplay(recording, build_with(HIGHMEM=False)).run()


def test_a_processor_that_the_build_has_not_is_named(tmp_path, dtb):
    recording = write(tmp_path / "recording", dtb, [(71, 1, 0, 0), (1, pa.GFP_KERNEL, 0, 0), (71, 2, 0, 0)])
    with pytest.raises(InputError, match="of processor 2, which the machine has not: this build has 2"):
        PageReplay(recording, build_with(NR_CPUS=2)).run()


def emptied(dtb, mask):
    """A machine after mem_init() of which every page is taken one by one: it, and the pages in their order."""
    k = prepare(dtb, build_with(), dtb_addr=DTB_PA)
    run(k, until="mem_init")
    pfns = []
    while (pfn := pa.alloc_pages(k, mask, 0)) is not None:
        pfns.append(pfn)
    return k, pfns


def every_other_page(dtb):
    """Of a machine that is emptied: the requests' mask, their pages, and pages of them that are no neighbours."""
    mask = pa.GFP_KERNEL | pa.__GFP_NOWARN | pa.__GFP_NORETRY
    _, pfns = emptied(dtb, mask)
    have = set(pfns)
    return mask, pfns, [pfn for pfn in pfns if not pfn & 1 and pfn + 1 in have]


def test_a_page_comes_back_from_the_lists_of_the_processor_that_freed_it(tmp_path, dtb):
    mask, pfns, (first, second, *singles) = every_other_page(dtb)
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(6, 90, 15, 0)] + [(3, pfn, 0, 0) for pfn in singles]
    records += [(2, first, 0, 0), (71, 1, 0, 0), (2, second, 0, 1), (1, mask, 0, second), (71, 0, 0, 0),
                (1, mask, 0, first)]  # fmt: skip
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run(len(records) - 3)
    assert [cpu["count"] for cpu in replay.state()["zones"][0]["pcp"]][:2] == [1, 1]
    replay.run()
    assert [replay.answers[i, 3] for i in (len(records) - 3, len(records) - 1)] == [second, first]
    assert replay.k.nr_online_cpus == 2


def test_a_page_that_was_given_otherwise_is_taken_from_the_processor_that_has_it(tmp_path, dtb):
    mask, pfns, (first, second, third, *singles) = every_other_page(dtb)
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(6, 90, 15, 0)] + [(3, pfn, 0, 0) for pfn in singles]
    records += [(2, third, 0, 0), (2, first, 0, 0), (71, 1, 0, 0), (2, second, 0, 1), (71, 0, 0, 0),
                (1, mask, 0, second)]  # fmt: skip
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.answers[len(records) - 1, 3] == first
    pcps = replay.state()["zones"][0]["pcp"]
    assert [cpu["count"] for cpu in pcps] == [sum(map(len, cpu["lists"])) for cpu in pcps]
    assert not any(second in pages for cpu in pcps for pages in cpu["lists"])


def test_what_another_processor_frees_is_not_captured(tmp_path, dtb):
    # mm/page_alloc.c task_capc(): only what the task that compacts frees itself
    mask, pfns, singles = every_other_page(dtb)
    theirs, waits_for = singles[len(singles) // 3], singles[len(singles) // 2]
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(3, pfn, 0, 0) for pfn in singles]
    records += [(17, 0, 1, 0x80000000), (71, 1, 0, 0), (3, theirs + 1, 0, 0), (71, 0, 0, 0), (3, waits_for + 1, 0, 0),
                (17, 0, 0, 8), (1, mask, 1, waits_for)]  # fmt: skip
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.answers[len(records) - 1, 3] == waits_for
    assert replay.state()["zones"][0]["free_area"][1]["nr_free"] == 1


def test_a_block_that_direct_compaction_captures_is_the_waiting_requests(tmp_path, dtb):
    # mm/page_alloc.c compaction_capture(): the first block of its order that is freed, before any list has it
    mask, pfns, singles = every_other_page(dtb)
    waits_for = singles[len(singles) // 2]
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(3, pfn, 0, 0) for pfn in singles]
    records += [(17, 0, 1, 0x80000000), (3, waits_for + 1, 0, 0), (17, 0, 0, 8), (1, mask, 1, waits_for)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.answers[len(records) - 1, 3] == waits_for
    right, asked, first = replay.score()
    assert (right, first) == (asked, None)
    zone = replay.state()["zones"][0]
    assert zone["free_area"][1]["nr_free"] == 0
    assert zone["free_area"][0]["nr_free"] == len(singles) - 1


def test_a_page_that_is_freed_twice_is_told(tmp_path, dtb):
    mask, pfns, singles = every_other_page(dtb)
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(3, singles[7], 0, 0), (2, singles[8], 0, 0)]
    replay = PageReplay(write(tmp_path / "right", dtb, records), build_with())
    replay.run()
    assert replay.untold() == []
    replay = PageReplay(write(tmp_path / "twice", dtb, [*records, *records[-2:]]), build_with())
    replay.run()
    (told,) = replay.untold()
    assert told.startswith("2 records free pages that are free here already")


def test_a_captured_block_that_nobody_asks_for_is_free_again(tmp_path, dtb):
    mask, pfns, singles = every_other_page(dtb)
    enter, left = (17, 0, 1, 0x80000000), (17, 0, 0, 8)
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(3, pfn, 0, 0) for pfn in singles]
    records += [enter, (3, singles[7] + 1, 0, 0), left, enter, left]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.state()["zones"][0]["free_area"][1]["nr_free"] == 1


@pytest.mark.parametrize(("mode", "result"), [(1, 8), (2, 5)])
def test_proactive_compaction_stops_where_free_memory_is_whole_enough(tmp_path, dtb, mode, result):
    # mm/compaction.c __compact_finished(): MIGRATE_SYNC_LIGHT of a whole zone is kcompactd's own; a zone's score, how
    # much of its free memory is in small blocks, is far below 80. A write to compact_memory ends when the scanners meet
    records = [(1, pa.GFP_KERNEL, 0, 0), (17, 0, 0xFFFFFFFF, 0x80000000 | mode), (17, 0, 0x60000, result)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.traffic.ends[2][1] == result
    assert (replay.traffic.ends[2][0] == 0x60000) == (mode == 1)


def test_a_page_of_a_contiguous_range_moves_to_the_one_that_was_asked_for_it(tmp_path, dtb):
    # alloc_migration_target(); another task may ask for pages before the copy is made
    k = prepare(dtb, build_with(), dtb_addr=DTB_PA)
    run(k, until="mem_init")
    target = pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_RETRY_MAYFAIL
    old, new, others = (pa.alloc_pages(k, mask, 0) for mask in (target, target, pa.GFP_HIGHUSER_MOVABLE))
    records = [(1, target, 0, old), (8, old, old + 1, 4), (1, target, 0, new), (1, pa.GFP_HIGHUSER_MOVABLE, 0, others),
               (19, old, new, 0), (9, old, old + 1, 0xFFFFFFF0)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert replay.answers[4, 2] == new
    assert replay.score()[2] is None


@pytest.mark.parametrize("preempt", [False, True])
def test_a_page_that_is_asked_for_as_a_slab_would_be_is_not_taken_for_one(tmp_path, dtb, preempt):
    # the mask of a slab of GFP_KERNEL, and then a mark: no interrupt makes one, so no object was waited for; where
    # other tasks may come at any time, that the cache had free objects tells
    with tarfile.open(GOLDEN / "recordings/kc-slub-256.tar.xz") as archive:
        words = memoryview(archive.extractfile("kc-slub-256/mmtrace.bin").read()).cast("I")
    boot = [tuple(words[i:i + 4]) for i in range(0, 4 * 30000, 4)]
    replay = PageReplay(write(tmp_path / "boot", dtb, boot), build_with())
    replay.run()
    cache = next(found for found in replay.caches()["state"]
                 if found["size"] == found["object_size"] == 64 and len(found["cpu"][0]["freelist"]) > 1)
    mask = pa.GFP_KERNEL | pa.__GFP_NOWARN | pa.__GFP_NORETRY
    expected = cache["cpu"][0]["freelist"][0]
    records = [*boot, (1, mask, 0, 0), (70, 0, 8, 1), (21, cache["addr"], expected, pa.GFP_KERNEL)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with(PREEMPT=preempt))
    replay.run()
    assert replay.answers[len(records) - 1, 2] == expected


def test_compaction_goes_on_while_another_task_takes_a_contiguous_range(tmp_path, dtb):
    # kcompactd and cma_alloc() in turns: what happens outside the pageblocks that are isolated is compaction's
    mask, pfns, singles = every_other_page(dtb)
    source, free = singles[3], singles[-1]
    blocks = free & ~0x3FF, (free & ~0x3FF) + 0x400
    outside = next(pfn for pfn in reversed(singles) if not blocks[0] <= pfn < blocks[1])
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(2, outside, 0, 0)]
    records += [(17, 0, 0xFFFFFFFF, 0x80000002), (8, *blocks, 4), (18, source, 1, 2), (11, outside, 0, 0),
                (9, *blocks, 0xFFFFFFF0), (19, source, outside, 0), (17, 0, 0, 5)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run(len(records) - 1)
    assert replay.answers[len(records) - 2, 2] == outside


def test_compaction_goes_on_after_another_tasks(tmp_path, dtb):
    # kcompactd sleeps, and somebody else compacts the zone meanwhile
    mask, pfns, singles = every_other_page(dtb)
    source, free = singles[3], singles[-1]
    records = [(1, mask, 0, pfn) for pfn in pfns] + [(2, free, 0, 0)]
    records += [(17, 0, 0xFFFFFFFF, 0x80000002), (17, 0, 0xFFFFFFFF, 0x80000001), (17, 0, 0x60000, 8),
                (18, source, 1, 2), (11, free, 0, 0), (19, source, free, 0), (17, 0, 0, 5)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run(len(records) - 1)
    assert replay.traffic.ends[len(records) - 5] == (0x60000, 8)
    assert replay.answers[len(records) - 2, 2] == free


def skipped(replay):
    """The first pages of the pageblocks of lowmem that compaction is to pass by."""
    found = replay.state()["zones"][0]["pageblocks"]
    return [found["first_pfn"] + (i << found["order"]) for i, skip in enumerate(found["skip"]) if skip]


@pytest.mark.parametrize(("tail", "expected"), [
    ([(9, 0x62200, 0x63600, 0)], [0x62400, 0x62C00, 0x63000, 0x63400]),
    ([(19, 0x62810, 0x60100, 0xFFFFFFF5), (9, 0x62200, 0x63600, 0xFFFFFFF0)], [0x62400]),
    ([(1, pa.GFP_USER, 0, 0xFFFFFFFF), (9, 0x62200, 0x63600, 0xFFFFFFF4)], [0x62400]),
], ids=["taken", "a page does not move", "nowhere to move to"])
def test_pageblocks_looked_through_for_a_contiguous_range_are_passed_by_later(tmp_path, dtb, tail, expected):
    # mm/compaction.c isolate_migratepages_block(): those that begin in the range and have nothing to move, up to the
    # page that the range could not get rid of; no_set_skip_hint is not asked there
    blocks = range(0x62000, 0x63800, 0x400)
    records = [(1, pa.GFP_KERNEL, 0, 0), (8, 0x62200, 0x63600, 1), *((5, pfn, 5, 0) for pfn in blocks),
               (18, 0x62810, 0, 2), *tail[:-1], *((5, pfn, 1, 0) for pfn in blocks), tail[-1]]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert skipped(replay) == expected


def test_a_range_that_could_not_be_isolated_was_not_looked_through(tmp_path, dtb):
    records = [(1, pa.GFP_KERNEL, 0, 0), (8, 0x62000, 0x62800, 1), (5, 0x62000, 5, 0), (5, 0x62000, 1, 0),
               (9, 0x62000, 0x62800, 0xFFFFFFF0)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert skipped(replay) == []


def in_pieces(dtb, free):
    """A machine without free memory but for one block of eight pages and `free` single pages: the records of it."""
    mask = pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY
    k, pfns = emptied(dtb, mask)
    low = sorted(pfn for pfn in pfns if pa.page_zone_name(k, pfn) == "Normal")
    have = set(low)
    block = next(pfn for pfn in low if not pfn & 7 and have.issuperset(range(pfn, pfn + 8)))
    singles = [pfn for pfn in low if pfn > block + 8 and not pfn & 1 and pfn + 1 in have][-free:]
    return [(1, mask, 0, pfn) for pfn in pfns], block, [(3, pfn, 0, 0) for pfn in (*singles, *range(block, block + 8))]


@pytest.mark.parametrize("told", [True, False])
def test_a_list_that_need_not_be_turned_may_have_a_record(tmp_path, dtb, told):
    # mm/compaction.c move_freelist_tail() of the only block of its list
    taken, block, freed = in_pieces(dtb, 60)
    records = [*taken, *freed, (17, 0, 4, 0x80000001), *[(58, block, 1, 3)] * told, (17, 0, 0, 6)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    assert len(records) - 1 in replay.traffic.ends  # written by the scanners' own run alone


@pytest.mark.parametrize(("short", "ends"), [(False, (0x60800, 6)), (True, (0, 1))])
def test_up_to_which_zone_kcompactd_was_woken_for_is_seen_from_what_it_did(tmp_path, dtb, short, ends):
    # __compaction_suitable() keeps the zone's lowmem_reserve for requests of higher zones: with less, kcompactd goes on
    # if it was woken for this zone, and leaves if it was for a higher one
    build, probe = build_with(), prepare(dtb, build_with(), dtb_addr=DTB_PA)
    run(probe, until="mem_init")
    pa.init_per_zone_wmark_min(probe)
    zone = pa.zones_snapshot(probe)[0]
    assert zone["lowmem_reserve"][2] > 100
    taken, _, freed = in_pieces(dtb, zone["watermark"][1] + 2 * 16 + 50)
    records = [*taken, *freed, (7, 0, 0, 0), (17, 0, 4, 0x80000001), (17, 0, *ends)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build)
    replay.run()
    assert replay.traffic.ends[len(records) - 1][1] == ends[1]
    assert short == (replay.traffic.ends[len(records) - 1][0] == 0)


@pytest.mark.parametrize(("order", "mode", "wrong"), [(4, 1, 1), (0xFFFFFFFF, 2, 0)])
def test_a_hint_that_no_record_tells_is_counted_and_given_up_when_shown_wrong(tmp_path, dtb, order, mode, wrong):
    # isolate_migratepages_block() marks a pageblock without movable pages, but not if one on an LRU list could not be
    # taken; a compaction that asks for the hints and takes a page of it shows that it was not marked
    taken, _, freed = in_pieces(dtb, 60)
    records = [*taken, *freed, (17, 0, 4, 0x80000001), (17, 0, 0x68400, 6), (17, 0, order, 0x80000000 | mode),
               (18, 0x62010, 0, 2)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run(len(records) - 2)
    assert replay.traffic.wrong == 0
    assert 0x62000 in skipped(replay)
    hints = replay.traffic.hints
    assert 20 < hints.untold < len(skipped(replay))  # those without a page in use are known
    assert (hints.shown_wrong, replay.traffic.strayed) == (0, [])
    replay.run()
    assert hints.shown_wrong == wrong
    assert (0x62000 in skipped(replay)) == (not wrong)
    assert replay.untold()[0].endswith(f"{hints.shown_wrong} of them turned out otherwise")
    assert "first at record" in replay.untold()[1]  # the recording ends before the next step


@pytest.mark.parametrize(("attempts", "resets"), [(6, 0), (7, 1)])
def test_hints_are_looked_at_again_when_compaction_was_put_off_for_long(tmp_path, dtb, attempts, resets):
    # mm/compaction.c compaction_restarting(): six failures bring the shift to its most, and the next attempt waited for
    # 64 others; that it did is plain, as it came
    taken, _, freed = in_pieces(dtb, 60)
    attempt = [(17, 0, 4, 0x80000001), (17, 0, 0x68400, 6), (1, pa.GFP_KERNEL | pa.__GFP_NOWARN, 4, 0xFFFFFFFF)]
    replay = PageReplay(write(tmp_path / "recording", dtb, [*taken, *freed, *attempt * attempts]), build_with())
    replay.run()
    assert replay.traffic.hints.resets == resets


def test_kswapd_looks_at_hints_again_between_waking_up_and_going_to_sleep(tmp_path, dtb):
    # mm/vmscan.c kswapd_try_to_sleep(): at once, as a rule, and once
    taken, _, freed = in_pieces(dtb, 60)
    attempt = [(17, 0, 4, 0x80000001), (17, 0, 0x68400, 6), (1, pa.GFP_KERNEL | pa.__GFP_NOWARN, 4, 0xFFFFFFFF)]
    wakes, sleeps = (16, 0, 0, 76), (16, 0, 0, 2)
    records = [*taken, *freed, wakes, sleeps, *attempt, wakes, *attempt, sleeps, wakes, *attempt, sleeps]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    seen = []
    for at, record in enumerate(records, 1):
        if record[0] == 16:
            replay.run(at)
            seen.append(replay.traffic.hints.resets)
    assert seen == [0, 0, 1, 1, 2, 2]
    assert "looked at again 2 times" in replay.untold()[1]


def test_after_hints_were_looked_at_again_the_first_page_taken_tells_where_compaction_began(tmp_path, dtb):
    # __reset_isolation_suitable() begins at the first pageblock with pages on LRU lists, which records do not tell
    taken, _, freed = in_pieces(dtb, 60)
    attempt = [(17, 0, 4, 0x80000001), (17, 0, 0x68400, 6), (1, pa.GFP_KERNEL | pa.__GFP_NOWARN, 4, 0xFFFFFFFF)]
    records = [*taken, *freed, *attempt, (14, 0, 0, 1), (17, 0, 4, 0x80000001), (18, 0x61010, 0, 2),
               (18, 0x61011, 0, 2)]
    replay = PageReplay(write(tmp_path / "recording", dtb, records), build_with())
    replay.run()
    hints = replay.traffic.hints
    assert (hints.resets, hints.shown_wrong) == (1, 2)  # of its pageblock, and where the scanner begins
    assert replay.traffic.strayed == [len(records)]  # both pages are found; the recording ends there
