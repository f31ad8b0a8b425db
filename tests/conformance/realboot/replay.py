"""The other side: the same inputs through `bootsim profile` and `bootsim boot`, and the score."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.inputs.bootloader.qemuboards import BOARDS
from bootsim.state.compare import Row, compare
from bootsim.state.directory import StateDirectory
from realboot import StepFailedError

if TYPE_CHECKING:
    from realboot.capture import Job
    from realboot.kernels import Build

MODELLED_QEMU = (7, 2)
_BOOTSIM = (sys.executable, "-m", "bootsim")
_PANICKED = 3


@dataclass
class Result:
    """How one boot went. Without rows it did not come to a comparison, and `error` says why."""

    name: str
    rows: list[Row] = field(default_factory=list)
    error: str = ""
    real_s: float = 0.0
    kept: bool = False
    replay_s: float = 0.0
    real: Path | None = None
    replay: Path | None = None

    @property
    def matched(self) -> int:
        """Parts that agree."""
        return sum(row.matched for row in self.rows)

    @property
    def total(self) -> int:
        """Parts compared."""
        return sum(row.total for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether everything was compared and agrees."""
        return not self.error and bool(self.rows) and all(row.ok for row in self.rows)


def describe(build: Build, described_from: str, target: Path) -> Path:
    """Write the build description with `bootsim profile`, and say where. Never kept: it is under test."""
    target.parent.mkdir(parents=True, exist_ok=True)
    given = [str(build.directory / described_from), "--kconfig", str(build.kconfig), "-o", str(target)]
    if described_from != "vmlinux":
        given += ["--banner", build.banner()]
    done = _bootsim("profile", *given)
    if done.returncode:
        raise StepFailedError(f"bootsim profile exited with {done.returncode}: {_first_line(done.stderr)}")
    return target


def arguments(job: Job, tree: Path, initrd: Path | None, qemu: tuple[int, int], real: StateDirectory) -> list[str]:
    """The options of `bootsim boot` that stand for what QEMU was given.

    Of QEMU's loader one version is modelled, for the machines that it has. With any other version or machine, and where
    QEMU made the tree itself, the replay starts from the tree as the kernel received it.
    """
    boot = job.boot
    smp = ["--smp", str(boot.cpus), *(["--until", boot.until] if boot.until else []), *boot.given]
    if boot.dtb_pa is not None:
        return [str(tree), "--dtb-addr", hex(boot.dtb_pa), "--load-addr", hex(job.load_pa), *smp]
    if qemu != MODELLED_QEMU or not job.tree or job.machine not in {board.name for board in BOARDS}:
        left = real.stages["__create_page_tables"]
        load = left["phys_offset"] + job.build.text_offset
        return [str(real.path / "boot.dtb"), "--dtb-addr", hex(left["atags"]), "--load-addr", hex(load), *smp]
    given = [str(tree), "--bootloader", f"qemu:{job.machine}", "--mem", f"{boot.mem_mib}M", "--cmdline", boot.bootargs]
    given += smp
    return given + (["--initrd", str(initrd)] if initrd else [])


def replay(job: Job, real: StateDirectory, description: Path, target: Path, qemu: tuple[int, int]) -> StateDirectory:
    """Replay the boot into `target` with `bootsim boot`."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    tree = target.with_suffix(".dtb")
    tree.write_bytes(job.tree)
    initrd = None
    if job.boot.initrd_bytes:
        initrd = target.with_suffix(".initrd")
        initrd.write_bytes(job.initrd())
    given = arguments(job, tree, initrd, qemu, real)
    done = _bootsim("boot", *given, "--config", str(description), "--state", str(target), "-q")
    if done.returncode not in (0, _PANICKED):
        raise StepFailedError(f"bootsim boot exited with {done.returncode}: {_first_line(done.stderr)}")
    return StateDirectory(target)


def score(real: StateDirectory, mine: StateDirectory) -> list[Row]:
    """The rows of the comparison, and two more: how the boot ended, and the tree that the kernel was handed."""
    ends = real.meta.get("end", "booted"), "panicked" if mine.meta.get("panic") else "booted"
    trees = real.dtb, mine.dtb
    same = trees[0] == trees[1]
    where = next((i for i, (a, b) in enumerate(zip(*trees, strict=False)) if a != b), min(map(len, trees)))
    different = f"real {len(trees[0])} bytes, replayed {len(trees[1])}, first difference at {where:#x}"
    try:
        return [
            _one("end of the boot", ends[0] == ends[1], f"real {ends[0]}, replayed {ends[1]}"),
            _one("tree handed to the kernel", same, different),
            *compare(real, mine),
        ]
    except BootsimError as error:
        raise StepFailedError(str(error)) from None


def run(job: Job, result: Result, description: Path, target: Path, qemu: tuple[int, int]) -> None:
    """Replay and score; fills in `result`."""
    assert result.real is not None
    real = StateDirectory(result.real)
    result.replay = target
    started = time.monotonic()
    mine = replay(job, real, description, target, qemu)
    result.replay_s = time.monotonic() - started
    result.rows = score(real, mine)


def _one(name: str, ok: bool, difference: str) -> Row:
    return Row(name, int(ok), 1, () if ok else (difference,))


def _bootsim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_BOOTSIM, *arguments], capture_output=True, text=True, errors="replace", check=False)


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no word"
