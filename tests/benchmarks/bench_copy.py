"""What a copy of a booted machine costs: at most 10 ms at 1 GiB. Run by `make bench`."""

import pytest

import bootsim

pytestmark = pytest.mark.benchmarks


@pytest.mark.parametrize("mem", ["256M", "1G"])
def test_copy(benchmark, mem):
    k = bootsim.boot("vexpress.dts", mem=mem)
    benchmark(k.copy)
    if benchmark.stats:
        benchmark.extra_info["ms"] = round(benchmark.stats.stats.median * 1e3, 2)
