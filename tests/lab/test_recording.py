"""Recordings, the bitmap of a contiguous area, and a recorded kernel's page traffic answered by the replay."""

import contextlib
import json
import random

import pytest

from bootsim.errors import InputError
from bootsim.hw.machine import Machine
from bootsim.inputs.configfile import load_build
from bootsim.lab import kinds
from bootsim.lab.recording import Recording
from bootsim.linux import Kernel
from bootsim.linux.mm.cma import Cma, bitmap_find_next_zero_area_off, cma_release


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        Recording(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"meta\.json"):
        Recording(tmp_path)


def test_the_search_for_clear_bits_keeps_alignment_and_skips_taken_ones():
    bits = bytearray(16)
    bits[3] = 1
    assert bitmap_find_next_zero_area_off(bits, 0, 3, 0, 0) == 0
    assert bitmap_find_next_zero_area_off(bits, 0, 4, 3, 0) == 4
    assert bitmap_find_next_zero_area_off(bits, 0, 13, 0, 0) is None


def test_a_range_beyond_the_area_is_not_its_own():
    k = Kernel(load_build("3G/1G"), Machine())
    area = Cma(0x1000, 16, 0, "area")
    k.mm.cma_areas.append(area)
    area.bitmap[:] = b"\1" * 16
    assert not cma_release(k, area, 0x100F, 2, free=False)
    assert cma_release(k, area, 0x1002, 4, free=False)
    assert area.set_bits == [[0, 2], [6, 10]]


@pytest.fixture(scope="module")
def recording(recorded):
    return recorded("kc-slub-256")


@pytest.mark.golden
def test_every_answer_is_the_real_kernels(replayed):
    right, asked, first = replayed.score()
    assert (right, first) == (asked, None)
    assert asked > 90000


@pytest.mark.golden
def test_compaction_takes_and_moves_what_the_real_kernel_did(replayed):
    assert (replayed.traffic.wrong, replayed.traffic.first_wrong) == (0, None)
    left = [i for i in range(replayed.at) if replayed.records[i, 0] == 17 and not replayed.records[i, 3] >> 31]
    assert left
    for i in left:  # written by the scanners' own run alone, and by nothing when they go astray
        assert replayed.traffic.ends[i] == (replayed.records[i, 2], replayed.records[i, 3])


@pytest.mark.golden
@pytest.mark.parametrize(("kind", "word"), [(11, 1), (19, 1), (19, 2), (17, 2)])
def test_another_step_of_compaction_is_found_out(recording, replay_of, kind, word):
    changed = Recording(recording)
    words = bytearray(changed.records.tobytes())
    changed.records = memoryview(words).cast("I", shape=[len(words) // 16, 4])
    first = next(i for i in range(len(words) // 16) if changed.records[i, 0] == 17)
    at = next(i for i in range(first + 1, len(words) // 16) if changed.records[i, 0] == kind)
    changed.records[at, word] ^= 0x10
    replay = replay_of(changed)
    replay.run(at + 1)
    assert replay.traffic.first_wrong is not None
    assert replay.traffic.first_wrong[0] <= at


@pytest.mark.golden
def test_the_state_at_the_end_is_the_real_kernels(replayed, recording):
    real = json.loads((recording / "stages.json").read_text())["end"]
    ours = replayed.state()
    for theirs, zone in zip(real["zones"], ours["zones"], strict=True):
        assert zone["free_area"] == theirs["free_area"], theirs["name"]
        for per_cpu, recorded in zip(zone["pcp"], theirs["pcp"], strict=False):  # one CPU was up
            assert per_cpu["lists"] == recorded["lists"], theirs["name"]
        if theirs.get("pageblocks"):
            assert zone["pageblocks"]["migratetype"] == theirs["pageblocks"]["migratetype"], theirs["name"]
    assert [area["set_bits"] for area in ours["areas"]] == [area["set_bits"] for area in real["areas"]]


@pytest.mark.golden
def test_the_caches_at_the_end_are_the_real_kernels(replayed, recording):
    def without_tid(value):  # how often a list changed: a recording's own record keeping adds to it
        if isinstance(value, dict):
            return {key: without_tid(inner) for key, inner in value.items() if key != "tid"}
        return [without_tid(inner) for inner in value] if isinstance(value, list) else value

    real = json.loads((recording / "objects.json").read_text())
    ours = replayed.caches()
    assert ours["allocator"] == real["allocator"]
    for theirs, cache in zip(real["state"], ours["state"], strict=True):
        assert without_tid(cache) == without_tid(theirs)


def test_an_object_has_a_life(replayed):
    freed = next(i for i in range(60000, replayed.at) if replayed.records[i, 0] == 22)
    told = replayed.life_of_object(replayed.records[freed, 2])
    assert any("handed out" in line for line in told)
    assert any(line.startswith(f"{freed}: object") and line.endswith("freed") for line in told)


def test_a_page_has_a_life(replayed):
    freed = next(i for i in range(60000, replayed.at) if replayed.records[i, 0] == 2)
    told = replayed.life_of(replayed.records[freed, 1])
    assert any("handed out" in line for line in told)
    assert any(line.startswith(f"{freed}: freed to the lists of cpu") for line in told)


def test_a_life_ends_where_a_block_or_an_object_ends(replayed):
    records = replayed.records
    freed = next(i for i in range(60000, replayed.at) if records[i, 0] == kinds.FREE_BLOCK and records[i, 2])
    first, pages = records[freed, 1], 1 << records[freed, 2]
    heard = {pfn: freed in [i for i, _, _ in replayed.story_of(pfn)]
             for pfn in (first - 1, first, first + pages - 1, first + pages)}
    assert list(heard.values()) == [False, True, True, False]
    sizes = {records[i, 1]: records[i, 2] for i in range(replayed.at) if records[i, 0] == kinds.CACHE}
    got = next(i for i in range(60000, replayed.at) if records[i, 0] == kinds.GET and records[i, 1] in sizes)
    va, size = replayed.answers[got, 2], sizes[records[got, 1]]
    heard = {at: any(line.startswith(f"{got}: ") for line in replayed.life_of_object(at))
             for at in (va - 1, va, va + size - 1, va + size)}
    assert list(heard.values()) == [False, True, True, False]


@pytest.mark.parametrize("seed", [24, 202, 3])
def test_a_broken_recording_is_told_and_nothing_worse(recording, replay_of, seed):
    broken = Recording(recording)
    words = bytearray(broken.records.tobytes())
    broken.records = memoryview(words).cast("I", shape=[len(words) // 16, 4])
    rng = random.Random(seed)
    for _ in range(200):
        at = rng.randrange(26000, 60000)
        broken.records[at, rng.randrange(1, 4)] = rng.choice((0, 0xFFFFFFFF, rng.randrange(1 << 32)))
    replay = replay_of(broken)
    with contextlib.suppress(InputError):
        replay.run(60000)
    right, asked, first = replay.score()
    assert right < asked
    assert first is not None
    assert replay.caches()["state"]


@pytest.mark.parametrize(("kind", "word"), [(1, 3), (21, 2), (51, 3), (54, 1)])
def test_a_wrong_recording_is_found_out(recording, replay_of, kind, word):
    changed = Recording(recording)
    words = bytearray(changed.records.tobytes())
    changed.records = memoryview(words).cast("I", shape=[len(words) // 16, 4])
    at = [i for i in range(len(words) // 16) if changed.records[i, 0] == kind][100 if kind == 21 else 30]
    changed.records[at, word] ^= 0x10
    replay = replay_of(changed)
    replay.run(at + 1)
    _, _, first = replay.score()
    assert first is not None
    assert first[0] == at
