"""Boots without end: what a boot takes from the host, it gives back."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

MANY = """
import sys
import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

def resident_kib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4

build, tree = load_build("3G/1G"), load_tree("vexpress.dts")
sizes = []
for i in range(int(sys.argv[1])):
    k = bootsim.prepare(tree, build, mem="64M" if i % 2 else "1G", cmdline="mem=2M" if i % 10 == 3 else "")
    try:
        bootsim.run(k)
    except KernelPanic:
        pass
    if i % 30 == 29:
        sizes.append(resident_kib())
print(sizes[0], max(sizes[1:]))
"""


def test_a_kernel_that_nobody_uses_goes_at_once():
    build, tree = load_build("3G/1G"), load_tree("vexpress.dts")
    k = bootsim.prepare(tree, build, mem="128M")
    bootsim.run(k)
    kernel, pages = weakref.ref(k), weakref.ref(k.mm.pgdat)
    gc.disable()
    try:
        del k
        assert (kernel(), pages()) == (None, None)
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_three_hundred_boots_end_where_thirty_did():
    done = subprocess.run([sys.executable, "-c", MANY, "300"], capture_output=True, text=True, check=True)
    after_thirty, largest = map(int, done.stdout.split())
    assert largest < after_thirty + 6000
