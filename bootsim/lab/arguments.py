"""What a person passes at the prompt: an address, a size, a device, a name; or one clear line about what it is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError

if TYPE_CHECKING:
    import os

    from bootsim.hw.tlb import Tlb


def width(call: str, size: Any) -> int:
    """Return how many bytes an access takes: 1, 2 or 4. Raises InputError for others."""
    if isinstance(size, bool) or size not in (1, 2, 4):
        raise InputError(f"{call}: {size!r} is no size: 1, 2 or 4 bytes")
    return int(size)


def word_address(call: str, va: Any, size: int) -> int:
    """Return the address of an access of `size` bytes. Raises InputError for what is none."""
    if isinstance(va, bool) or not isinstance(va, int) or not 0 <= va <= (1 << 32) - size:
        raise InputError(f"{call}: {va!r} is no address of {size} bytes below 2**32")
    if call == "fetch" and va % 4:
        raise InputError(f"fetch: {va:#x} is no address of an instruction: a multiple of 4")
    return va


def size_bytes(call: str, size: Any) -> int:
    """Return a size in bytes, of a number or of "64M". Raises InputError for what is none."""
    from bootsim.linux.lib.cmdline import memparse

    if isinstance(size, str):
        found, rest = memparse(size)
        if rest or not found:
            raise InputError(f"{call}: {size!r} is no size; write 64M or a number of bytes")
        size = found
    if isinstance(size, bool) or not isinstance(size, int) or not 0 < size < 1 << 44:
        raise InputError(f"{call}: {size!r} is no size in bytes below 16 TiB")
    return size


def device(call: str, path: Any) -> str:
    """Return the path of a device, /dev/NAME. Raises InputError for what is none."""
    if not isinstance(path, str) or not path.startswith("/dev/") or not path.isprintable() or " " in path:
        raise InputError(f"{call}: {path!r} is no device: /dev/NAME; files of file systems are not modelled as swap")
    return path


def text(call: str, name: Any) -> str:
    """Return a name. Raises InputError for what is no text."""
    if not isinstance(name, str):
        raise InputError(f"{call}: {name!r} is no name")
    return name


def file_position(call: str, pos: Any) -> int:
    """Return a position in a file. Raises InputError for what is no number of 64 bits."""
    if isinstance(pos, bool) or not isinstance(pos, int) or not -1 << 63 <= pos < 1 << 63:
        raise InputError(f"{call}: {pos!r} is no position in a file")
    return pos


def host_path(call: str, file: Any) -> Path:
    """Return the whole path of a file of the host. Raises InputError for what cannot be a name."""
    try:
        return Path(file).resolve()
    except (TypeError, ValueError, OSError, RuntimeError):
        raise InputError(f"{call}: {file!r} is no name of a file") from None


def content_of(call: str, file: str | os.PathLike[str]) -> bytes:
    """Return what a regular file of the host holds, the only kind that ends. Raises InputError."""
    path = host_path(call, file)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{call}: {file} is no regular file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{call}: {file}: {error.strerror or error}") from None


def new_tlb(entries: Any, ways: Any) -> Tlb:
    """Return an empty TLB of so many entries, or of a processor by its name. Raises InputError."""
    from bootsim.hw.cpu import CPUS
    from bootsim.hw.tlb import Tlb
    from bootsim.hw.tlbsize import tlb_of

    if isinstance(entries, str):
        names = {cpu.compatible.partition(",")[2]: cpu for cpu in CPUS}
        if entries not in names:
            raise InputError(f"tlb({entries!r}): expected a number of entries, or one of {', '.join(names)}")
        return tlb_of(names[entries])
    try:
        return Tlb(entries, ways)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"tlb({entries!r}, {ways!r}): {error}") from None
