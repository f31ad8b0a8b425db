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
from bootsim.escape import escaped
from bootsim.inputs.tree import Node, Spot, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\xd0\x0d\xfe\xed"
HEADER_BYTES = 40
MAX_DEPTH = 64  # as deep as the kernel unflattens
MAX_NAME = 1024
MAX_BYTES = 0x7FFFFFFF
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9

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


def read_tree(
    blob: bytes, name: str = "device tree blob", lines: Mapping[tuple[str, str | None], str] | None = None
) -> Tree:
    """Check all of a blob and make a tree of it: header, reservations, every token and every property.

    `name` is what messages call the blob; `lines` is where its source stands. Raises InputError, with the offset into
    the blob, at the first thing that a device tree blob cannot hold.
    """
    header = read_header(blob, name)
    reservations = _reservations(blob, header, name)
    root, spot, struct_end = _Structure(blob, header, name).read()
    return Tree(name, blob, root, reservations, spot, struct_end, lines)


def _reservations(blob: bytes, header: Header, name: str) -> tuple[tuple[int, int], ...]:
    entries: list[tuple[int, int]] = []
    pos = header.off_mem_rsvmap
    while pos + 16 <= header.totalsize:
        base, size = _reservation(blob, pos)
        if not size:  # as libfdt ends it
            return tuple(entries)
        entries.append((base, size))
        pos += 16
    raise InputError(f"{name}: offset {pos:#x}: memory reservations run past the end of the blob, expected a zero size")


class _Open:
    # A node that has begun and not yet ended.
    __slots__ = ("name", "nodes", "offsets", "props", "spots", "start")

    def __init__(self, name: str, start: int) -> None:
        self.name, self.start = name, start
        self.props: list[tuple[str, bytes]] = []
        self.offsets: list[int] = []
        self.nodes: list[Node] = []
        self.spots: list[Spot] = []


class _Structure:
    """The structure block of a blob: `read` takes it token by token."""

    def __init__(self, blob: bytes, header: Header, name: str) -> None:
        self._blob, self._name = blob, name
        self._base = header.off_dt_struct
        self._end = self._base + struct_bytes(header)
        self._names = _Names(blob, header, name)
        self._open: list[_Open] = []

    def read(self) -> tuple[Node, Spot, int]:
        """The root, where it lies, and the offset behind the END token."""
        blob, base, names = self._blob, self._base, self._names
        words = struct.unpack_from(f">{(self._end - base) // 4}I", blob, base)
        root: tuple[Node, Spot] | None = None
        node: _Open | None = None
        i = 0
        try:
            while True:
                token, at = words[i], base + 4 * i
                i += 1
                if token == PROP and node is not None and not node.nodes:
                    length, prop = words[i], names[words[i + 1]]
                    i += 2 + (length + 3 >> 2)
                    if i > len(words):
                        raise self._past(at, f"property {prop!r} of {self._path()} with {length:#x} bytes")
                    node.props.append((prop, blob[at + 12 : at + 12 + length]))
                    node.offsets.append(at)
                elif token == END_NODE and node is not None:
                    root, node = self._close(at + 4)
                elif token == BEGIN_NODE and root is None:
                    node = self._begin(at)
                    i += len(node.name) + 4 >> 2
                elif token == END and root is not None:
                    return (*root, at + 4)
                elif token != NOP:
                    raise InputError(f"{self._name}: offset {at:#x}: {self._unexpected(token, root is not None)}")
        except IndexError:
            raise self._past(base + 4 * min(i, len(words)), "structure block") from None

    def _begin(self, at: int) -> _Open:
        nul = self._blob.find(0, at + 4, self._end)
        if nul < 0:
            raise self._past(at, "node name")
        unit_name = self._blob[at + 4 : nul].decode("latin-1")
        depth = len(self._open)
        if depth >= MAX_DEPTH:
            raise InputError(
                f"{self._name}: offset {at:#x}: nodes nested more than {MAX_DEPTH} deep at {self._path()[:80]}..."
            )
        if depth and (not unit_name or "/" in unit_name or len(unit_name) > MAX_NAME):
            raise InputError(
                f"{self._name}: offset {at:#x}: {unit_name[:80]!r} ({len(unit_name)} bytes) cannot be a node's name "
                f"below {self._path()[:80]}, expected 1 to {MAX_NAME} bytes without /"
            )
        node = _Open(unit_name, at)
        self._open.append(node)
        return node

    def _close(self, end: int) -> tuple[tuple[Node, Spot] | None, _Open | None]:
        # The root if it is that, and the node that is open now.
        done = self._open.pop()
        node = Node(done.name, tuple(done.props), tuple(done.nodes))
        spot = Spot(done.start, end, tuple(done.offsets), tuple(done.spots))
        if not self._open:
            return (node, spot), None
        parent = self._open[-1]
        parent.nodes.append(node)
        parent.spots.append(spot)
        return None, parent

    def _path(self) -> str:
        return escaped("/" + "/".join(node.name for node in self._open[1:]))

    def _past(self, at: int, what: str) -> InputError:
        return InputError(
            f"{self._name}: offset {at:#x}: {what} runs past the end of the structure block at {self._end:#x}"
        )

    def _unexpected(self, token: int, ended: bool) -> str:
        if token == PROP:
            after = f"after the subnodes of {self._path()}, expected it before them"
            return f"a property {after if self._open else 'outside any node'}"
        expected = "the end of the tree" if ended else "the root node"
        if self._open:
            expected = f"a property, a node or the end of {self._path()}"
        return f"token {token:#x}, expected {expected}"


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
