"""What an object costs: allocations and frees from Python, and a recorded kernel's traffic. Run by `make bench`."""

import tarfile
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.lab.recording import Recording
from bootsim.lab.replay import PageReplay
from bootsim.linux.include.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_free,
    kmem_cache_free_bulk,
)

pytestmark = pytest.mark.benchmarks
GOLDEN = Path(__file__).parents[1] / "golden"
GFP_KERNEL = 0xCC0
CALLS = 100_000


@pytest.fixture
def k():
    booted = bootsim.prepare("vexpress-ca15", "3G/1G")
    bootsim.run(booted)
    return booted


def report(benchmark, events):
    if benchmark.stats:
        benchmark.extra_info["ns per event"] = round(benchmark.stats.stats.median / events * 1e9, 1)


def test_pairs_from_python(benchmark, k):
    def pairs():
        for _ in range(CALLS):
            kfree(k, kmalloc(k, 100, GFP_KERNEL))

    benchmark(pairs)
    report(benchmark, 2 * CALLS)


def test_many_slabs_from_python(benchmark, k):
    s = kmem_cache_create(k, "x", 96)

    def fill_and_empty():
        for va in [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(CALLS)]:
            kmem_cache_free(k, s, va)

    benchmark(fill_and_empty)
    report(benchmark, 2 * CALLS)


def test_bulk_from_python(benchmark, k):
    s = kmem_cache_create(k, "x", 96)

    def bulk():
        kmem_cache_free_bulk(k, s, kmem_cache_alloc_bulk(k, s, GFP_KERNEL, CALLS))

    benchmark(bulk)
    report(benchmark, 2 * CALLS)


def test_recorded_pages_and_objects(benchmark, tmp_path):
    with tarfile.open(GOLDEN / "recordings/kc-slub-256.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(tmp_path)
    recording, build = Recording(tmp_path / "kc-slub-256"), load_build(GOLDEN / "builds/k3slub.yaml")
    kinds = [recording.records[i, 0] for i in range(len(recording.records))]
    events = sum(kind < 4 or kind in (21, 22, 26, 27, 51, 54) for kind in kinds)

    def replay(prepared):
        prepared.run()
        assert prepared.objects.wrong == 0

    benchmark.pedantic(replay, setup=lambda: ((PageReplay(recording, build),), {}), rounds=5)
    report(benchmark, events)
