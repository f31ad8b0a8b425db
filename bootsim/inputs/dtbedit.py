"""Changing a blob in place, byte for byte as libfdt 1.6 does it: what QEMU and other bootloaders use.

A loader's changes leave traces: new properties stand first in their node, new nodes first among their siblings, deleted
nodes stay behind as NOP tokens, and the bytes that pad a value are whatever lay there before. The kernel reserves and
reads all of that, so it is done here as libfdt does it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bootsim.inputs.dtb import BEGIN_NODE, END, END_NODE, HEADER_BYTES, NOP, PROP, Header, read_header

_word = struct.Struct(">I").unpack_from
_put_word = struct.Struct(">I").pack_into
_NOP_BYTES = struct.pack(">I", NOP)
# offsets of the header's fields
_TOTALSIZE, _OFF_STRUCT, _OFF_STRINGS, _OFF_RSVMAP, _VERSION, _LAST_COMP = 4, 8, 12, 16, 20, 24
_SIZE_STRINGS, _SIZE_STRUCT = 32, 36


class EditError(Exception):
    """A change that libfdt refuses. The text is the name of its error."""


@dataclass(slots=True)
class Node:
    """A node of the blob being edited: where its tokens begin and end in the buffer, its depth and its unit name."""

    start: int
    end: int
    depth: int
    name: str


class BlobEditor:
    """A blob opened for changes in a buffer of `size` bytes, as fdt_open_into() does.

    `blob` must have passed check_blob(). Raises EditError when it does not fit.
    """

    def __init__(self, blob: bytes, size: int) -> None:
        header = read_header(blob)
        self._buf = bytearray(max(size, len(blob)))
        self._buf[: len(blob)] = blob
        struct_size = header.size_dt_struct
        if header.version < 17:
            struct_size = _index(self._buf, header.off_dt_struct)[1] - header.off_dt_struct
        self._open(header, struct_size, size)
        self._nodes = _index(self._buf, self._get(_OFF_STRUCT))[0]

    def _open(self, header: Header, struct_size: int, size: int) -> None:
        rsv_bytes = _reservation_bytes(self._buf, header.off_mem_rsvmap)
        if (
            header.off_dt_struct < header.off_mem_rsvmap + rsv_bytes
            or header.off_dt_strings < header.off_dt_struct + struct_size
        ):
            blocks = (
                (_OFF_RSVMAP, header.off_mem_rsvmap, rsv_bytes),
                (_OFF_STRUCT, header.off_dt_struct, struct_size),
                (_OFF_STRINGS, header.off_dt_strings, header.size_dt_strings),
            )
            self._reorder(blocks, size)
        elif header.totalsize > size:
            raise EditError("FDT_ERR_NOSPACE")
        del self._buf[size:]
        _put_word(self._buf, _VERSION, 17)
        _put_word(self._buf, _SIZE_STRUCT, struct_size)
        _put_word(self._buf, _TOTALSIZE, size)

    def _reorder(self, blocks: tuple[tuple[int, int, int], ...], size: int) -> None:
        # libfdt edits only blobs whose blocks lie in the order reservations, structure, strings
        old = bytes(self._buf)
        at = HEADER_BYTES
        if at + sum(length for _, _, length in blocks) > size:
            raise EditError("FDT_ERR_NOSPACE")
        for field, start, length in blocks:
            self._buf[at : at + length] = old[start : start + length]
            _put_word(self._buf, field, at)
            at += length
        _put_word(self._buf, _LAST_COMP, 16)

    def _get(self, field: int) -> int:
        return int(_word(self._buf, field)[0])

    # ---------------------------------------------------------------- reading

    def blob(self) -> bytes:
        """The whole buffer."""
        return bytes(self._buf)

    def packed(self) -> bytes:
        """The blob cut off behind its strings."""
        size = self._get(_OFF_STRINGS) + self._get(_SIZE_STRINGS)
        packed = self._buf[:size]
        _put_word(packed, _TOTALSIZE, size)
        return bytes(packed)

    def find(self, path: str) -> Node | None:
        """The node at `path`; a component without unit address fits the first node of that name (fdt_path_offset())."""
        index = 0
        for component in path.split("/"):
            if component:
                below = self._child(index, component)
                if below is None:
                    return None
                index = below
        return self._nodes[index]

    def _child(self, index: int, name: str) -> int | None:
        depth = self._nodes[index].depth
        for i in range(index + 1, len(self._nodes)):
            node = self._nodes[i]
            if node.depth <= depth:
                return None
            if node.depth == depth + 1 and (
                node.name == name or ("@" not in name and node.name.partition("@")[0] == name)
            ):
                return i
        return None

    def paths(self) -> list[str]:
        """The paths of all nodes, in blob order."""
        paths: list[str] = []
        stack: list[str] = []
        for node in self._nodes:
            del stack[node.depth :]
            stack.append("" if node.depth == 0 else f"{stack[-1]}/{node.name}")
            paths.append(stack[-1] or "/")
        return paths

    def nodes(self) -> list[Node]:
        """All nodes, in blob order."""
        return list(self._nodes)

    def value(self, node: Node, name: str) -> bytes | None:
        """The value of a property of `node`, None when it has none of that name."""
        at = self._property(node, name)
        if at is None:
            return None
        return bytes(self._buf[at + 12 : at + 12 + self._get(at + 4)])

    def _property(self, node: Node, name: str) -> int | None:
        strings, wanted = self._get(_OFF_STRINGS), name.encode("latin-1") + b"\0"
        at = self._body(node)
        while (token := self._get(at)) in (PROP, NOP):
            if token == NOP:
                at += 4
                continue
            start = strings + self._get(at + 8)
            if self._buf[start : start + len(wanted)] == wanted:
                return at
            at += 12 + _aligned(self._get(at + 4))
        return None

    def _body(self, node: Node) -> int:
        # the first token after the node's name
        return node.start + 4 + _aligned(self._buf.index(0, node.start + 4) + 1 - node.start - 4)

    # ---------------------------------------------------------------- changing

    def nop(self, node: Node) -> None:
        """Overwrite a node and all below it with NOP tokens (fdt_nop_node())."""
        self._buf[node.start : node.end] = _NOP_BYTES * ((node.end - node.start) // 4)
        self._nodes = [other for other in self._nodes if not node.start <= other.start < node.end]

    def add_node(self, parent: Node, name: str) -> Node:
        """Put a new node first below `parent` (fdt_add_subnode()). Raises EditError when it exists or does not fit."""
        index = self._nodes.index(parent)
        if self._child(index, name) is not None:
            raise EditError("FDT_ERR_EXISTS")
        at = self._body(parent)
        while (token := self._get(at)) in (PROP, NOP):
            at += 12 + _aligned(self._get(at + 4)) if token == PROP else 4
        encoded = name.encode("latin-1")
        length = 8 + _aligned(len(encoded) + 1)
        self._splice(at, 0, length)
        node = Node(at, at + length, parent.depth + 1, name)
        self._nodes.insert(index + 1, node)
        _put_word(self._buf, at, BEGIN_NODE)
        self._buf[at + 4 : at + length - 4] = encoded.ljust(length - 8, b"\0")
        _put_word(self._buf, at + length - 4, END_NODE)
        return node

    def set(self, node: Node, name: str, value: bytes) -> None:
        """Give a property a value, in its place or, when it is new, as the first (fdt_setprop()).

        Raises EditError when it does not fit.
        """
        at = self._property(node, name)
        if at is not None:
            self._splice(at + 12, _aligned(self._get(at + 4)), _aligned(len(value)))
        else:
            at = self._body(node)
            nameoff = self._string(name)
            self._splice(at, 0, 12 + _aligned(len(value)))
            _put_word(self._buf, at, PROP)
            _put_word(self._buf, at + 8, nameoff)
        _put_word(self._buf, at + 4, len(value))
        self._buf[at + 12 : at + 12 + len(value)] = value

    def _string(self, name: str) -> int:
        start, length = self._get(_OFF_STRINGS), self._get(_SIZE_STRINGS)
        wanted = name.encode("latin-1") + b"\0"
        found = self._buf.find(wanted, start, start + length)
        if found >= 0:
            return found - start
        if start + length + len(wanted) > len(self._buf):
            raise EditError("FDT_ERR_NOSPACE")
        self._buf[start + length : start + length + len(wanted)] = wanted
        _put_word(self._buf, _SIZE_STRINGS, length + len(wanted))
        return length

    def _splice(self, at: int, old: int, new: int) -> None:
        # Give [at, at + old) of the structure block `new` bytes. What is freed keeps its old content, as in memmove().
        used = self._get(_OFF_STRINGS) + self._get(_SIZE_STRINGS)
        delta = new - old
        if used + delta > len(self._buf):
            raise EditError("FDT_ERR_NOSPACE")
        self._buf[at + new : used + delta] = self._buf[at + old : used]
        _put_word(self._buf, _SIZE_STRUCT, self._get(_SIZE_STRUCT) + delta)
        _put_word(self._buf, _OFF_STRINGS, self._get(_OFF_STRINGS) + delta)
        for node in self._nodes:
            if node.start >= at + old:
                node.start += delta
            if node.end >= at + old:
                node.end += delta


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _reservation_bytes(buf: bytearray, pos: int) -> int:
    # with the end mark, whose size is zero
    start = pos
    while any(buf[pos + 8 : pos + 16]):
        pos += 16
    return pos + 16 - start


def _index(buf: bytearray, base: int) -> tuple[list[Node], int]:
    # All nodes, and the position after the END token. The blob has been checked.
    nodes: list[Node] = []
    open_: list[Node] = []
    pos = base
    while True:
        (token,) = _word(buf, pos)
        if token == PROP:
            pos += 12 + _aligned(_word(buf, pos + 4)[0])
            continue
        if token == BEGIN_NODE:
            nul = buf.index(0, pos + 4)
            node = Node(pos, 0, len(open_), buf[pos + 4 : nul].decode("latin-1"))
            nodes.append(node)
            open_.append(node)
            pos += _aligned(nul + 1 - pos)
            continue
        pos += 4
        if token == END_NODE:
            open_.pop().end = pos
        elif token == END:
            return nodes, pos
