"""How fast a sweep is: ten thousand boots of 1 GiB must take at most five minutes on two processors.

    python tests/benchmarks/bench_sweep.py                 all ten thousand
    python tests/benchmarks/bench_sweep.py --boots 500     a part, and what it would be for all
    python tests/benchmarks/bench_sweep.py --against DIR   how many times as fast as the checkout of another commit

DIR has its modules built: `git worktree add DIR COMMIT`, and there `python setup.py build_ext --inplace`.
The two take turns, each sweep in a process of its own; what counts is the ratio, which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from bootsim.sweep import pool
from bootsim.sweep.case import Case
from bootsim.sweep.worker import lost, measure

TREE, CONFIG, GIB = "vexpress.dts", "3G/1G", 1 << 30
ALL, LIMIT_S, JOBS = 10_000, 300, 2
HERE = Path(__file__).resolve().parents[2]


def cases(count: int) -> list[Case]:
    """Boots of 1 GiB that differ in their command line."""
    return [Case(TREE, CONFIG, GIB, f"vmalloc={(64 << 20) + n * 4096}") for n in range(count)]


def sweep(count: int, jobs: int = JOBS) -> tuple[float, float]:
    """Run the boots; return the seconds they took, and the processor seconds of this process and its workers."""
    before = processor_s()
    start = time.perf_counter()
    verdicts = {result["verdict"] for _, result in pool.run(measure, cases(count), jobs=jobs, crashed=partial(lost))}
    seconds = time.perf_counter() - start
    assert verdicts == {"ok"}, verdicts
    return seconds, processor_s() - before


def processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def in_checkout(checkout: Path, count: int, jobs: int) -> tuple[float, float]:
    """`sweep`, by this file in a process that imports the bootsim of a checkout; per boot, in milliseconds."""
    command = [sys.executable, __file__, "--boots", str(count), "--jobs", str(jobs), "--raw"]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, cpu, where = done.stdout.split()
    assert Path(where).is_relative_to(checkout), f"{where} is not of {checkout}"
    return float(seconds) / count * 1000, float(cpu) / count * 1000


def compare(other: Path, count: int, jobs: int, rounds: int) -> None:
    """Print what a boot takes in this checkout and in another, and how many times as fast this one is."""
    both = [(in_checkout(other, count, jobs), in_checkout(HERE, count, jobs)) for _ in range(rounds)]
    print(f"a boot of 1 GiB; medians of {rounds} times {count} boots on {jobs} processes, here and in {other}")
    for i, what in enumerate(("elapsed", "processor")):
        there, here = ([pair[side][i] for pair in both] for side in (0, 1))
        ratios = sorted(a / b for a, b in zip(there, here, strict=True))
        print(f"{what:9}  there {statistics.median(there):6.2f} ms  here {statistics.median(here):6.2f} ms  "
              f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


@pytest.mark.benchmarks
def test_a_sweep(benchmark):
    boots = 400
    benchmark.pedantic(sweep, args=(boots,), rounds=1)
    assert benchmark.stats.stats.max * ALL / boots < LIMIT_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boots", type=int, help=f"{ALL}; with --against, 1000 a round")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another commit's checkout, built")
    parser.add_argument("--rounds", type=int, default=9, help="with --against: how often each of the two sweeps")
    parser.add_argument("--raw", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.against is not None:
        compare(options.against.resolve(), options.boots or 1000, options.jobs, options.rounds)
        return
    count = options.boots or ALL
    seconds, cpu = sweep(count, options.jobs)
    if options.raw:
        print(seconds, cpu, pool.__file__)
        return
    print(f"{count} boots of 1 GiB on {options.jobs} processes: {seconds:.1f} s, {count / seconds:.0f}/s")
    print(f"processor time {cpu:.1f} s, {cpu / count * 1000:.1f} ms a boot")
    print(f"{ALL} boots: {seconds / count * ALL:.0f} s, limit {LIMIT_S} s")


if __name__ == "__main__":
    main()
