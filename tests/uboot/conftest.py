"""Runs a real U-Boot in QEMU's virt machine up to the kernel's first instruction, and takes the tree it hands over.

Nothing but QEMU and U-Boot is needed: the kernel is a zImage header in front of an endless loop, and QEMU's debug port
is spoken to directly.
"""

import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

ASKED = os.environ.get("BOOTSIM_UBOOT", "0") not in ("", "0")
UBOOT = Path("/usr/lib/u-boot/qemu_arm/u-boot.bin")
KERNEL, TREE, INITRD = 0x41000000, 0x44000000, 0x45000000
ZIMAGE_MAGIC = 0x016F2818
PATIENCE = 60.0


class Handed(NamedTuple):
    """What was handed over: the tree and its address (None where U-Boot gave up), and what U-Boot printed."""

    blob: bytes
    dtb_pa: int | None
    console: str

    @property
    def top(self):
        """Where what U-Boot keeps for itself begins, as bdinfo tells."""
        return ",".join(re.findall(r"reserved\[\d\]\s+\[0x([0-9a-f]+)", self.console))

    @property
    def initrd_pa(self):
        found = re.search(r"Loading Ramdisk to ([0-9a-f]+)", self.console)
        return int(found.group(1), 16) if found else None


def zimage(size=0x200000):
    """A zImage of that many bytes that loops at its first instruction."""
    code = struct.pack("<9I3I", *[0xE1A00000] * 8, 0xEAFFFFFE, ZIMAGE_MAGIC, 0, size)
    return code.ljust(size, b"\0")


class Remote:
    """QEMU's debug port (gdb's remote protocol): a breakpoint, registers, memory."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.got = b""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.socket.connect(str(path))
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def close(self):
        self.socket.close()

    def ask(self, text):
        self.socket.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) % 256))
        while (answer := self.answer()).startswith("T"):  # QEMU tells by itself that it has stopped
            pass
        return answer

    def answer(self):
        while not (packet := re.search(rb"\$([^#]*)#..", self.got)):
            self.got += self.socket.recv(1 << 16)
        self.got = self.got[packet.end() :]
        self.socket.sendall(b"+")
        return packet.group(1).decode()

    def register(self, number):
        return struct.unpack("<I", bytes.fromhex(self.ask("g")[8 * number : 8 * number + 8]))[0]

    def read(self, pa, size):
        parts = []
        for at in range(pa, pa + size, 0x400):
            parts.append(bytes.fromhex(self.ask(f"m{at:x},{min(0x400, pa + size - at):x}")))
        return b"".join(parts)


def hand_over(folder, blob, *, mem_mib, initrd=b"", environment=()):
    """Boot `blob` with `initrd` in U-Boot; `environment` are (name, value or "" to unset)."""
    for name, content in (("zimage", zimage()), ("tree", blob), ("initrd", initrd or b"\0")):
        (folder / name).write_bytes(content)
    port, log = folder / "gdb", folder / "console"
    command = ["qemu-system-arm", "-machine", "virt,highmem=off", "-cpu", "cortex-a15", "-m", str(mem_mib),
               "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "stdio", "-bios", str(UBOOT),
               "-gdb", f"unix:{port},server,nowait"]  # fmt: skip
    for name, pa in (("zimage", KERNEL), ("tree", TREE), ("initrd", INITRD)):
        command += ["-device", f"loader,file={folder / name},addr={pa:#x},force-raw=on"]
    with log.open("wb") as out, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out) as qemu:
        try:
            return _talk(qemu, port, log, environment, len(initrd))
        finally:
            qemu.kill()


def _talk(qemu, port, log, environment, initrd_bytes):
    def say(line):
        qemu.stdin.write(line.encode() + b"\n")
        qemu.stdin.flush()

    def wait(pattern, count=1):
        end = time.monotonic() + PATIENCE
        while len(re.findall(pattern, log.read_text(errors="replace"))) < count:
            if time.monotonic() > end or qemu.poll() is not None:
                raise TimeoutError(log.read_text(errors="replace"))
            time.sleep(0.02)

    wait("autoboot")
    say("")
    wait("=> ")
    lines = [f"setenv {name} '{value}'" if value else f"setenv {name}" for name, value in environment]
    for count, line in enumerate([*lines, "bdinfo"], 2):
        say(line)
        wait("=> ", count)
    with contextlib.closing(Remote(port)) as remote:
        return _to_the_kernel(remote, say, log, initrd_bytes)


def _to_the_kernel(remote, say, log, initrd_bytes):
    remote.ask(f"Z1,{KERNEL:x},4")
    remote.socket.sendall(b"$c#63")
    say(f"bootz {KERNEL:x} {f'{INITRD:x}:{initrd_bytes:x}' if initrd_bytes else '-'} {TREE:x}")
    remote.socket.settimeout(8)
    with contextlib.suppress(TimeoutError):
        while not remote.answer().startswith("T05"):
            pass
        pa = remote.register(2)
        size = int.from_bytes(remote.read(pa + 4, 4), "big")
        return Handed(remote.read(pa, size), pa, log.read_text(errors="replace"))
    return Handed(b"", None, log.read_text(errors="replace"))


@pytest.fixture
def real():
    """A real U-Boot, and where things are loaded before it boots."""
    if not ASKED:
        pytest.skip("not asked for: run `make uboot-test`")
    if shutil.which("qemu-system-arm") is None or not UBOOT.is_file():
        pytest.skip("no qemu-system-arm, or no U-Boot for it (Debian: apt install qemu-system-arm u-boot-qemu)")
    return SimpleNamespace(hand_over=hand_over, KERNEL=KERNEL, TREE=TREE, INITRD=INITRD)
