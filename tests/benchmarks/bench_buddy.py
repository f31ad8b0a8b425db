"""What one allocation with its free costs: a million pairs, from Cython and from Python. Run by `make bench`."""

import random

import pytest

from bootsim.hw.machine import Machine
from bootsim.inputs.configfile import load_build
from bootsim.linux import Kernel
from bootsim.linux.mm.memblock import memblock_add, memblock_free_all, memblock_set_current_limit
from bootsim.linux.mm.page_alloc import (
    GFP_KERNEL,
    __free_pages,
    alloc_pages,
    build_all_zonelists,
    check_buddy_invariants,
    free_area_init,
    free_highmem_range,
    init_per_zone_wmark_min,
    setup_per_cpu_pageset,
)

pytestmark = pytest.mark.benchmarks
MIB = 1 << 20
BASE = 0x60000000
MILLION = 1_000_000
ORDERS = 4
PER_PYTHON_ROUND = 100_000


@pytest.fixture
def k():
    """A kernel with 1 GiB, 768 MiB of it lowmem, that has given all of it to the page allocator."""
    booted = Kernel(load_build("3G/1G"), Machine())
    booted.mm.memblock.zero = lambda *_: None  # no page tables yet
    booted.mm.phys_offset = BASE
    memblock_add(booted.mm.memblock, BASE, 1024 * MIB)
    memblock_set_current_limit(booted.mm.memblock, BASE + 768 * MIB)
    booted.mm.max_low_pfn, booted.mm.max_pfn = (BASE + 768 * MIB) >> 12, (BASE + 1024 * MIB) >> 12
    free_area_init(booted, {"Normal": booted.mm.max_low_pfn, "HighMem": booted.mm.max_pfn})
    build_all_zonelists(booted)
    memblock_free_all(booted)
    free_highmem_range(booted, booted.mm.max_low_pfn, booted.mm.max_pfn)
    setup_per_cpu_pageset(booted)
    init_per_zone_wmark_min(booted)
    yield booted
    assert check_buddy_invariants(booted.mm.pgdat) == []


def report(benchmark, calls):
    if benchmark.stats:
        benchmark.extra_info["ns per pair"] = round(benchmark.stats.stats.median / calls * 1e9, 1)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_pairs_from_cython(benchmark, driver, k, order):
    assert benchmark(driver.pairs, k.mm.pgdat, GFP_KERNEL, MILLION, order) == MILLION
    report(benchmark, MILLION)


def test_mixed_orders_from_cython(benchmark, driver, k):
    assert benchmark(driver.mixed, k.mm.pgdat, GFP_KERNEL, MILLION, ORDERS) == MILLION
    report(benchmark, MILLION)


def test_order_0_from_python(benchmark, k):
    def pairs():
        for _ in range(PER_PYTHON_ROUND):
            __free_pages(k, alloc_pages(k, GFP_KERNEL, 0), 0)

    benchmark(pairs)
    report(benchmark, PER_PYTHON_ROUND)


def test_mixed_orders_from_python(benchmark, k):
    rng = random.Random(1)
    steps = [(rng.randrange(1024), rng.randrange(ORDERS)) for _ in range(PER_PYTHON_ROUND)]
    held = [(alloc_pages(k, GFP_KERNEL, 0), 0) for _ in range(1024)]

    def mixed():
        for slot, order in steps:
            __free_pages(k, *held[slot])
            held[slot] = (alloc_pages(k, GFP_KERNEL, order), order)

    benchmark(mixed)
    report(benchmark, PER_PYTHON_ROUND)
