"""What SLAB and SLOB cost: a recorded event (a million a second), kmalloc() with its kfree(). Run by `make bench`."""

import tarfile
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.lab.recording import Recording
from bootsim.lab.replay import PageReplay
from bootsim.linux.include.linux.slab import kfree, kmalloc
from bootsim.linux.mm.page_alloc import GFP_KERNEL

pytestmark = pytest.mark.benchmarks
GOLDEN = Path(__file__).parents[1] / "golden"
BUILDS = {"kl-slab-1024": "k3slab", "kl-slobu-256": "k3slobu"}
PAIRS = 10_000


@pytest.mark.parametrize("name", list(BUILDS))
def test_recorded_events(benchmark, tmp_path, name):
    with tarfile.open(GOLDEN / f"recordings/{name}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(tmp_path)
    recording = Recording(tmp_path / name)
    build = load_build(GOLDEN / f"builds/{BUILDS[name]}.yaml")
    benchmark.pedantic(PageReplay.run, setup=lambda: ((PageReplay(recording, build),), {}), rounds=5)
    if benchmark.stats:
        a_second = len(recording.records) / benchmark.stats.stats.median
        benchmark.extra_info["events a second"] = round(a_second)
        assert a_second >= 1_000_000


@pytest.mark.parametrize("allocator", ["SLAB", "SLOB"])
def test_kmalloc_and_kfree(benchmark, allocator):
    build = load_build("3G/1G")
    config = build.config.replace(**{name: name == allocator for name in ("SLUB", "SLAB", "SLOB")})
    k = bootsim.prepare("vexpress-ca15", build.replace(config=config))
    bootsim.run(k)

    def pairs():
        for _ in range(PAIRS):
            kfree(k, kmalloc(k, 100, GFP_KERNEL))

    benchmark(pairs)
    if benchmark.stats:
        benchmark.extra_info["ns a pair"] = round(benchmark.stats.stats.median / PAIRS * 1e9)
