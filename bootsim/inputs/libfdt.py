"""A tree's blob with a bootloader's edits in it, byte for byte as libfdt 1.6 makes them: what QEMU and others use.

Such changes leave traces: new properties stand first in their node, new nodes first among their siblings, deleted nodes
stay behind as NOP tokens, and the bytes that pad a value are whatever lay there before. The kernel reserves and reads
all of that, so it is done here as libfdt does it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.inputs.dtb import BEGIN_NODE, END_NODE, HEADER_BYTES, NOP, PROP, read_header
from bootsim.inputs.tree import Node, names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootsim.inputs.dtb import Header
    from bootsim.inputs.edits import Edit
    from bootsim.inputs.tree import Spot, Tree

_word = struct.Struct(">I").unpack_from
_put_word = struct.Struct(">I").pack_into
_entry = struct.Struct(">QQ").unpack_from
_put_entry = struct.Struct(">QQ").pack_into
_ENTRY_BYTES = 16
_NOP_BYTES = struct.pack(">I", NOP)
# offsets of the header's fields
_TOTALSIZE, _OFF_STRUCT, _OFF_STRINGS, _OFF_RSVMAP, _VERSION, _LAST_COMP = 4, 8, 12, 16, 20, 24
_SIZE_STRINGS, _SIZE_STRUCT = 32, 36


class EditError(Exception):
    """A change that libfdt refuses. The text is the name of its error."""


def serialise(tree: Tree, edits: Iterable[Edit] = (), size: int | None = None) -> bytes:
    """The blob of a tree with `edits` (set, add, delete) made in it one after the other.

    It is made in a buffer of `size` bytes, as fdt_open_into() does, and is that long; without a size there is room for
    everything, and the blob is cut off behind its strings. A tree without edits is handed over as it came.
    Raises EditError where libfdt refuses.
    """
    edits = tuple(edits)
    if size is None and not edits:
        return tree.blob
    room = sum(len(edit.value) + len(edit.path) + 64 for edit in edits) + 1024
    buffer = Buffer(tree, len(tree.blob) + room if size is None else size)
    for edit in edits:
        buffer.make(edit)
    return buffer.blob() if size is not None else buffer.packed()


class _Placed:
    """A node in the buffer. Positions are those of the time `epoch`; `Buffer._now` tells where they are now.

    `node` and `spot` are what it came from, None for one that an edit added.
    """

    __slots__ = ("_nodes", "_props", "end", "epoch", "name", "node", "spot", "start")

    def __init__(self, name: str, start: int, end: int, epoch: int) -> None:
        self.name, self.start, self.end, self.epoch = name, start, end, epoch
        self.node: Node = Node(name)
        self.spot: Spot | None = None
        self._props: dict[str, tuple[int, int]] | None = None
        self._nodes: list[_Placed] | None = None

    @property
    def props(self) -> dict[str, tuple[int, int]]:
        """The (position, epoch) of each property's token, by name; of equal names the first."""
        if self._props is None:
            self._props = {}
            for (name, _), at in zip(self.node.props, self.spot.props if self.spot else (), strict=True):
                self._props.setdefault(name, (at, 0))
        return self._props

    @property
    def nodes(self) -> list[_Placed]:
        """The nodes below, in order."""
        if self._nodes is None:
            spots = self.spot.nodes if self.spot else ()
            self._nodes = [_placed(child, below) for child, below in zip(self.node.nodes, spots, strict=True)]
        return self._nodes


def _placed(node: Node, spot: Spot) -> _Placed:
    placed = _Placed(node.name, spot.start, spot.end, 0)
    placed.node, placed.spot = node, spot
    return placed


