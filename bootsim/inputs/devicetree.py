"""A device tree from wherever the user keeps it: a .dts or .dtb file, a bundled board, or standard input."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.bundled import bundled_dir
from bootsim.inputs.dtb import is_blob, read_tree
from bootsim.reading import read_file, read_stream

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from bootsim.inputs.tree import Tree

STDIN = "-"
_WANTED = "a device tree"


def load_tree(
    source: str | os.PathLike[str], include_dirs: Sequence[str | os.PathLike[str]] = (), *, allow_outside: bool = False
) -> Tree:
    """Read a device tree: a path, else the name of a bundled tree, or "-" for standard input.

    A blob is told from source text by its first bytes. `include_dirs` are searched for #include, /include/ and
    /incbin/ after the folder of the including file; `allow_outside` lets a source take in files from anywhere else.
    Raises InputError, with file and line where there is one.
    """
    name = str(source)
    for folder in include_dirs:
        if not Path(folder).is_dir():
            raise InputError(f"-I {folder}: no such folder, expected one to search for includes")
    path: Path | None = None
    if name == STDIN:
        name = "<stdin>"
        data = read_stream(sys.stdin.buffer, name, _WANTED)
    else:
        path = _find(name)
        data = _read(path)
    if not data:
        raise InputError(f"{name}: empty, expected a device tree: source text or a blob")
    if is_blob(data):
        return read_tree(data, name)
    text = _text(data, name)
    if name.endswith((".yaml", ".yml")) and "/dts-v1/" not in text:
        raise InputError(f"{name}: YAML, expected a device tree; --config names the kernel build")
    from bootsim.inputs.dts import compile_source

    file, folders = str(path) if path else name, [str(folder) for folder in include_dirs]
    called = path.name if path is not None and path != Path(name) else None  # a bundled tree is given by its name
    blob, lines = compile_source(text, file, folders, called=called, allow_outside=allow_outside)
    return read_tree(blob, name, lines)


def bundled_names() -> list[str]:
    """The names of the bundled trees, sorted."""
    return sorted(path.name for path in bundled_dir("dts").glob("*.dts"))


def _find(name: str) -> Path:
    path = Path(name)
    try:
        if path.exists():
            return path
    except OSError as error:
        raise InputError(f"{name}: cannot read: {error.strerror}") from None
    if path.name == name:
        for candidate in (bundled_dir("dts") / name, bundled_dir("dts") / f"{name}.dts"):
            if candidate.is_file():
                return candidate
    raise InputError(_unknown(name))


def _unknown(name: str) -> str:
    import difflib

    if (bundled_dir("configs") / f"{name.strip().lower().replace('/', '-')}.yaml").is_file():
        return f"{name}: a kernel build, expected a device tree; --config names the build"
    names = bundled_names()
    close = difflib.get_close_matches(Path(name).name, names, 2, 0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else f". Bundled trees: {', '.join(names)}"
    return f"{name}: no such file or bundled tree{hint}"


def _read(path: Path) -> bytes:
    try:
        return read_file(path, _WANTED)
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise InputError(f"{path}: a directory, expected a device tree file (.dts or .dtb)") from None
        raise InputError(f"{path}: cannot read: {error.strerror}") from None


def _text(data: bytes, name: str) -> str:
    # What is not text is most likely a blob gone wrong.
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text, why = "", f"byte {data[error.start]:#04x} at offset {error.start:#x} is not text"
    else:
        at = next((i for i, c in enumerate(text) if c < " " and c not in "\t\n\r\f\v"), None)
        why = "" if at is None else f"control character {ord(text[at]):#04x} in line {text.count(chr(10), 0, at) + 1}"
    if why:
        raise InputError(
            f"{name}: neither a device tree blob (it begins with {data[:4].hex(' ')}, a blob with d0 0d fe ed) "
            f"nor source text ({why})"
        )
    return text
