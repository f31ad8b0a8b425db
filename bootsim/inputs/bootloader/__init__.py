"""What stands in RAM and registers when the kernel's first instruction runs: who edited the tree, and where things lie.

A loader (bootsim.inputs.bootloader.none, .qemu, .uboot) decides on edits and places; what any of them leaves is a
Handover. What the zImage's decompressor does to the tree afterwards is in .atags.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import Handover, Initrd, Request
from bootsim.inputs.bootloader.placement import check

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.efimap import Firmware
    from bootsim.inputs.tree import Tree

__all__ = ["Handover", "is_loader", "load"]

LOADERS = ("none", "qemu", "u-boot")
EXPECTED = "none, qemu, qemu:MACHINE or u-boot"


def is_loader(name: object) -> bool:
    """Whether `name` can be a bootloader's; that QEMU has a machine of its name is not looked at."""
    return isinstance(name, str) and (name in LOADERS or (name.startswith("qemu:") and name != "qemu:"))


def load(
    tree: Tree,
    build: KernelBuild,
    *,
    bootloader: str = "none",
    mem_bytes: int | None = None,
    smp: int | None = None,
    cmdline: str | None = None,
    dtb_pa: int | None = None,
    load_pa: int | None = None,
    initrd: tuple[str | os.PathLike[str], int | None] | None = None,
    ram: tuple[int, int | None] | None = None,
    uboot: Sequence[str] = (),
    atags: str | None = None,
    efi_memmap: str | os.PathLike[str] | None = None,
) -> Handover:
    """Edit the tree as `bootloader` does and decide where it, the kernel and the initrd lie.

    `bootloader` is one of LOADERS, or "qemu:" and the name of one of QEMU's machines, in place of the one that the
    tree's compatible strings mean. `smp` are the processors that are wished for. `mem_bytes` is the size of RAM (None:
    what the tree says), `cmdline` the command line (None: the tree's).
    `dtb_pa`, `load_pa` and the initrd's address override the loader's choice. `initrd` is (file, pa or None).
    `ram` is (bytes, base pa or None) of the RAM really there, where the tree does not tell the truth. `uboot` are
    U-Boot's settings, NAME=VALUE; `atags` the tags that an older loader passes (bootsim.inputs.bootloader.atags).
    `efi_memmap` is a log with UEFI's memory map (bootsim.inputs.efimap): then the kernel's EFI stub loads.
    Raises InputError when something does not fit.
    """
    if not is_loader(bootloader):
        raise InputError(f"bootloader {bootloader!r}, expected {EXPECTED}")
    bootloader, _, machine = bootloader.partition(":")
    request = Request(tree, build, mem_bytes, cmdline, dtb_pa, load_pa, _read_initrd(initrd), ram, tuple(uboot), atags,
                      None if efi_memmap is None else _firmware(efi_memmap), smp, machine or None)
    if efi_memmap is not None and bootloader != "none":
        raise InputError(f"--efi-memmap: UEFI loads the kernel, expected no --bootloader {bootloader}")
    if uboot and bootloader != "u-boot":
        raise InputError(f"--uboot {uboot[0]}: a setting of U-Boot, expected --bootloader u-boot with it")
    if request.firmware is not None:
        from bootsim.inputs.bootloader import efistub as loader
    elif bootloader == "none":
        from bootsim.inputs.bootloader import none as loader  # type: ignore[no-redef]
    elif bootloader == "qemu":
        from bootsim.inputs.bootloader import qemu as loader  # type: ignore[no-redef]
    else:
        from bootsim.inputs.bootloader import uboot as loader  # type: ignore[no-redef]
    handover: Handover = loader.load(request)
    if atags is not None:
        if request.firmware is not None:
            raise InputError("--atags: UEFI passes none, expected --atags or --efi-memmap")
        from bootsim.inputs.bootloader.atags import with_atags

        handover = with_atags(handover, request)
    check(handover, request)
    return handover


def _firmware(log: str | os.PathLike[str]) -> Firmware:
    from bootsim.inputs.efimap import load_firmware

    return load_firmware(log)


def _read_initrd(initrd: tuple[str | os.PathLike[str], int | None] | None) -> Initrd | None:
    if initrd is None:
        return None
    path = Path(initrd[0])
    try:
        if path.is_dir():
            raise InputError(f"{path}: a directory, expected an initrd file")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: a device or a pipe, expected an initrd file, whose size is known")
        with path.open("rb") as file:
            size = file.seek(0, 2)
    except OSError as error:
        raise InputError(f"{path}: cannot read the initrd: {error.strerror}") from None
    if not size:
        raise InputError(f"{path}: empty, expected an initrd")
    return Initrd(str(path), size, initrd[1])
