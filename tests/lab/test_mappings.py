"""Recorded kernel mappings, answered by the replay: ranges, mapped pages, ioremap(), kmap(), modules, per-cpu areas."""

import contextlib
import json
import random

import pytest

from bootsim.errors import InputError
from bootsim.lab.recording import Recording
from bootsim.lab.replay import MAPPING_ANSWER_WORDS

WINDOWS = {40, 41, 42}
RANGES = {31, 37, 46, 47, 53}
KINDS = {
    "kl-slab-1024": WINDOWS | RANGES | {36, 50},
    "kl-slobu-256": WINDOWS | RANGES | {50},
    "kc-slub-256": RANGES | {42},
}
LAB = [name for name in KINDS if name.startswith("kl")]


def changed(path, change):
    """A recording of which `change` has edited the rows of words."""
    recording = Recording(path)
    data = bytearray(recording.records.tobytes())
    rows = memoryview(data).cast("I", shape=[len(data) // 16, 4])
    change(rows)
    recording.records = rows
    return recording


def answers(replay):
    return {(i, word): replay.answers[i, word] for i in range(len(replay.records))
            for word in MAPPING_ANSWER_WORDS.get(replay.records[i, 0], ())}


@pytest.fixture(scope="module")
def real(recorded):
    """Of each recording the answers of its mappings, by record and word."""
    found = {}
    for name in KINDS:
        rows = Recording(recorded(name)).records
        found[name] = {(i, word): rows[i, word] for i in range(len(rows))
                       for word in MAPPING_ANSWER_WORDS.get(rows[i, 0], ())}
    return found


@pytest.mark.golden
@pytest.mark.parametrize("name", list(KINDS))
def test_every_answer_is_the_real_kernels(recorded, replay_of, real, name):
    replay = replay_of(recorded(name))
    replay.run()
    assert answers(replay) == real[name]
    assert {replay.records[i, 0] for i, _ in real[name]} == KINDS[name]
    assert replay.mappings.first_wrong is None


@pytest.mark.golden
def test_the_state_at_the_end_is_the_real_kernels(recorded, replay_of):
    name = "kc-slub-256"
    replay = replay_of(recorded(name))
    replay.run()
    end = json.loads((recorded(name) / "stages.json").read_text())["end"]
    assert replay.state()["vmap"] == end["vmap"]
    assert replay.state()["kmap"] == end["kmap"]


@pytest.mark.golden
@pytest.mark.parametrize("name", LAB)
def test_an_altered_answer_changes_nothing(recorded, replay_of, real, name):
    """One recorded answer of each kind is another: the replay's stay the real kernel's, and so do all that follow."""
    rng = random.Random(name)
    rows = Recording(recorded(name)).records
    picked = {}
    for i, word in real[name]:
        picked.setdefault(rows[i, 0], []).append((i, word))
    for places in picked.values():
        at = rng.choice(places)

        def alter(rows, at=at):
            rows[at] ^= 0x1000

        replay = replay_of(changed(recorded(name), alter))
        replay.run()
        assert answers(replay) == real[name], (rows[at[0], 0], at)


@pytest.mark.parametrize("seed", range(4))
def test_a_broken_recording_is_told_and_nothing_worse(recorded, replay_of, seed):
    rng = random.Random(seed)

    def alter(rows):
        kinds = {*range(30, 56)} - {42, 43, 48, 49, 51, 52, 54}
        mapping = [i for i in range(len(rows)) if rows[i, 0] in kinds]
        for at in rng.sample(mapping, 40):
            rows[at, rng.randrange(4)] = rng.choice((0, 0xFFFFFFFF, 40, rng.randrange(1 << 32)))

    name = LAB[seed % 2]
    replay = replay_of(changed(recorded(name), alter))
    with contextlib.suppress(InputError):
        replay.run()
    assert replay.mappings.snapshot()["vmap"]["busy"]
    right, asked, first = replay.score()
    assert right < asked or replay.at < len(replay.records)
    assert first is not None or replay.at < len(replay.records)
