"""How fast a sweep is: ten thousand boots of 1 GiB must take at most five minutes on two processors.

    python tests/benchmarks/bench_sweep.py                 all ten thousand
    python tests/benchmarks/bench_sweep.py --boots 500     a part, and what it would be for all
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial

import pytest

from bootsim.sweep import pool
from bootsim.sweep.case import Case
from bootsim.sweep.worker import lost, measure

TREE, CONFIG, GIB = "vexpress.dts", "3G/1G", 1 << 30
ALL, LIMIT_S, JOBS = 10_000, 300, 2


def cases(count: int) -> list[Case]:
    """Boots of 1 GiB that differ in their command line."""
    return [Case(TREE, CONFIG, GIB, f"vmalloc={(64 << 20) + n * 4096}") for n in range(count)]


def sweep(count: int, jobs: int = JOBS) -> tuple[float, float]:
    """Run the boots; return the seconds they took, and the processor seconds of the workers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    verdicts = {result["verdict"] for _, result in pool.run(measure, cases(count), jobs=jobs, crashed=partial(lost))}
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert verdicts == {"ok"}, verdicts
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.benchmarks
def test_a_sweep(benchmark):
    boots = 400
    benchmark.pedantic(sweep, args=(boots,), rounds=1)
    assert benchmark.stats.stats.max * ALL / boots < LIMIT_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boots", type=int, default=ALL)
    parser.add_argument("--jobs", type=int, default=JOBS)
    options = parser.parse_args()
    seconds, cpu = sweep(options.boots, options.jobs)
    rate = options.boots / seconds
    print(f"{options.boots} boots of 1 GiB on {options.jobs} processes: {seconds:.1f} s, {rate:.0f}/s")
    print(f"processor time {cpu:.1f} s, {cpu / options.boots * 1000:.1f} ms a boot")
    print(f"{ALL} boots: {seconds / options.boots * ALL:.0f} s, limit {LIMIT_S} s")


if __name__ == "__main__":
    main()
