"""Kernels: built once for a configuration and kept, or found in a build directory at hand."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realboot import StepFailedError, UsageError, tools

if TYPE_CHECKING:
    from realboot.matrix import Kernel, Options

IMAGES = ("vmlinux", ".config", "System.map", "arch/arm/boot/zImage")
BARE_IMAGE = "arch/arm/boot/Image"  # what boots past QEMU's loader start from
# The debugger and `bootsim profile` read struct layouts from DWARF
FOR_DEBUGGING: Options = (("DEBUG_KERNEL", "y"), ("DEBUG_INFO", "y"), ("DEBUG_INFO_REDUCED", "n"))
_STAMP = "built.json"


@dataclass(frozen=True)
class Build:
    """A finished build: its directory, laid out as the kernel's own."""

    name: str
    directory: Path

    @property
    def vmlinux(self) -> Path:
        """The ELF file with symbols and DWARF."""
        return self.directory / "vmlinux"

    @property
    def kconfig(self) -> Path:
        """Its .config."""
        return self.directory / ".config"

    @property
    def page_offset(self) -> int:
        """CONFIG_PAGE_OFFSET, a virtual address."""
        found = re.search(r"^CONFIG_PAGE_OFFSET=(0x\w+)$", self.kconfig.read_text(), re.MULTILINE)
        if not found:
            raise UsageError(f"{self.kconfig}: no CONFIG_PAGE_OFFSET, expected the .config of an ARM kernel")
        return int(found[1], 16)

    @property
    def text_offset(self) -> int:
        """TEXT_OFFSET, from the start of RAM to the kernel."""
        found = re.search(r"^(\w+) T _text$", self.system_map.read_text(), re.MULTILINE)
        if not found:
            raise UsageError(f"{self.system_map}: no _text, expected the System.map of an ARM kernel")
        return int(found[1], 16) - self.page_offset

    @property
    def system_map(self) -> Path:
        """Its System.map."""
        return self.directory / "System.map"

    def functions(self) -> dict[str, int]:
        """The addresses of the kernel's functions, as it was linked."""
        lines = (line.split() for line in self.system_map.read_text().splitlines())
        return {words[2]: int(words[0], 16) for words in lines if len(words) == 3 and words[1] in "tTwW"}

    def banner(self) -> str:
        """The first line of its log."""
        data = self.vmlinux.read_bytes()
        at = data.index(b"Linux version ")
        return data[at : data.index(b"\n", at)].decode()

    def dtb(self, name: str) -> Path:
        """A device tree that was compiled with the kernel."""
        return self.directory / "arch/arm/boot/dts" / name

    def identity(self) -> str:
        """A hash of what runs and of how it was configured."""
        digest = hashlib.sha256()
        for name in (".config", "arch/arm/boot/zImage"):
            digest.update((self.directory / name).read_bytes())
        return digest.hexdigest()


def at_hand(kernel: Kernel) -> Build:
    """The build in the directory that `kernel` names."""
    directory = kernel.directory
    assert directory is not None
    lost = [name for name in IMAGES if not (directory / name).is_file()]
    if lost:
        raise UsageError(f"{directory}: no {lost[0]}, expected a finished ARM build (make zImage Image)")
    return Build(kernel.name, directory.resolve())


def key(kernel: Kernel, source: str, compiler: str) -> str:
    """A hash of all that decides a build. Changes made by hand to the source do not count."""
    what = [kernel.base, sorted(wanted(kernel).items()), source, compiler]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def wanted(kernel: Kernel) -> dict[str, str]:
    """The options of a kernel, with those every build needs."""
    return {**dict(FOR_DEBUGGING), **dict(kernel.options)}


