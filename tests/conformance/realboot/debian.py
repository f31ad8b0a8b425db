"""Debian's own kernel for 32-bit ARM, as its users run it: image and trees from one package, symbols from another."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from realboot import StepFailedError
from realboot.apt import Apt

ARCHITECTURE = "armhf"
_RELEASE = r"linux-image-(5\.10\.[\w.-]+)"


def fetch(package: str, target: Path, mirror: str | None = None) -> Path:
    """The kernel that `package` (linux-image-armmp) stands for, in `target`, laid out as a build directory.

    Downloads both packages when they are not there yet. Raises CannotRunError without a mirror.
    """
    if (target / "vmlinux").is_file():
        return target
    work = target.with_name(target.name + ".fetching")
    apt = Apt(work / "apt", mirror, ARCHITECTURE)
    apt.update()
    newest = apt.depends(package, _RELEASE.replace("(", "(?:"))
    image, debug = (_unpacked(apt.download(name), work / part) for name, part in (
        (newest, "image"), (f"{newest}-dbg", "debug")))
    release = newest.removeprefix("linux-image-")
    lay_out(image, debug, release, work / "build")
    shutil.rmtree(target, ignore_errors=True)
    (work / "build").rename(target)
    shutil.rmtree(work)
    return target


def lay_out(image: Path, debug: Path, release: str, target: Path) -> None:
    """Move what a boot needs out of two unpacked packages to where the kernel's own build has it."""
    boot, symbols = image / "boot", debug / "usr/lib/debug/boot"
    places = {
        boot / f"config-{release}": ".config",
        boot / f"vmlinuz-{release}": "arch/arm/boot/zImage",
        symbols / f"vmlinux-{release}": "vmlinux",
        symbols / f"System.map-{release}": "System.map",
        image / f"usr/lib/linux-image-{release}": "arch/arm/boot/dts",
    }
    for source, place in places.items():
        if not source.exists():
            raise StepFailedError(f"{source.name} is not in Debian's packages of {release}")
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target / place)


# Modules, which are most of it, stay packed.
def _unpacked(package: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ["./boot", "./usr/lib/linux-image-*", "./usr/lib/debug/boot"]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        command = ["tar", "-x", "-C", str(folder), "--wildcards", *wanted]
        subprocess.run(command, stdin=unpacking.stdout, stderr=subprocess.DEVNULL, check=False)
    if not any(folder.iterdir()):
        raise StepFailedError(f"{package.name} cannot be unpacked")
    return folder
