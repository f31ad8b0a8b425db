"""Recorded objects of SLAB and SLOB, answered by the replay."""

import contextlib
import random
import struct

import pytest

from bootsim.errors import InputError

KINDS = {"kl-slab-1024": (1, 21, 51, 54, 62, 64), "kl-slobu-256": (1, 21, 51, 54),
         "kl-slabsmp-112": (1, 21, 51, 54, 62, 64, 71)}  # fmt: skip


@pytest.fixture(scope="module", params=list(KINDS))
def recording(request, recorded):
    return recorded(request.param)


@pytest.mark.golden
def test_every_answer_is_the_real_kernels(replayed, recording):
    right, asked, first = replayed.score()
    assert (right, first) == (asked, None)
    kinds = {replayed.records[i, 0] for i in range(replayed.at)}
    assert kinds >= set(KINDS[recording.name])
    assert asked > 40000
    assert replayed.objects.first_wrong is None


@pytest.mark.golden
def test_that_reapers_of_several_processors_are_taken_for_one_is_told(replayed, recording):
    told = [line for line in replayed.untold() if "reapers" in line]
    assert len(told) == (recording.name == "kl-slabsmp-112")
    assert all("4 processors" in line for line in told)


@pytest.mark.golden
def test_what_is_left_holds_together(replayed):
    assert replayed.objects.allocator.check() == []


@pytest.mark.golden
def test_an_object_of_the_allocator_has_an_owner(replayed):
    handed_out = {}
    for i in range(replayed.at):
        if replayed.records[i, 0] in (21, 22):
            handed_out[replayed.records[i, 2]] = replayed.records[i, 0] == 21
    va = next(va for va, used in reversed(handed_out.items()) if used)
    told = replayed.objects.allocator.owner_of(va)
    assert told.endswith(("in use", "handed out"))
    assert replayed.objects.allocator.owner_of(0x1000) == ""


