"""A machine at hand, for tests that want no other, and replays of recorded kernels."""

from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.lab.recording import Recording
from bootsim.lab.replay import PageReplay
from bootsim.lab.session import Session
from bootsim.views import alive

BUILDS = {"kc-slub-256": "k3slub", "kl-slab-1024": "k3slab", "kl-slobu-256": "k3slobu", "kl-slubdebug-64": "k3slubc",
          "kl-compact-128": "k3slubk", "kl-smp-128": "k3slubm", "kl-slabsmp-112": "k3slabm"}  # fmt: skip


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", mem="256M", cmdline="norandmaps")


@pytest.fixture
def lab(booted):
    return Session(booted.copy(), alive.text)


@pytest.fixture(scope="session")
def replay_of():
    """replay_of(RECORDING): its replay with the recorded kernel's build, which has not begun. A folder does, too."""

    def replay(recording):
        found = recording if isinstance(recording, Recording) else Recording(recording)
        build = Path(__file__).parents[1] / f"golden/builds/{BUILDS[found.path.name]}.yaml"
        return PageReplay(found, load_build(build))

    return replay


@pytest.fixture(scope="module")
def replayed(recording, replay_of):
    """The replay of the module's recording, from its beginning to its end."""
    replay = replay_of(recording)
    replay.run()
    return replay
