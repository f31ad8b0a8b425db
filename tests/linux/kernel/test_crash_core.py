"""kernel/crash_core.c and reserve_crashkernel(): 1 GiB from 0x60000000 on, lowmem ends at 0x90000000."""

from __future__ import annotations

import pytest

from bootsim.linux.kernel.crash_core import get_last_crashkernel

KEXEC = {"KEXEC": True}
NO_AREA = "crashkernel reservation failed - No suitable area found."
IN_USE = "crashkernel reservation failed - memory is in use."


def kexec(board, arg):
    k = board.boot(arg, config="3G/1G", build=KEXEC, until="setup_arch")
    return k, [line for line in board.said(k, "rashkernel", "emory value") if not line.startswith("Kernel command")]


@pytest.mark.parametrize(("arg", "mib", "at"), [
    ("crashkernel=64M", 64, 2176), ("crashkernel=64M@0x70000000", 64, 1792), ("crashkernel=1M@0x62000000", 1, 1568),
    ("crashkernel=0M-512M:32M,512M-2G:96M", 96, 2176)])
def test_memory_is_reserved_in_lowmem(board, arg, mib, at):
    k, lines = kexec(board, arg)
    assert lines == [f"Reserving {mib}MB of memory at {at}MB for crashkernel (System RAM: 768MB)"]
    assert (at << 20, mib << 20) in [(r.base, r.size) for r in k.mm.memblock.reserved.regions]
    assert ("Crash kernel", at << 20, (at + mib << 20) - 1) in k.iomem


@pytest.mark.parametrize(("arg", "line"), [("crashkernel=900M", NO_AREA), ("crashkernel=64M@0x60000000", IN_USE),
                                           ("crashkernel=64M@0x9c000000", IN_USE)])
def test_memory_that_is_not_there_or_in_use(board, arg, line):
    k, lines = kexec(board, arg)
    assert lines == [line]
    assert any(cause.startswith("cmdline: crashkernel=") for cause in board.causes(k))


@pytest.mark.parametrize(("arg", "line"), [
    ("crashkernel=", "crashkernel: memory value expected"), ("crashkernel=x", "crashkernel: memory value expected"),
    ("crashkernel=64Mx", "crashkernel: unrecognized char: x"), ("crashkernel=1-2", "crashkernel: unrecognized char: -"),
    ("crashkernel=:1M", "crashkernel: Memory value expected"), ("crashkernel=1G:1M", "crashkernel: '-' expected"),
    ("crashkernel=1G-x:1M", "crashkernel: Memory value expected"),
    ("crashkernel=2G-1G:1M", "crashkernel: end <= start"),
    ("crashkernel=1G-2G1:1M", "crashkernel: ':' expected"), ("crashkernel=1M-2G:x", "Memory value expected"),
    ("crashkernel=1M-2G:1G", "crashkernel: invalid size"),
    ("crashkernel=1G-2G:1M", "crashkernel size resulted in zero bytes"),
    ("crashkernel=1M-:16M@x", "Memory value expected after '@'")])
def test_what_is_malformed_is_complained_about(board, arg, line):
    k, lines = kexec(board, arg)
    assert lines[0] == line
    assert not any(name == "Crash kernel" and last > first for name, first, last in k.iomem)


def test_without_kexec_the_option_is_not_known(board):
    k = board.boot("crashkernel=64M", config="3G/1G", until="setup_arch", build={"KEXEC": False})
    assert board.said(k, "crashkernel reservation", "Reserving") == []


@pytest.mark.parametrize(("cmdline", "text"), [
    ("a b", None), ("crashkernel=1M a", "1M a"), ("crashkernel=1M crashkernel=2M", "2M"), ("xcrashkernel=3M", "3M"),
    ("crashkernel=1M crashkernel=2M,high", "1M crashkernel=2M,high"), ("crashkernel=2M,low", None)])
def test_the_last_one_counts(cmdline, text):
    assert get_last_crashkernel(cmdline) == text
