"""Times whole boots and prints them beside their limits.

    python tests/benchmarks/bench_boot.py [--runs N] [--config NAME]

Whole processes are timed from outside, as a person waits for them; the in-process boot starts when imports are done and
the blob is ready. Medians over the runs. Timing is reported, never asserted: a busy machine is not a defect.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = "vexpress.dts"
# No Versatile Express can hold more than 2.5 GiB below 4 GiB; this board has its RAM at the bottom.
LARGE = """/dts-v1/;
/ {
	model = "3.5 GiB"; compatible = "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { };
	cpus {
		#address-cells = <1>; #size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a15"; reg = <0>; };
	};
	memory@0 { device_type = "memory"; reg = <0 0xe0000000>; };
};
"""


class Row(NamedTuple):
    """One measurement and its limit, in `unit`."""

    what: str
    value: float
    limit: float
    unit: str


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def whole_process(arguments: list[str], runs: int) -> float:
    """The median wall time in milliseconds of `bootsim boot ...`, output to a file."""
    command = [sys.executable, "-m", "bootsim", "boot", *arguments]
    with tempfile.TemporaryFile() as output:
        subprocess.run(command, stdout=output, check=True)
        times = [seconds(lambda: subprocess.run(command, stdout=output, check=True)) for _ in range(runs)]
    return statistics.median(times) * 1e3


# Runs in a process of its own. Prints the median time of linux.boot() in milliseconds and the peak memory in MiB.
IN_PROCESS = """
import resource, statistics, sys, time
import bootsim
tree, config, mem, runs = sys.argv[1], sys.argv[2], sys.argv[3] or None, int(sys.argv[4])
times = []
for _ in range(runs + 1):
    k = bootsim.prepare(tree, config, mem=mem)
    start = time.perf_counter()
    bootsim.run(k)
    times.append(time.perf_counter() - start)
    del k
print(statistics.median(times[1:]) * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def in_process(tree: str, config: str, mem: str, runs: int) -> float:
    command = [sys.executable, "-c", IN_PROCESS, tree, config, mem, str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[0])


def peak_mib(tree: str, config: str) -> float:
    """The peak resident memory of one whole `bootsim boot` of 1 GiB."""
    command = [sys.executable, "-m", "bootsim", "boot", tree, "--config", config, "--mem", "1G", "-q"]
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"exit code {child.returncode}: {' '.join(command)}")
    return usage.ru_maxrss / 1024


def measure(config: str, runs: int) -> list[Row]:
    from bootsim.inputs.devicetree import load_tree

    with tempfile.TemporaryDirectory() as folder:
        blob = Path(folder) / "board.dtb"
        blob.write_bytes(load_tree(TREE).blob)
        large = Path(folder) / "large.dts"
        large.write_text(LARGE)
        small = ["--config", config, "--mem", "1G"]
        return [
            Row("whole process, 1 GiB, from DTB", whole_process([str(blob), *small], runs), 300, "ms"),
            Row("whole process, 1 GiB, from DTS", whole_process([TREE, *small], runs), 450, "ms"),
            Row("in process, 1 GiB", in_process(str(blob), config, "1G", runs), 25, "ms"),
            Row("in process, 3.5 GiB", in_process(str(large), config, "", runs), 60, "ms"),
            Row("peak memory, 1 GiB", peak_mib(str(blob), config), 120, "MiB"),
        ]


def machine() -> str:
    """The processor's name, for the heading."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--config", default="3G/1G")
    options = parser.parse_args()
    print(machine())
    print(f"medians of {options.runs} runs\n")
    print(f"{'':34}{'measured':>12}{'limit':>12}{'ratio':>8}")
    for row in measure(options.config, options.runs):
        print(f"{row.what:34}{row.value:8.0f} {row.unit:3}{row.limit:8.0f} {row.unit:3}{row.value / row.limit:8.2f}")


if __name__ == "__main__":
    main()
