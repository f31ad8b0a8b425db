"""Device trees of a boot, as blobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.edits import add_node, set_property
from bootsim.inputs.libfdt import serialise
from realboot import UsageError

if TYPE_CHECKING:
    from realboot.kernels import Build
    from realboot.matrix import Boot

_HERE = Path(__file__).resolve().parent.parent
_ROOT = _HERE.parent.parent


def path_of(tree: str, build: Build | None = None, source: Path | None = None) -> Path:
    """The file of a tree: linux:NAME.dtb (comes with the kernel), source:NAME.dts, dts:NAME, own:NAME or file:PATH."""
    kind, _, name = tree.partition(":")
    if kind == "linux":
        assert build is not None
        return build.dtb(name)
    if kind == "source":
        assert source is not None
        return source / "arch/arm/boot/dts" / name
    folder = {"dts": _ROOT / "dts", "own": _HERE / "trees", "file": Path()}[kind]
    return folder / Path(name).expanduser()


def dtbs(boots: list[Boot]) -> list[str]:
    """The trees that must be compiled with the kernel."""
    return sorted({boot.tree.partition(":")[2] for boot in boots if boot.tree.startswith("linux:")})


def blob(boot: Boot, build: Build, source: Path | None = None) -> bytes:
    """What QEMU is given; `source` is the kernel's. A tree that goes past QEMU's loader gets its command line here.

    No bytes: QEMU makes the tree of this machine itself.
    """
    if boot.tree.startswith("qemu:"):
        return b""
    path = path_of(boot.tree, build, source)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        tree = load_tree(path, include_dirs=[source / "include" if source else _ROOT / "dts"])
    except InputError as error:
        raise UsageError(str(error)) from None
    if boot.dtb_pa is None:
        return tree.blob
    edits = [] if tree.chosen else [add_node("/chosen")]
    return serialise(tree, [*edits, set_property(tree.chosen or "/chosen", "bootargs", boot.bootargs.encode() + b"\0")])
