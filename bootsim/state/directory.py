"""State directories, version 1: one layout for a replayed boot and for a captured one.

    boot.dtb            the tree as the kernel received it
    dmesg.log           what the console of a replayed boot showed (console.log: of a real one)
    stages.json         {stage: fields}
    <stage>.l1.bin      swapper_pg_dir, 16384 bytes; `:` in a stage's name becomes `.`
    <stage>.l2.bin      every second-level page it points to, 4096 bytes each, by address
    meta.json           what was booted

Either kind is read by the same class; only replayed ones are written here.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bootsim.state.snapshot import Stage

VERSION = 1
GENERATOR = "bootsim"


class StateDirectory:
    """A state directory on disk, real or replayed, read on demand. Raises InputError where it is broken."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "stages.json").is_file():
            raise InputError(f"{self.path}: not a state directory (no stages.json)")

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What was booted; empty when the directory does not say."""
        return self._json("meta.json") if (self.path / "meta.json").is_file() else {}

    @cached_property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The fields of each stage, in the order of the boot."""
        return self._json("stages.json")

    @property
    def dtb(self) -> bytes:
        """The tree as the kernel received it."""
        return self._bytes("boot.dtb")

    @property
    def log(self) -> str:
        """The kernel's own lines."""
        name = "dmesg.log" if (self.path / "dmesg.log").is_file() else "console.log"
        return self._bytes(name).decode(errors="replace")

    def tables(self, stage: str) -> tuple[bytes, dict[int, bytes]]:
        """The first-level table of a stage, and its second-level pages by physical address."""
        pages = self._tables_field(stage)["l2_pages"]
        l1, l2 = self._bytes(_table_file(stage, 1)), self._bytes(_table_file(stage, 2))
        if len(l2) != 4096 * len(pages):
            raise InputError(
                f"{self.path / _table_file(stage, 2)}: {len(l2)} bytes, expected {len(pages)} pages of 4096"
            )
        return l1, {pa: l2[i * 4096 : (i + 1) * 4096] for i, pa in enumerate(pages)}

    def _tables_field(self, stage: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.stages[stage]["tables"]
        except KeyError:
            raise InputError(f"{self.path}: stage {stage} has no page tables") from None
        return found

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise InputError(f"{self.path / name}: {error.strerror}") from None

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self._bytes(name))
        except ValueError as error:
            raise InputError(f"{self.path / name}: not JSON: {error}") from None
        if not isinstance(value, dict):
            raise InputError(f"{self.path / name}: a {type(value).__name__}, expected an object")
        return value


class LogOnly:
    """A boot of which only the log is known: a serial console's capture, or what dmesg printed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.stages: dict[str, dict[str, Any]] = {}
        try:
            self.log = self.path.read_bytes().decode(errors="replace")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        if "Linux version " not in self.log and "Booting Linux" not in self.log and "Memory: " not in self.log:
            raise InputError(f"{path}: no boot log (no line says Booting Linux, Linux version or Memory:)")


def open_boot(path: str | os.PathLike[str]) -> StateDirectory | LogOnly:
    """Open a state directory, or a plain log file. Raises InputError when it is neither."""
    return StateDirectory(path) if Path(path).is_dir() else LogOnly(path)


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless a state directory may be written at `path`.

    It may where nothing is, into an empty directory, and over a directory that bootsim wrote and nobody added to.
    """
    target = Path(path)
    if not target.exists() and not target.is_symlink():
        if not target.absolute().parent.is_dir():
            raise InputError(f"{target}: its parent directory does not exist")
        return
    if not target.is_dir():
        raise InputError(f"{target}: exists and is not a directory")
    names = sorted(entry.name for entry in target.iterdir())
    if not names:
        return
    if not _written_by_bootsim(target):
        raise InputError(f"{target}: not empty and not a state directory that bootsim wrote; nothing was overwritten")
    foreign = [name for name in names if not _is_ours(name)]
    if foreign:
        raise InputError(
            f"{target}: holds {foreign[0]}, which is not part of a state directory; nothing was overwritten"
        )


def write(
    path: str | os.PathLike[str], stages: Iterable[Stage], *, dtb: bytes, dmesg: str, meta: Mapping[str, Any]
) -> None:
    """Write a state directory at `path` in one step: a reader sees the old one, or none, or the whole new one.

    Raises InputError where `check_target` does, or when the file system refuses.
    """
    check_target(path)
    target = Path(path).absolute()
    if target.is_symlink():
        target = target.resolve()
    try:
        parts = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            _fill(parts, stages, dtb, dmesg, meta)
            parts.chmod(0o777 & ~_umask())
            _put_in_place(parts, target)
        finally:
            shutil.rmtree(parts, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _fill(folder: Path, stages: Iterable[Stage], dtb: bytes, dmesg: str, meta: Mapping[str, Any]) -> None:
    fields: dict[str, dict[str, Any]] = {}
    for stage in stages:
        fields[stage.name] = stage.fields
        if stage.l1 is not None and stage.l2 is not None:
            (folder / _table_file(stage.name, 1)).write_bytes(stage.l1)
            (folder / _table_file(stage.name, 2)).write_bytes(stage.l2)
    (folder / "boot.dtb").write_bytes(dtb)
    (folder / "dmesg.log").write_bytes(dmesg.encode("utf-8", "surrogateescape"))
    (folder / "stages.json").write_text(json.dumps(fields))
    everything = {"version": VERSION, "generator": GENERATOR, **meta}
    (folder / "meta.json").write_text(json.dumps(everything, indent=1) + "\n")


def _put_in_place(parts: Path, target: Path) -> None:
    # rename() replaces an empty directory by itself; a full one is moved aside first and removed last
    if not (target.is_dir() and any(target.iterdir())):
        parts.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(aside)
    try:
        parts.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _written_by_bootsim(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(meta, dict) and meta.get("generator") == GENERATOR and (folder / "stages.json").is_file()


def _is_ours(name: str) -> bool:
    fixed = name in ("boot.dtb", "dmesg.log", "stages.json", "meta.json")
    return fixed or name.endswith((".l1.bin", ".l2.bin"))


def _table_file(stage: str, level: int) -> str:
    return f"{stage.replace(':', '.')}.l{level}.bin"


def _umask() -> int:
    # a directory from mkdtemp() is private; give it the permissions that mkdir() would have
    mask = os.umask(0)
    os.umask(mask)
    return mask
