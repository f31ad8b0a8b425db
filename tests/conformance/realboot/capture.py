"""One boot of a real kernel in QEMU, written as a state directory, and kept for the next run."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realboot import StepFailedError, UsageError, tools

if TYPE_CHECKING:
    from realboot.kernels import Build
    from realboot.matrix import Boot

_IN_GDB = Path(__file__).with_name("in_gdb.py")
_RAM = {"vexpress-a9": 0x60000000, "vexpress-a15": 0x80000000}
_LAST_WORDS = (b"Kernel panic - not syncing", b"Rebooting in", b"reboot: ")


@dataclass(frozen=True)
class Job:
    """What a capture needs: a build, a tree as bytes, and the boot it is for."""

    boot: Boot
    build: Build
    tree: bytes

    @property
    def machine(self) -> str:
        """QEMU's machine for this tree."""
        return self.boot.machine or machine_of(self.tree)

    @property
    def is_vexpress(self) -> bool:
        """Whether the tree is for the Versatile Express board that it runs on."""
        return self.boot.machine is None

    @property
    def has_console(self) -> bool:
        """Whether the log is on the serial port; else it is read out of the kernel's memory."""
        return self.is_vexpress and self.boot.until is None

    @property
    def load_pa(self) -> int:
        """Where the kernel starts, on a Versatile Express."""
        return _RAM[self.machine] + self.build.text_offset

    def initrd(self) -> bytes:
        """Bytes that are no archive: the kernel reserves them, looks at them, and frees them."""
        return random.Random(self.boot.initrd_bytes).randbytes(self.boot.initrd_bytes)

    def key(self, qemu: tuple[int, int]) -> str:
        """A hash of all that decides the capture, how it is made included."""
        boot = self.boot
        what: list[Any] = [self.build.identity(), hashlib.sha256(self.tree).hexdigest(), self.machine, boot.mem_mib,
                           boot.cpus, boot.bootargs, boot.initrd_bytes, boot.dtb_pa, boot.cpu, boot.until, list(qemu),
                           hashlib.sha256(_IN_GDB.read_bytes()).hexdigest()]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def machine_of(tree: bytes) -> str:
    """QEMU's machine for a tree: the first `compatible` that names a Versatile Express tile."""
    if b"arm,vexpress,v2p-ca9" in tree:
        return "vexpress-a9"
    if b"arm,vexpress,v2p-" in tree:
        return "vexpress-a15"
    raise UsageError("the tree is for no Versatile Express board: say `machine` in matrix.yaml")


def capture(job: Job, target: Path, timeout_s: int, progress: Callable[[str], None]) -> None:
    """Boot once and fill `target`. Raises StepFailedError when the boot hangs or gets lost."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".capture.", dir=target.parent))
    started = time.monotonic()
    try:
        inputs = Path(tempfile.mkdtemp(prefix="bootsim-"))  # a short path: sockets have room for a hundred letters
        try:
            how = _boot(job, work, inputs, timeout_s, progress)
        finally:
            shutil.rmtree(inputs, ignore_errors=True)
        _write_meta(job, work, how, time.monotonic() - started)
        _put(work, target)
    except StepFailedError as error:
        failed = target.with_name(target.name + ".failed")
        _put(work, failed)
        raise StepFailedError(f"{error} (see {failed})") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _put(work: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)


def _boot(job: Job, work: Path, inputs: Path, timeout_s: int, progress: Callable[[str], None]) -> str:
    socket = inputs / "gdb"
    (inputs / "job.json").write_text(json.dumps({
        "out": str(work), "gdb": str(socket), "page_offset": job.build.page_offset,
        "phys_offset": _RAM.get(job.machine), "functions": job.build.functions(), "until": job.boot.until,
        "log": not job.has_console,
    }))
    serial = f"file:{work / 'console.log'}" if job.has_console else "null"
    command = [*qemu_command(job, inputs), "-serial", serial, "-S",
               "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb"]
    environment = {**os.environ, "QEMU_AUDIO_DRV": "none"}
    with (work / "qemu.log").open("wb") as log:
        qemu = subprocess.Popen(["nice", "-n", "10", *command], stdin=subprocess.DEVNULL, stdout=log,
                                stderr=subprocess.STDOUT, env=environment)
    try:
        _wait_for(socket, qemu, work)
        _debug(job, work, inputs, timeout_s, progress)
        how: str = json.loads((work / "end.json").read_text())["how"]
        (work / "end.json").unlink()
        if job.has_console:
            _let_finish(qemu, work / "console.log")
    finally:
        if qemu.poll() is None:
            qemu.terminate()
        try:
            qemu.wait(10)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait()
    return how


def qemu_command(job: Job, inputs: Path) -> list[str]:
    """QEMU's command line. Files it reads are written to `inputs`."""
    boot = job.boot
    (inputs / "tree.dtb").write_bytes(job.tree)
    command = [tools.QEMU, "-M", job.machine, "-m", f"{boot.mem_mib}M", "-smp", str(boot.cpus), "-display", "none",
               "-monitor", "none", "-no-reboot", "-net", "none"]
    if boot.cpu is not None:
        command += ["-cpu", boot.cpu]
    images = job.build.directory / "arch/arm/boot"
    if boot.dtb_pa is None:
        command += ["-kernel", str(images / "zImage"), "-append", boot.bootargs]
        command += ["-dtb", str(inputs / "tree.dtb")] if job.tree else []
        if boot.initrd_bytes:
            (inputs / "initrd").write_bytes(job.initrd())
            command += ["-initrd", str(inputs / "initrd")]
        return command
    ram = _RAM[job.machine]
    (inputs / "start.bin").write_bytes(start_code(boot.dtb_pa, job.load_pa))
    for name, pa in ((images / "Image", job.load_pa), (inputs / "tree.dtb", boot.dtb_pa), (inputs / "start.bin", ram)):
        command += ["-device", f"loader,file={name},addr={pa:#x},force-raw=on"]
    return [*command, "-device", f"loader,addr={ram:#x},cpu-num=0"]