@pytest.mark.parametrize("kind", [21, 51, 64])
def test_the_recorded_answer_is_not_what_the_replay_answers(recording, replay_of, kind):
    replay = replay_of(recording)
    at = [i for i in range(len(replay.records)) if replay.records[i, 0] == kind]
    if not at:
        pytest.skip("this allocator has no such record")
    changed = at[len(at) // 2]
    word = 3 if kind == 51 else 2
    real = replay.records[changed, word]
    records = bytearray(replay.records.tobytes())
    records[16 * changed + 4 * word:16 * changed + 4 * word + 4] = (real ^ 0x40).to_bytes(4, "little")
    replay.records = memoryview(records).cast("I", shape=list(replay.records.shape))
    replay.run(changed + 1)
    assert replay.answers[changed, word] == real
    assert replay.objects.first_wrong[0] == changed


def test_a_replay_goes_on_after_a_wrong_answer(recording, replay_of):
    replay = replay_of(recording)
    at = [i for i in range(len(replay.records)) if replay.records[i, 0] == 21]
    records = bytearray(replay.records.tobytes())
    for i in at[len(at) // 2::500]:
        records[16 * i + 8:16 * i + 12] = (replay.records[i, 2] ^ 0x80).to_bytes(4, "little")
    replay.records = memoryview(records).cast("I", shape=list(replay.records.shape))
    replay.run()
    assert replay.at == len(replay.records)
    assert replay.objects.wrong > 0
    replay.caches()


def with_records(replay, more):
    records = replay.records.tobytes() + b"".join(struct.pack("<4I", *record) for record in more)
    replay.records = memoryview(records).cast("I", shape=[len(records) // 16, 4])
    replay.answers = memoryview(bytearray(records)).cast("I", shape=[len(records) // 16, 4])


@pytest.mark.parametrize("recording", ["kl-slab-1024"], indirect=True)
def test_the_reaper_clears_a_node_that_is_due(recording, replay_of):
    replay = replay_of(recording)
    end = len(replay.records)
    kmem_cache = replay.objects.allocator.kmem_cache.va  # the oldest: the reaper comes to it last
    # The recording has one round of the reaper, a second after the boot began; these are the rounds after 3 and 5.
    first = next(i for i in range(end) if replay.records[i, 0] == 66)
    later = {replay.records[i, 1] for i in range(first, end) if replay.records[i, 0] == 54}
    replay.run()
    before = {c["addr"]: c for c in replay.caches()["state"]}
    due = {va for va in before if va not in later and 400 + va % 400 <= 500}
    drained = [va for va in due if before[va]["node"]["shared"] and before[va]["node"]["shared"]["avail"]]
    came = [(66, kmem_cache, 0, 0), (70, 0, 0, 0)]
    with_records(replay, [*came, *((60, va, 1, 1) for va in drained), *came])
    replay.run(end + 2)
    assert {c["addr"]: c["node"]["free_touched"] for c in replay.caches()["state"]} == {
        va: c["node"]["free_touched"] for va, c in before.items()}  # 4 seconds are not over
    replay.run()
    for cache in replay.caches()["state"]:
        touched = before[cache["addr"]]["node"]["free_touched"]
        assert cache["node"]["free_touched"] == (0 if cache["addr"] in due else touched), cache["name"]
    left = sum(c["node"]["free_touched"] for c in replay.caches()["state"])
    assert 0 < left < sum(c["node"]["free_touched"] for c in before.values())
    # those due within a second of its last round, at 500, which no record shows
    near = {va for va, c in before.items() if va not in later and va not in drained and c["node"]["free_touched"]
            and 400 < 400 + va % 400 < 600}
    assert near
    assert replay.objects.untold >= len(near)
    assert any(f"of {replay.objects.untold} caches" in line for line in replay.untold())


@pytest.mark.parametrize("recording", ["kl-slab-1024"], indirect=True)
def test_what_the_reaper_passed_by_tells_when_it_came(recording, replay_of):
    # a node is due at 400 + va % 400; one with objects in its shared array that was not drained was not due
    replay = replay_of(recording)
    end = len(replay.records)
    kmem_cache = replay.objects.allocator.kmem_cache.va
    replay.run()
    before = {c["addr"]: c for c in replay.caches()["state"]}
    with_records(replay, [(66, kmem_cache, 0, 0), (70, 0, 0, 0)] * 2)
    made = next(i for i in range(end) if replay.records[i, 0] == 66)
    later = {replay.records[i, 1] for i in range(made, end) if replay.records[i, 0] == 54}
    passed = [400 + va % 400 for va, c in before.items()
              if va not in later and c["node"]["shared"] and c["node"]["shared"]["avail"]]
    assert min(passed) <= 500
    replay.run()
    for cache in replay.caches()["state"]:
        if cache["addr"] not in later and 400 + cache["addr"] % 400 >= min(passed):
            assert cache["node"]["free_touched"] == before[cache["addr"]]["node"]["free_touched"], cache["name"]


@pytest.mark.parametrize("recording", ["kl-slab-1024"], indirect=True)
def test_a_cache_without_memory_for_its_array_is_not_made(recording, replay_of):
    replay = replay_of(recording)
    end = len(replay.records)
    slab = replay.objects.allocator
    replay.run(end)
    free = slab.snapshot()
    # What a kernel out of memory records: a descriptor, arrays, and then no memory for the node (51).
    held = next(c for c in free if c["addr"] == slab.kmem_cache.va)["cpu"][0]["entries"]
    assert held, "the array of kmem_cache holds a descriptor"
    of_nodes = next(c for c in free if c["name"] == "kmalloc-64")
    left = of_nodes["cpu"][0]["avail"] + of_nodes["node"]["shared"]["avail"] + of_nodes["node"]["free_objects"]
    with_records(replay, [
        *[(21, of_nodes["addr"], 0, 0xCC0)] * (left + 1),
        (25, 5000, 0, 0x80000),
        (21, slab.kmem_cache.va, held[-1], 0xDC0),
        (63, held[-1], 0x80004, 0),
        (21, of_nodes["addr"], 0, 0xCC0),
        (51, 64, 0xCC0, 0),
        (22, slab.kmem_cache.va, held[-1], 1),
        (54, 0, 0xC0300000, 0),
    ])
    replay.run()
    assert replay.answers[len(replay.records) - 1, 1] == 0
    assert held[-1] not in slab.cache_at
    assert len(slab.slab_caches) == len(free)


@pytest.mark.parametrize("seed", range(8))
def test_a_broken_recording_breaks_nothing_else(recording, replay_of, seed):
    replay = replay_of(recording)
    rnd = random.Random(seed)
    records = bytearray(replay.records.tobytes())
    at = [i for i in range(len(replay.records)) if replay.records[i, 0] not in (6, 7, 48, 49)]
    for i in rnd.sample(at, 400):
        word = rnd.choice((0, 4, 8, 12))
        value = rnd.choice((0, 1, 64, 0xFFFFFFFF, rnd.getrandbits(32), replay.records[rnd.choice(at), 2]))
        if word == 0:
            value = rnd.choice((20, 21, 22, 25, 51, 52, 54, 60, 61, 62, 63, 64, 66, 67))
        records[16 * i + word:16 * i + word + 4] = value.to_bytes(4, "little")
    replay.records = memoryview(records).cast("I", shape=list(replay.records.shape))
    with contextlib.suppress(InputError):
        replay.run()
    replay.caches()
    replay.objects.allocator.check()
