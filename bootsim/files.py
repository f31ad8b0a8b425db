"""Every file that bootsim writes: whole or not at all, and one writer at a time.

A file is written under a temporary name beside its place and then renamed: a reader sees the old one, or none, or the
whole new one, whatever comes in between. Results, which grow line by line, are whole lines at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Name = str | os.PathLike[str]


def target_of(path: Name) -> Path:
    """Return where a file named `path` goes, links followed. Raises InputError when it cannot go there."""
    given = Path(path)
    if str(given) == "-":
        raise InputError("-: expected the name of a file; that of standard output is /dev/stdout")
    if _is_stream(given):
        return given
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a directory, expected the name of a file")
    if not target.parent.is_dir():
        raise InputError(f"{path}: its parent directory does not exist")
    return target


def write(path: Name, data: str | bytes) -> None:
    """Write a file in one step, text in UTF-8; a pipe or a device is written to. Raises InputError."""
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    with told(path):
        target = target_of(path)
        if _is_stream(target):
            target.write_bytes(content)
            return
        number, name = tempfile.mkstemp(prefix=f".{target.name[:200]}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            temporary.chmod(_mode(target))
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_folder(path: Name, fill: Callable[[Path], None], check: Callable[[Path], None]) -> None:
    """Put a folder that `fill` fills at `path` in one step, in place of what is there. Raises InputError.

    `check` raises InputError where the folder may not be replaced. Of two writers the last one's folder stays, whole.
    """
    with told(path):
        target = Path(os.path.realpath(path))
        check(Path(path))
        parts = Path(tempfile.mkdtemp(prefix=f".{target.name[:200]}.", dir=target.parent))
        try:
            fill(parts)
            parts.chmod(0o777 & ~_umask())
            with _only_writer(target.parent):
                check(Path(path))  # somebody else may have been there meanwhile
                _put_in_place(parts, target)
        finally:
            shutil.rmtree(parts, ignore_errors=True)


def _put_in_place(parts: Path, target: Path) -> None:
    # rename() replaces an empty directory by itself; a full one is moved aside first and removed last
    if not (target.is_dir() and any(target.iterdir())):
        parts.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name[:200]}.old.", dir=target.parent))
    try:
        target.rename(aside)
        parts.rename(target)
    except BaseException:
        if not target.exists():
            aside.rename(target)
        with contextlib.suppress(OSError):
            aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


class LineFile:
    """A file that grows by whole lines, with one writer. What of a line did not fit is taken away again.

    Raises InputError when another process writes to it, or the file system refuses. `content` is what it held when it
    was opened. A file that was made for nothing, because the first line did not fit, does not stay.
    """

    def __init__(self, path: Name) -> None:
        self._path = path
        with told(path):
            target = target_of(path)
            self._is_new = not target.exists()
            self._target = target
            self._number = os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._number)
            raise InputError(f"{path}: another process is writing to it") from None
        except OSError:
            pass  # a file system without locks

    def content(self) -> bytes:
        """Everything the file holds now; nothing of a device or a pipe."""
        with told(self._path):
            return self._target.read_bytes() if self._target.is_file() else b""

    def cut(self, size: int) -> None:
        """Take away what stands beyond the first `size` bytes."""
        with told(self._path):
            os.ftruncate(self._number, size)

    def add(self, line: str) -> None:
        """Append a line, given without its newline; it is in the file when this returns."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        before = os.lseek(self._number, 0, os.SEEK_END) if self._target.is_file() else 0
        with told(self._path):
            try:
                while data:
                    data = data[os.write(self._number, data) :]
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._number, before)
                    if self._is_new and not before:
                        self._target.unlink()
                raise

    def close(self) -> None:
        """Let others write."""
        with contextlib.suppress(OSError):
            os.close(self._number)


@contextlib.contextmanager
def told(path: Name) -> Iterator[None]:
    """Tell what the file system refuses about `path` as an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


@contextlib.contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _is_stream(path: Path) -> bool:
    # what cannot be replaced: a pipe, a terminal, a device
    return path.exists() and not path.is_file() and not path.is_dir()


def _mode(target: Path) -> int:
    # a file from mkstemp() is private; give it the permissions of the one it replaces, or those open() would have
    return target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