def start_code(dtb_pa: int, kernel_pa: int) -> bytes:
    """The whole of a bootloader: r0 = 0, r1 = ~0 (no machine number), r2 = the tree; then the kernel."""
    return struct.pack(
        "<6I",
        0xE3A00000,  # mov r0, #0
        0xE3E01000,  # mvn r1, #0
        0xE59F2000,  # ldr r2, the next word but one
        0xE59FF000,  # ldr pc, the next word but one
        dtb_pa,
        kernel_pa,
    )


def _wait_for(socket: Path, qemu: subprocess.Popen[bytes], work: Path) -> None:
    for _ in range(400):
        if socket.exists():
            return
        if qemu.poll() is not None:
            break
        time.sleep(0.05)
    said = (work / "qemu.log").read_text(errors="replace").strip()
    raise StepFailedError(f"QEMU did not start: {said[-300:]}")


def _debug(job: Job, work: Path, inputs: Path, timeout_s: int, progress: Callable[[str], None]) -> None:
    command = ["nice", "-n", "10", tools.GDB, "-nx", "-batch", "-x", str(_IN_GDB), str(job.build.vmlinux)]
    environment = {**os.environ, "CONFORMANCE_JOB": str(inputs / "job.json")}
    log = work / "gdb.log"
    with log.open("wb") as out:
        gdb = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment)
    seen, since = "", time.monotonic()
    try:
        while gdb.poll() is None:
            stage = _last_stage(log)
            if stage != seen:
                seen, since = stage, time.monotonic()
            if time.monotonic() - since > timeout_s:
                raise StepFailedError(f"hung after {stage or 'the reset'}: nothing more for {timeout_s} s")
            progress(stage)
            time.sleep(0.1)
    finally:
        if gdb.poll() is None:
            gdb.kill()
            gdb.wait()
    if not (work / "end.json").is_file():
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise StepFailedError(f"the debugger gave up after {_last_stage(log) or 'the reset'}: {' / '.join(said[-2:])}")


def _last_stage(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("stage ")]
    return lines[-1].removeprefix("stage ") if lines else ""


def _let_finish(qemu: subprocess.Popen[bytes], console: Path) -> None:
    # The kernel runs on by itself for its last lines. It ends in a panic, as it has no init, and that ends QEMU; where
    # the board cannot be restarted it stays.
    deadline = time.monotonic() + 20
    while qemu.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        if any(words in console.read_bytes() for words in _LAST_WORDS):
            time.sleep(0.3)
            return


def _write_meta(job: Job, work: Path, how: str, seconds: float) -> None:
    boot = job.boot
    meta = {
        "captured": "a real kernel in QEMU, stopped by a debugger at each stage", "end": how, "kernel": job.build.name,
        "machine": job.machine, "mem": boot.mem_mib << 20, "smp": boot.cpus, "cmdline": boot.bootargs,
        "initrd_bytes": boot.initrd_bytes, "bootloader": "qemu" if boot.dtb_pa is None else "none",
        "cpu": boot.cpu, "until": boot.until,
        "seconds": round(seconds, 1),
    }
    (work / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
