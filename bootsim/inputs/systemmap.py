"""Reading a System.map, and telling what a file is that is neither System.map nor vmlinux."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.reading import read_packed

if TYPE_CHECKING:
    from pathlib import Path

SymbolTable = dict[str, list[int]]

_MAP_LINE = re.compile(rb"([0-9a-fA-F]+) (\S) (\S+)(?:\s.*)?")
_DEBIAN_STUB = re.compile(rb"[fF]{8,16} B The real System\.map is in the linux-image-\S+-dbg package\s*")
_RELEASE = re.compile(r"(?:System\.map|config|vmlinux)-([0-9]+\.[0-9]+\S*?)(?:\.gz|\.xz)?")

_WANTED = "the vmlinux of the build directory, or its System.map"
_DISTRIBUTION = "; of a distribution's kernel they are in its package of debugging symbols"


def is_elf(path: Path) -> bool:
    """Whether the file is an ELF file. Raises InputError when it is something that holds a kernel but no symbols."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if head[:4] == b"\x7fELF":
        return True
    found = _kind(head)
    if found is not None:
        raise InputError(f"{path}: {found}, which has no symbols; expected {_WANTED}{_DISTRIBUTION}")
    return False


# A file that a person may take for the kernel's image.
def _kind(head: bytes) -> str | None:
    if head[0x24:0x28] in (b"\x18\x28\x6f\x01", b"\x01\x6f\x28\x18"):
        return "a zImage, the compressed kernel (vmlinuz)"
    if head[:4] == b"\x27\x05\x19\x56":
        return "a U-Boot image (uImage)"
    if head[:4] == b"\xd0\x0d\xfe\xed":
        return "a device tree blob or FIT image"
    if head[:8] == b"!<arch>\n":
        return "a package or an archive"
    return None


def read_system_map(path: Path) -> SymbolTable:
    """The symbols of a System.map, plain or compressed with gzip or xz."""
    data = read_packed(path, _WANTED)
    _check_is_map(path, data)
    symbols: SymbolTable = {}
    for number, line in enumerate(data.splitlines(), 1):
        found = _MAP_LINE.fullmatch(line)
        if not found:
            shown = line[:60].decode("ascii", "backslashreplace")
            expected = "ADDRESS TYPE NAME as in a System.map, or an ELF file"
            raise InputError(f"{path}:{number}: {shown!r}, expected {expected}")
        if len(found[1]) > 8:
            raise InputError(f"{path}:{number}: a 64-bit address, expected a 32-bit kernel (64-bit is not modelled)")
        symbols.setdefault(found[3].decode("ascii", "replace"), []).append(int(found[1], 16))
    if not symbols:
        raise InputError(f"{path}: empty, expected a System.map or a vmlinux")
    return symbols


def _check_is_map(path: Path, data: bytes) -> None:
    if _DEBIAN_STUB.fullmatch(data):
        release = release_of_name(path) or "VERSION"
        raise InputError(
            f"{path}: not a System.map but Debian's note of where it is: install linux-image-{release}-dbg and give "
            f"/usr/lib/debug/boot/System.map-{release} or vmlinux-{release} of it"
        )
    if data[:4] == b"\x7fELF":
        raise InputError(f"{path}: a compressed ELF file, expected it unpacked")
    if b"Linux version " in data and b"\0" in data:
        raise InputError(f"{path}: an Image, the bare kernel, which has no symbols; expected {_WANTED}{_DISTRIBUTION}")
    if data.startswith((b"CONFIG_", b"#\n# Automatically generated file")):
        raise InputError(f"{path}: a .config, expected {_WANTED}; the .config is for --kconfig")


def release_of_name(path: Path) -> str | None:
    """The kernel release in the name of an installed file (System.map-5.10.0-32-armmp), None where there is none."""
    found = _RELEASE.fullmatch(path.name)
    return found[1] if found else None
