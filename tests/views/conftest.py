"""The bundled board as the golden files' machine had it, and a state to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

import bootsim
from bootsim.views.held import END, LiveState

PROC = Path(__file__).parents[1] / "golden" / "proc"
CMDLINE = ("console=ttyAMA0 root=/dev/mmcblk0 rootwait ro panic=1 memblock=debug ignore_loglevel loglevel=8")


def _boot(config="3G/1G", until=None, **inputs):
    k = bootsim.boot("vexpress.dts", config, mem="1G", bootloader="qemu", cmdline=CMDLINE, until=until, **inputs)
    return LiveState(k, until or END)


@pytest.fixture(scope="session")
def booted():
    """A booted board as a view sees it: booted(config, until); each is booted once."""
    kept = {}

    def boot(config="3G/1G", until=None, **inputs):
        key = (config, until, *sorted(inputs.items()))
        if key not in kept:
            kept[key] = _boot(config, until, **inputs)
        return kept[key]

    return boot


@pytest.fixture(scope="session")
def real():
    """The lines of a file of a real kernel."""
    return lambda name: (PROC / name).read_text().splitlines()
