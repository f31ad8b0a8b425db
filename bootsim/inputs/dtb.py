"""Reading a device tree blob that a user gave: every lie in it becomes an InputError with its offset.

    header   40 bytes: magic, totalsize, offsets and sizes of the three blocks, version
    memory reservations   pairs of 64-bit (base, size), ended by (0, 0)
    structure   tokens: BEGIN_NODE name.. PROP length nameoff value.. END_NODE .. END, all 4-byte aligned
    strings     property names, each ended by a NUL; one name may be the tail of another

All numbers are big-endian. The replayed kernel reads the blob out of RAM with its own code (bootsim.linux.lib.fdt).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\xd0\x0d\xfe\xed"
HEADER_BYTES = 40
MAX_DEPTH = 64  # as deep as the kernel unflattens
MAX_NAME = 1024
MAX_BYTES = 0x7FFFFFFF
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9

_word = struct.Struct(">I").unpack_from
_two_words = struct.Struct(">II").unpack_from
_reservation = struct.Struct(">QQ").unpack_from


class Header(NamedTuple):
    """The header's ten words; offsets and sizes in bytes from the start of the blob. As in the file, unchecked."""

    magic: int
    totalsize: int
    off_dt_struct: int
    off_dt_strings: int
    off_mem_rsvmap: int
    version: int
    last_comp_version: int
    boot_cpuid_phys: int
    size_dt_strings: int
    size_dt_struct: int


class BlobNode(NamedTuple):
    """One node: depth (the root's is 0), path, name with unit address, and properties in blob order."""

    depth: int
    path: str
    name: str
    props: list[tuple[str, bytes]]


def is_blob(data: bytes) -> bool:
    """Whether `data` begins as a device tree blob does."""
    return data[:4] == MAGIC


def read_header(blob: bytes, name: str = "device tree blob") -> Header:
    """Return the header of a blob after checking every number in it against the others and the blob's length.

    `name` is what messages call the blob. Raises InputError.
    """
    if len(blob) < HEADER_BYTES:
        raise InputError(f"{name}: {len(blob)} bytes, expected at least a {HEADER_BYTES}-byte device tree header")
    header = Header._make(struct.unpack_from(">10I", blob))
    if not is_blob(blob):
        raise InputError(f"{name}: begins with {header.magic:#010x}, expected the magic number 0xd00dfeed")
    if header.version < 16 or header.last_comp_version > 17 or header.version < header.last_comp_version:
        raise InputError(
            f"{name}: version {header.version} (compatible with {header.last_comp_version}), expected 16 or 17"
        )
    if not HEADER_BYTES <= header.totalsize <= MAX_BYTES:
        raise InputError(f"{name}: header says {header.totalsize:#x} bytes in total, expected {len(blob):#x}")
    if header.totalsize > len(blob):
        raise InputError(f"{name}: truncated: {len(blob)} bytes, its header says {header.totalsize}")
    _check_blocks(header, name)
    return header


def _check_blocks(header: Header, name: str) -> None:
    blocks = (
        ("memory reservation block", header.off_mem_rsvmap, 16, 8),
        ("structure block", header.off_dt_struct, struct_bytes(header), 4),
        ("strings block", header.off_dt_strings, header.size_dt_strings, 1),
    )
    for what, start, length, align in blocks:
        if start < HEADER_BYTES or start + length > header.totalsize:
            raise InputError(
                f"{name}: {what} at [{start:#x}, {start + length:#x}), "
                f"expected it within [{HEADER_BYTES:#x}, {header.totalsize:#x})"
            )
        if start % align:
            raise InputError(f"{name}: {what} at offset {start:#x}, expected a multiple of {align}")


def struct_bytes(header: Header) -> int:
    """The size of the structure block in bytes; version 16 does not store it, so it runs to the strings or the end."""
    if header.version >= 17:
        return header.size_dt_struct
    if header.off_dt_strings > header.off_dt_struct:
        return header.off_dt_strings - header.off_dt_struct
    return header.totalsize - header.off_dt_struct


def reservations(blob: bytes, name: str = "device tree blob") -> list[tuple[int, int]]:
    """Return the memory reservation entries: (pa, bytes), without the end mark. Raises InputError when none ends it."""
    header = read_header(blob, name)
    entries: list[tuple[int, int]] = []
    pos = header.off_mem_rsvmap
    while pos + 16 <= header.totalsize:
        base, size = _reservation(blob, pos)
        if not size:  # as libfdt ends it
            return entries
        entries.append((base, size))
        pos += 16
    raise InputError(f"{name}: offset {pos:#x}: memory reservations run past the end of the blob, expected a zero size")


