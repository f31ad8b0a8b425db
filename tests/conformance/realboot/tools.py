"""The programs a run needs, and the packages they are in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable

from realboot import CannotRunError, StepFailedError

CROSS_COMPILE = "arm-linux-gnueabi-"
QEMU = "qemu-system-arm"
GDB = "gdb-multiarch"

CAPTURE = {QEMU: "qemu-system-arm", GDB: "gdb-multiarch"}
BUILD = {
    f"{CROSS_COMPILE}gcc": "gcc-arm-linux-gnueabi",
    f"{CROSS_COMPILE}ld": "binutils-arm-linux-gnueabi",
    "gcc": "gcc",
    "make": "make",
    "bc": "bc",
    "flex": "flex",
    "bison": "bison",
    "perl": "perl",
}


def missing(tools: dict[str, str]) -> dict[str, str]:
    """Those of `tools` (program: package) that are not on PATH."""
    return {program: package for program, package in tools.items() if shutil.which(program) is None}


def require(tools: dict[str, str], *, install: bool = False) -> None:
    """Raise CannotRunError when a program is missing and may not be installed."""
    absent = missing(tools)
    if absent and install:
        apt_install(absent.values())
        absent = missing(tools)
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        packages = " ".join(sorted(set(absent.values())))
        raise CannotRunError(f"{', '.join(absent)} {verb} missing (apt-get install {packages}; or INSTALL=1)")


def apt_install(packages: Iterable[str]) -> None:
    """Install packages, through sudo for an ordinary user."""
    if shutil.which("apt-get") is None:
        raise CannotRunError("no apt-get to install with")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    command = [*sudo, "apt-get", "install", "-y", "--no-install-recommends", *sorted(set(packages))]
    if subprocess.run(command, check=False).returncode:
        raise StepFailedError(" ".join(command) + " failed")


def qemu_version() -> tuple[int, int]:
    """QEMU's version, (7, 2) for 7.2.19."""
    text = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    if not found:
        raise StepFailedError(f"{QEMU} --version says {text[:80]!r}")
    return int(found[1]), int(found[2])


def check_gdb() -> None:
    """Raise CannotRunError unless the debugger knows ARM and Python."""
    command = [GDB, "-nx", "-batch", "-ex", "set architecture arm", "-ex", "python print('py' + 'thon')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "python" not in done.stdout:
        raise CannotRunError(f"{GDB} has no Python or does not know ARM: {done.stderr.strip()[:200]}")
