"""Recorded kernel mappings, answered by the replay: ranges, mapped pages, ioremap(), kmap(), modules, per-cpu areas."""

import contextlib
import json
import random
from pathlib import Path

import pytest

from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.lab.recording import Recording
from bootsim.lab.replay import MAPPING_ANSWER_WORDS, PageReplay

GOLDEN = Path(__file__).parents[1] / "golden"
BUILDS = {"kl-slab-1024": "k3slab", "kl-slobu-256": "k3slobu", "kc-slub-256": "k3slub"}
WINDOWS = {40, 41, 42}
RANGES = {31, 37, 46, 47, 53}
KINDS = {
    "kl-slab-1024": WINDOWS | RANGES | {36, 50},
    "kl-slobu-256": WINDOWS | RANGES | {50},
    "kc-slub-256": RANGES | {42},
}
LAB = [name for name in BUILDS if name.startswith("kl")]


@pytest.fixture(scope="module")
def recordings(unpack, tmp_path_factory):
    place = tmp_path_factory.mktemp("recordings")
    for name in BUILDS:
        unpack(f"recordings/{name}", place)
    return place


@pytest.fixture(scope="module")
def builds():
    return {name: load_build(GOLDEN / f"builds/{build}.yaml") for name, build in BUILDS.items()}


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
def real(recordings):
    """Of each recording the answers of its mappings, by record and word."""
    found = {}
    for name in BUILDS:
        rows = Recording(recordings / name).records
        found[name] = {(i, word): rows[i, word] for i in range(len(rows))
                       for word in MAPPING_ANSWER_WORDS.get(rows[i, 0], ())}
    return found


@pytest.mark.golden
@pytest.mark.parametrize("name", list(BUILDS))
def test_every_answer_is_the_real_kernels(recordings, builds, real, name):
    replay = PageReplay(Recording(recordings / name), builds[name])
    replay.run()
    assert answers(replay) == real[name]
    assert {replay.records[i, 0] for i, _ in real[name]} == KINDS[name]
    assert replay.mappings.first_wrong is None


@pytest.mark.golden
def test_the_state_at_the_end_is_the_real_kernels(recordings, builds):
    name = "kc-slub-256"
    replay = PageReplay(Recording(recordings / name), builds[name])
    replay.run()
    end = json.loads((recordings / name / "stages.json").read_text())["end"]
    assert replay.state()["vmap"] == end["vmap"]
    assert replay.state()["kmap"] == end["kmap"]


@pytest.mark.golden
@pytest.mark.parametrize("name", LAB)
def test_an_altered_answer_changes_nothing(recordings, builds, real, name):
    """One recorded answer of each kind is another: the replay's stay the real kernel's, and so do all that follow."""
    rng = random.Random(name)
    rows = Recording(recordings / name).records
    picked = {}
    for i, word in real[name]:
        picked.setdefault(rows[i, 0], []).append((i, word))
    for places in picked.values():
        at = rng.choice(places)

        def alter(rows, at=at):
            rows[at] ^= 0x1000

        replay = PageReplay(changed(recordings / name, alter), builds[name])
        replay.run()
        assert answers(replay) == real[name], (rows[at[0], 0], at)


@pytest.mark.parametrize("seed", range(4))
def test_a_broken_recording_is_told_and_nothing_worse(recordings, builds, seed):
    rng = random.Random(seed)

    def alter(rows):
        kinds = {*range(30, 56)} - {42, 43, 48, 49, 51, 52, 54}
        mapping = [i for i in range(len(rows)) if rows[i, 0] in kinds]
        for at in rng.sample(mapping, 40):
            rows[at, rng.randrange(4)] = rng.choice((0, 0xFFFFFFFF, 40, rng.randrange(1 << 32)))

    name = LAB[seed % 2]
    replay = PageReplay(changed(recordings / name, alter), builds[name])
    with contextlib.suppress(InputError):
        replay.run()
    assert replay.mappings.snapshot()["vmap"]["busy"]
    right, asked, first = replay.score()
    assert right < asked or replay.at < len(replay.records)
    assert first is not None or replay.at < len(replay.records)