def check_blob(blob: bytes, name: str = "device tree blob") -> None:
    """Check all of a blob: header, reservations, every token and every property. Raises InputError."""
    reservations(blob, name)
    for _ in iter_blob(blob, name):
        pass


def iter_blob(blob: bytes, name: str = "device tree blob") -> Iterator[BlobNode]:
    """Yield every node of a blob in its order, parents before children.

    Raises InputError, with the offset into the blob, at the first thing that a device tree blob cannot hold.
    """
    header = read_header(blob, name)
    base = header.off_dt_struct
    end = base + struct_bytes(header)
    names = _Names(blob, header, name)
    paths: list[str] = []
    begun = False
    node: BlobNode | None = None  # the open node while its properties are being read
    pos = base
    try:
        while True:
            at = pos
            (token,) = _word(blob, pos)
            pos += 4
            if pos > end:
                raise _past(name, at, "structure block", end)
            if token == PROP:
                if node is None:
                    raise InputError(f"{name}: offset {at:#x}: a property {_outside(paths)}")
                length, nameoff = _two_words(blob, pos)
                start = pos + 8
                pos = start + ((length + 3) & ~3)
                if pos > end:
                    raise _past(name, at, f"property {names[nameoff]!r} of {node.path} with {length:#x} bytes", end)
                node.props.append((names[nameoff], blob[start : start + length]))
                continue
            if token == NOP:
                continue
            if node is not None:
                yield node
                node = None
            if token == BEGIN_NODE and (paths or not begun):
                begun = True
                nul = blob.find(0, pos, end)
                if nul < 0:
                    raise _past(name, at, "node name", end)
                node = _open_node(blob[pos:nul].decode("latin-1"), paths, name, at)
                pos = base + ((nul + 4 - base) & ~3)
            elif token == END_NODE and paths:
                paths.pop()
            elif token == END and begun and not paths:
                break
            else:
                raise InputError(f"{name}: offset {at:#x}: token {token:#x}, expected {_expected(paths, begun)}")
    except struct.error:
        raise _past(name, pos, "structure block", end) from None


class _Names(dict[int, str]):
    """The property names by their offset in the strings block."""

    def __init__(self, blob: bytes, header: Header, name: str) -> None:
        super().__init__()
        self._blob, self._name = blob, name
        self._start = header.off_dt_strings
        self._end = header.off_dt_strings + header.size_dt_strings

    def __missing__(self, nameoff: int) -> str:
        start = self._start + nameoff
        nul = self._blob.find(0, start, self._end) if start < self._end else -1
        if nul < 0:
            raise InputError(
                f"{self._name}: property name at {nameoff:#x} of the strings block does not end inside its "
                f"{self._end - self._start:#x} bytes"
            )
        text = self[nameoff] = self._blob[start:nul].decode("latin-1")
        return text


def _open_node(unit_name: str, paths: list[str], name: str, at: int) -> BlobNode:
    depth = len(paths)
    if depth >= MAX_DEPTH:
        raise InputError(f"{name}: offset {at:#x}: nodes nested more than {MAX_DEPTH} deep at {paths[-1][:80]}...")
    if depth == 0:
        path = "/"
    elif not unit_name or "/" in unit_name or len(unit_name) > MAX_NAME:
        raise InputError(
            f"{name}: offset {at:#x}: {unit_name[:80]!r} ({len(unit_name)} bytes) cannot be a node's name "
            f"below {paths[-1][:80]}, expected 1 to {MAX_NAME} bytes without /"
        )
    else:
        path = f"{paths[-1] if depth > 1 else ''}/{unit_name}"
    paths.append(path)
    return BlobNode(depth, path, unit_name, [])


def _past(name: str, at: int, what: str, end: int) -> InputError:
    return InputError(f"{name}: offset {at:#x}: {what} runs past the end of the structure block at {end:#x}")


def _outside(paths: list[str]) -> str:
    return f"after the subnodes of {paths[-1]}, expected it before them" if paths else "outside any node"


def _expected(paths: list[str], begun: bool) -> str:
    if paths:
        return f"a property, a node or the end of {paths[-1]}"
    return "the end of the tree" if begun else "the root node"