class Buffer:
    """A blob opened for changes in a buffer of `size` bytes, as by fdt_open_into()."""

    def __init__(self, tree: Tree, size: int) -> None:
        self._buf = bytearray(max(size, len(tree.blob)))
        self._buf[: len(tree.blob)] = tree.blob
        self._splices: list[tuple[int, int]] = []  # (from where on, by how much) things have moved
        self._root = _placed(tree.root, tree.spot)
        header = read_header(tree.blob, tree.name)
        struct_size = header.size_dt_struct if header.version >= 17 else tree.struct_end - header.off_dt_struct
        self._open(header, len(tree.reservations) * 16 + 16, struct_size, size)

    def _open(self, header: Header, rsv_bytes: int, struct_size: int, size: int) -> None:
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
            if field == _OFF_STRUCT:
                self._splices.append((0, at - start))
            at += length
        _put_word(self._buf, _LAST_COMP, 16)

    def _get(self, field: int) -> int:
        return int(_word(self._buf, field)[0])

    def blob(self) -> bytes:
        """The whole buffer."""
        return bytes(self._buf)

    @property
    def used(self) -> int:
        """Where the strings end."""
        return self._get(_OFF_STRINGS) + self._get(_SIZE_STRINGS)

    def resize(self, size: int) -> None:
        """Give the blob another total size, with no bytes lost that are in use: fdt_set_totalsize()."""
        if size < self.used:
            raise EditError("FDT_ERR_NOSPACE")
        self._buf = self._buf[:size].ljust(size, b"\0")
        _put_word(self._buf, _TOTALSIZE, size)

    def packed(self) -> bytes:
        """The blob cut off behind its strings."""
        size = self.used
        packed = self._buf[:size]
        _put_word(packed, _TOTALSIZE, size)
        return bytes(packed)

    # ---------------------------------------------------------------- where things are

    def _now(self, position: int, epoch: int) -> int:
        for start, delta in self._splices[epoch:]:
            if position >= start:
                position += delta
        return position

    def _start(self, node: _Placed) -> int:
        return self._now(node.start, node.epoch)

    def _end(self, node: _Placed) -> int:
        return self._now(node.end, node.epoch)

    def _body(self, node: _Placed) -> int:
        # the first token after the node's name
        return self._start(node) + 4 + _aligned(len(node.name) + 1)

    def _find(self, path: str) -> tuple[_Placed, _Placed] | None:
        # the node and its parent; the root is its own
        parent = node = self._root
        for component in path.split("/"):
            if component:
                parent = node
                below = next((child for child in node.nodes if child.name == component), None)
                if below is None:
                    return None
                node = below
        return node, parent

    def _found(self, path: str) -> tuple[_Placed, _Placed]:
        found = self._find(path)
        if found is None:
            raise EditError("FDT_ERR_NOTFOUND")
        return found

    # ---------------------------------------------------------------- changing

    def make(self, edit: Edit) -> None:
        """Make one edit."""
        if edit.action == "set" and edit.prop is not None:
            self._set(self._found(edit.path)[0], edit.prop, edit.value)
        elif edit.action == "add":
            parent, _, name = edit.path.rpartition("/")
            self._add_node(self._found(parent)[0], name)
        elif edit.action == "delete" and edit.prop is None:
            self._nop(*self._found(edit.path))
        elif edit.reservation is not None:
            self._change_reservation(edit.reservation, add=edit.action == "reserve")
        else:
            raise ValueError(f"no bootloader makes this edit: {edit}")

    def _change_reservation(self, entry: tuple[int, int], *, add: bool) -> None:
        # fdt_add_mem_rsv(), behind the others, and fdt_del_mem_rsv()
        at = self._get(_OFF_RSVMAP)
        while (found := _entry(self._buf, at)) != (0, 0) and (add or found != entry):
            at += _ENTRY_BYTES
        if not add and found == (0, 0):
            raise EditError("FDT_ERR_NOTFOUND")
        self._shift(at, 0 if add else _ENTRY_BYTES, _ENTRY_BYTES if add else 0)
        _put_word(self._buf, _OFF_STRUCT, self._get(_OFF_STRUCT) + (_ENTRY_BYTES if add else -_ENTRY_BYTES))
        if add:
            _put_entry(self._buf, at, *entry)

    def _nop(self, node: _Placed, parent: _Placed) -> None:
        # fdt_nop_node()
        start, end = self._start(node), self._end(node)
        self._buf[start:end] = _NOP_BYTES * ((end - start) // 4)
        parent.nodes.remove(node)

    def _add_node(self, parent: _Placed, name: str) -> None:
        # fdt_add_subnode(): behind the parent's properties and the NOP tokens that follow them
        if any(names(child.name, name) for child in parent.nodes):
            raise EditError("FDT_ERR_EXISTS")
        at = self._start(parent.nodes[0]) if parent.nodes else self._end(parent) - 4
        encoded = name.encode("latin-1")
        length = 8 + _aligned(len(encoded) + 1)
        self._splice(at, 0, length)
        parent.nodes.insert(0, _Placed(name, at, at + length, len(self._splices)))
        _put_word(self._buf, at, BEGIN_NODE)
        self._buf[at + 4 : at + length - 4] = encoded.ljust(length - 8, b"\0")
        _put_word(self._buf, at + length - 4, END_NODE)

    def _set(self, node: _Placed, name: str, value: bytes) -> None:
        # fdt_setprop(): in its place or, when it is new, as the first
        known = node.props.get(name)
        if known is not None:
            at = self._now(*known)
            self._splice(at + 12, _aligned(self._get(at + 4)), _aligned(len(value)))
        else:
            at = self._body(node)
            nameoff = self._string(name)
            self._splice(at, 0, 12 + _aligned(len(value)))
            node.props[name] = (at, len(self._splices))
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
        # give [at, at + old) of the structure block `new` bytes
        self._shift(at, old, new)
        _put_word(self._buf, _SIZE_STRUCT, self._get(_SIZE_STRUCT) + new - old)

    def _shift(self, at: int, old: int, new: int) -> None:
        # Give [at, at + old) `new` bytes. What is freed keeps its old content, as in memmove().
        used = self.used
        delta = new - old
        if used + delta > len(self._buf):
            raise EditError("FDT_ERR_NOSPACE")
        self._buf[at + new : used + delta] = self._buf[at + old : used]
        _put_word(self._buf, _OFF_STRINGS, self._get(_OFF_STRINGS) + delta)
        self._splices.append((at + old, delta))


def _aligned(size: int) -> int:
    return (size + 3) & ~3
