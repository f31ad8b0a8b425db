"""Every file that bootsim reads whole. A device, a pipe and a packed file need not end: only so much is taken in."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any

    from _typeshed import SupportsRead

MOST_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20


def read_file(path: str | os.PathLike[str], expected: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file.

    Raises OSError where open() does, and InputError, which says what was `expected`, for more than `most_bytes`.
    """
    with Path(path).open("rb") as file:
        return read_stream(file, str(path), expected, most_bytes)


def read_packed(path: str | os.PathLike[str], expected: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file, unpacked where it is packed with gzip or xz. Raises InputError."""
    with open_packed(path) as file:
        return read_stream(file, str(path), expected, most_bytes)


@contextlib.contextmanager
def open_packed(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file to be read, unpacked where its content is packed with gzip or xz; `-` is standard input as it is.

    Raises InputError, also for what is found when it is read.
    """
    import gzip
    import lzma
    import sys
    import zlib

    try:
        if str(path) == "-":
            yield sys.stdin.buffer
            return
        with Path(path).open("rb") as file:
            head = file.peek(6)
            with (gzip.open(file) if head.startswith(b"\x1f\x8b") else lzma.open(file)
                  if head.startswith(b"\xfd7zXZ\0") else contextlib.nullcontext(file)) as plain:
                yield plain
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: cannot be decompressed: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def read_stream(file: SupportsRead[bytes], name: str, expected: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return what is left of an open file, called `name`. Raises InputError for more than `most_bytes`."""
    data = bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        data += chunk
        if len(data) > most_bytes:
            raise InputError(f"{name}: more than {most_bytes >> 20} MiB, expected {expected}")
    return bytes(data)