def source_version(source: Path) -> str:
    """The version of a source tree, 5.10.223. Raises UsageError for anything but 5.10."""
    try:
        text = (source / "Makefile").read_text()
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}, expected a Linux 5.10 source tree") from None
    parts = [re.search(rf"^{part} *= *(\d+)", text, re.MULTILINE) for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    version = ".".join(found[1] for found in parts if found)
    if not version.startswith("5.10."):
        raise UsageError(f"{source}: Linux {version or 'of no version'}, expected 5.10")
    return version


def folder(cache: Path, kernel: Kernel, source: Path) -> Path:
    """Where the build of `kernel` is kept. Needs the compiler, which is part of the key."""
    command = [f"{tools.CROSS_COMPILE}gcc", "--version"]
    compiler = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return cache / "kernels" / f"{kernel.name}-{key(kernel, source_version(source), compiler.splitlines()[0])}"


def built(target: Path, name: str) -> Build | None:
    """The kept build, None when there is none."""
    return Build(name, target) if (target / _STAMP).is_file() else None


def add_dtbs(build: Build, source: Path, dtbs: Sequence[str]) -> None:
    """Compile the device trees that a kept build has not got yet."""
    lost = [dtb for dtb in dtbs if not build.dtb(dtb).is_file()]
    if not lost:
        return
    work, log = _fresh(build.directory)
    shutil.copy(build.kconfig, work / ".config")
    _kbuild(source, work, log, lost)
    for dtb in lost:
        _move(work, build.directory, f"arch/arm/boot/dts/{dtb}")
    shutil.rmtree(work)


def make(
    kernel: Kernel, source: Path, target: Path, dtbs: Sequence[str], jobs: int, progress: Callable[[str], None]
) -> Build:
    """Build `kernel` from `source` and keep in `target` only what a boot needs: 180 MB instead of 800."""
    if (source / ".config").is_file():
        raise UsageError(f"{source}: was built in place, so it cannot be built elsewhere: run `make mrproper` there")
    work, log = _fresh(target)
    _kbuild(source, work, log, [kernel.base])
    with (work / ".config").open("a") as config:
        config.writelines(line + "\n" for line in fragment(wanted(kernel)))
    _kbuild(source, work, log, ["olddefconfig"])
    refused = not_taken((work / ".config").read_text(), wanted(kernel))
    if refused:
        raise UsageError(f"kernel {kernel.name}: Kconfig did not take {', '.join(refused)} (see {work / '.config'})")
    _kbuild(source, work, log, [f"-j{jobs}", "zImage", "Image", *dtbs], progress)
    _keep(work, target, dtbs)
    (target / _STAMP).write_text(json.dumps({"options": wanted(kernel), "source": source_version(source)}) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return Build(kernel.name, target)


def fragment(options: dict[str, str]) -> list[str]:
    """Options as lines of a .config."""
    return [
        f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}" for name, value in options.items()
    ]


def not_taken(kconfig: str, options: dict[str, str]) -> list[str]:
    """The options that a finished .config has with another value."""
    have = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", kconfig, re.MULTILINE))
    return [f"{name}={value}" for name, value in options.items() if have.get(name, "n") != value]


def _kbuild(
    source: Path, work: Path, log: Path, goals: list[str], progress: Callable[[str], None] | None = None
) -> None:
    command = ["nice", "-n", "10", "make", "-C", str(source), f"O={work}", "ARCH=arm",
               f"CROSS_COMPILE={tools.CROSS_COMPILE}", *goals]
    # the same kernel from the same source, whoever builds it and when
    same = {"KBUILD_BUILD_USER": "bootsim", "KBUILD_BUILD_HOST": "bootsim", "KBUILD_BUILD_VERSION": "1",
            "KBUILD_BUILD_TIMESTAMP": "2020-12-13", "LC_ALL": "C"}
    # MAKEFLAGS of the make that runs this would ask for a job server that is not there
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O")}
    lines = 0
    with log.open("a") as out:
        out.write(" ".join(command) + "\n")
        out.flush()
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=environment | same, stdin=subprocess.DEVNULL)
        assert running.stdout is not None
        with running:
            for line in running.stdout:
                out.write(line)
                lines += 1
                if progress is not None:
                    progress(f"{lines} steps")
    if running.returncode:
        last = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line][-1:]
        raise StepFailedError(f"make {' '.join(goals)} failed: {last[0] if last else ''} (see {log})")


def _fresh(target: Path) -> tuple[Path, Path]:
    # an empty directory to build in, and where the log goes
    work = target.with_name(target.name + ".building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work, target.with_name(target.name + ".log")


def _keep(work: Path, target: Path, dtbs: Sequence[str]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for name in [*IMAGES, BARE_IMAGE, *(f"arch/arm/boot/dts/{dtb}" for dtb in dtbs)]:
        _move(work, target, name)


def _move(work: Path, target: Path, name: str) -> None:
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(work / name, target / name)
