"""The replay's allocators against the same fast paths in plain C (plain.c, -O2), in one run. Run by `make bench`.

Both do the same requests in turn; what counts is the ratio of their best times, which is at most 2.
"""

import ctypes
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bootsim
from bootsim.linux.include.linux.slab import kmem_cache_create
from bootsim.linux.mm.page_alloc import GFP_KERNEL, check_buddy_invariants

pytestmark = pytest.mark.benchmarks
HERE = Path(__file__).parent
COUNT, TURNS, SIZE = 1_000_000, 7, 128
LIMIT = 2
LOW, HIGH = 187 << 10, 64 << 10  # pages of the two zones: about those of a board with 1 GiB


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """plain.c, compiled, with its memory ready."""
    library = tmp_path_factory.mktemp("plain") / "plain.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "plain.c")], check=True)
    found = ctypes.CDLL(str(library))
    found.start(LOW, HIGH)
    found.start_objects(SIZE)
    return found


@pytest.fixture(scope="module")
def k():
    booted = bootsim.boot("vexpress.dts", mem="1G")
    yield booted
    assert check_buddy_invariants(booted.mm.pgdat) == []


def seconds(call):
    start = time.process_time()
    assert call() == COUNT
    return time.process_time() - start


def against(record, ours, theirs):
    times = [(seconds(ours), seconds(theirs)) for _ in range(TURNS)]
    mine, plainly = (min(column) for column in zip(*times, strict=True))
    record("ns", round(mine / COUNT * 1e9, 1))
    record("ns in C", round(plainly / COUNT * 1e9, 1))
    record("ratio", round(mine / plainly, 2))
    sys.stdout.write(f"{mine / COUNT * 1e9:.1f} ns, in C {plainly / COUNT * 1e9:.1f} ns: {mine / plainly:.2f}\n")
    assert mine / plainly <= LIMIT


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_block_and_its_free(plain, driver, k, record_property, order):
    against(record_property, lambda: driver.pairs(k.mm.pgdat, GFP_KERNEL, COUNT, order),
            lambda: plain.pairs(COUNT, order))


def test_mixed_orders(plain, driver, k, record_property):
    against(record_property, lambda: driver.mixed(k.mm.pgdat, GFP_KERNEL, COUNT, 4), lambda: plain.mixed(COUNT, 4))


def test_an_object_and_its_free(plain, driver, k, record_property):
    s = kmem_cache_create(k, "pairs", SIZE)
    against(record_property, lambda: driver.object_pairs(k.mm.slab, s, GFP_KERNEL, COUNT),
            lambda: plain.object_pairs(COUNT))


def test_mixed_objects(plain, driver, k, record_property):
    s = kmem_cache_create(k, "mixed", SIZE)
    against(record_property, lambda: driver.object_mixed(k.mm.slab, s, GFP_KERNEL, COUNT),
            lambda: plain.object_mixed(COUNT))
