"""Kernel-build descriptions: those that come with bootsim, and files of one's own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.bundled import bundled_dir
from bootsim.inputs.configplain import read_plain
from bootsim.inputs.dtb import is_blob
from bootsim.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.build import KernelBuild

_MAX_BYTES = 1 << 20


class BundledBuild(NamedTuple):
    """A build description that comes with bootsim."""

    path: Path
    build: KernelBuild


def load_build(name_or_path: str | os.PathLike[str]) -> KernelBuild:
    """The kernel build of a YAML file, or of one that comes with bootsim, by its name (`3G/1G`, `2G/2G`) or file name.

    A file of that name is preferred. Raises InputError, with `file:line:column: field: found, expected` for every error
    in the file, or with the nearest names when there is no such build.
    """
    path = Path(name_or_path)
    if path.is_dir() or not path.exists():
        if path.is_dir() and str(name_or_path) not in (".", "..", ""):
            raise InputError(f"{path}: a directory, expected a kernel build's YAML file or one of: {_known()}")
        path = _bundled_path(os.fspath(name_or_path))
    return read_build(path)


def bundled_builds() -> Iterator[BundledBuild]:
    """Every build that comes with bootsim: the largest user space first, as PAGE_OFFSET falls, then by name."""
    found = [BundledBuild(path, read_build(path)) for path in bundled_dir("configs").glob("*.yaml")]
    yield from sorted(found, key=lambda bundled: (-bundled.build.config.PAGE_OFFSET, bundled.build.name))


def read_build(path: Path) -> KernelBuild:
    """The kernel build described by a YAML file. Raises InputError."""
    try:
        data = read_file(path, "a kernel build's description", _MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return parse_build(data, str(path))


def parse_build(data: bytes, file: str) -> KernelBuild:
    """The kernel build described by YAML text; `file` is what errors call it. Raises InputError."""
    if is_blob(data) or b"/dts-v1/" in data or file.endswith((".dts", ".dtsi")):
        raise InputError(f"{file}: a device tree, expected a kernel build in YAML; the tree is the argument TREE")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}:{line}: not UTF-8 text, expected a kernel build in YAML") from None
    build = read_plain(text)
    if build is not None:
        return build
    from bootsim.inputs.configyaml import read_yaml  # PyYAML takes longer to import than a boot to run

    return read_yaml(text, file)


# The file of a bundled build: configs/3g-1g.yaml for 3G/1G. A test holds every file to this rule.
def _bundled_path(name: str) -> Path:
    stem = name.strip().lower().removesuffix(".yaml").replace("/", "-")
    path = bundled_dir("configs") / f"{stem}.yaml"
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", stem) and path.is_file():
        return path
    import difflib

    names = [bundled.build.name for bundled in bundled_builds()]
    near = difflib.get_close_matches(name.upper(), [n.upper() for n in names], n=3, cutoff=0.4)
    meant = [n for n in names if n.upper() in near]
    hint = f"did you mean {' or '.join(meant)}? " if meant else ""
    if (bundled_dir("dts") / name).is_file() or (bundled_dir("dts") / f"{name}.dts").is_file():
        raise InputError(f"{name!r}: a device tree, expected a kernel build; the tree is the argument TREE")
    raise InputError(f"{name!r}: no such file and no such kernel build; {hint}bootsim has {', '.join(names)}")


def _known() -> str:
    return ", ".join(bundled.build.name for bundled in bundled_builds())
