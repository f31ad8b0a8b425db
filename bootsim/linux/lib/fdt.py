"""Reading a flattened device tree where it lies in memory (lib/fdt.c, which is scripts/dtc/libfdt)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

FDT_MAGIC = 0xD00DFEED
FDT_V17_SIZE = 40
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9


@dataclass(slots=True, eq=False)
class FlatNode:
    """A node of the blob: its offset in the structure block, unit name, depth (root is 0), path and properties.

    `props` keeps every property in order; `first` finds one by name, the first of equal names, as fdt_getprop() does.
    """

    offset: int
    name: str
    depth: int
    path: str
    props: list[tuple[str, bytes]] = field(default_factory=list)
    first: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class FlatTree:
    """A whole blob: its size in bytes, the memory reservation entries (pa, bytes) and all nodes in blob order."""

    totalsize: int
    reservations: list[tuple[int, int]]
    nodes: list[FlatNode]


def fdt_check_header(blob: bytes) -> int:
    """Return the total size in bytes that the header of `blob` (at least 40 bytes) claims, or a negative FDT_ERR_*.

    Source: scripts/dtc/libfdt/fdt.c fdt_check_header()
    """
    if len(blob) < FDT_V17_SIZE:
        return -8
    magic, total, off_struct, off_strings, off_rsv, version, last_comp, _cpu, size_strings, size_struct = \
        struct.unpack_from(">10I", blob)
    if magic != FDT_MAGIC:
        return -9
    if version < 2 or last_comp > 17 or version < last_comp:
        return -10
    if not FDT_V17_SIZE <= total <= 0x7FFFFFFF or not FDT_V17_SIZE <= off_rsv <= total:
        return -8
    blocks = [(off_strings, size_strings), (off_struct, size_struct if version >= 17 else 0)]
    if any(not FDT_V17_SIZE <= off <= total or off + size > total for off, size in blocks):
        return -8
    return int(total)


def parse(blob: bytes) -> FlatTree:
    """Read all of a blob whose header fdt_check_header() accepted.

    Raises ValueError with the offset where the structure block is broken (the kernel would stop scanning there).
    Source: scripts/dtc/libfdt/fdt.c fdt_next_tag(), fdt_next_node()
    """
    total, off_struct, off_strings, off_rsv = struct.unpack_from(">4I", blob, 4)
    reservations = []
    while True:
        base, size = struct.unpack_from(">QQ", blob, off_rsv)
        off_rsv += 16
        if not size:
            break
        reservations.append((base, size))
    nodes: list[FlatNode] = []
    open_: list[FlatNode] = []
    names: dict[int, str] = {}
    pos = off_struct
    unpack_word, unpack_prop = struct.Struct(">I").unpack_from, struct.Struct(">II").unpack_from
    while True:
        (token,) = unpack_word(blob, pos)
        at, pos = pos, pos + 4
        if token == _PROP:
            length, nameoff = unpack_prop(blob, pos)
            name = names.get(nameoff)
            if name is None:
                start = off_strings + nameoff
                name = names[nameoff] = blob[start:blob.index(0, start)].decode("latin-1")
            value = blob[pos + 8:pos + 8 + length]
            pos += 8 + ((length + 3) & ~3)
            node = open_[-1]
            node.props.append((name, value))
            node.first.setdefault(name, value)
        elif token == _BEGIN_NODE:
            end = blob.index(0, pos)
            name = blob[pos:end].decode("latin-1")
            pos = off_struct + ((end + 1 - off_struct + 3) & ~3)
            parent = open_[-1].path if open_ else ""
            path = (parent if parent != "/" else "") + "/" + name if open_ else "/"
            node = FlatNode(at - off_struct, name, len(open_), path)
            nodes.append(node)
            open_.append(node)
        elif token == _END_NODE:
            open_.pop()
            if not open_:
                break
        elif token != _NOP:
            raise ValueError(f"unexpected token {token:#x} at offset {at:#x}")
    return FlatTree(total, reservations, nodes)


def _subnode(tree: FlatTree, parent: FlatNode, name: str) -> FlatNode | None:
    # fdt_subnode_offset_namelen(): a name without a unit address also finds a node that has one
    for node in tree.nodes[tree.nodes.index(parent) + 1:]:
        if node.depth <= parent.depth:
            return None
        if node.depth == parent.depth + 1 and (node.name == name or
                                               ("@" not in name and node.name.startswith(name + "@"))):
            return node
    return None


def fdt_path_offset(tree: FlatTree, path: str) -> FlatNode | None:
    """The node at `path`; what does not start with "/" starts with an alias.

    Source: scripts/dtc/libfdt/fdt_ro.c fdt_path_offset_namelen()
    """
    node: FlatNode | None = tree.nodes[0]
    if not path.startswith("/"):
        alias, _, path = path.partition("/")
        aliases = fdt_path_offset(tree, "/aliases")
        target = aliases.first.get(alias) if aliases else None
        if target is None:
            return None
        text = target.split(b"\0", 1)[0].decode("latin-1")
        node = fdt_path_offset(tree, text) if text.startswith("/") else None
    for part in path.split("/"):
        if part and node is not None:
            node = _subnode(tree, node, part)
    return node


def fdt_parent_offset(tree: FlatTree, node: FlatNode) -> FlatNode | None:
    """The parent of `node`; None for the root.

    Source: scripts/dtc/libfdt/fdt_ro.c fdt_parent_offset()
    """
    before = tree.nodes[:tree.nodes.index(node)]
    return next((n for n in reversed(before) if n.depth == node.depth - 1), None)


def fdt_setprop(node: FlatNode, name: str, value: bytes) -> None:
    """Give the first property called `name` another value.

    Source: scripts/dtc/libfdt/fdt_rw.c fdt_setprop()
    Differs: the blob in RAM keeps the property's bytes.
    """
    node.props[node.props.index((name, node.first[name]))] = (name, value)
    node.first[name] = value


def fdt_nop_property(node: FlatNode, name: str) -> None:
    """Take the first property called `name` out of the tree.

    Source: scripts/dtc/libfdt/fdt_wip.c fdt_nop_property()
    Differs: the blob in RAM keeps the property's bytes.
    """
    node.props.remove((name, node.first.pop(name)))
    if again := next((value for prop, value in node.props if prop == name), None):
        node.first[name] = again


def cells(value: bytes) -> list[int]:
    """The 32-bit big-endian cells of a property value; a trailing part cell is dropped.

    Source: include/linux/byteorder/generic.h be32_to_cpup(), over a property
    """
    n = len(value) // 4
    return list(struct.unpack_from(f">{n}I", value))


def read_number(value: list[int]) -> int:
    """One number from up to two cells, most significant first; only the last 64 bits count.

    Source: include/linux/of.h of_read_number()
    """
    n = 0
    for cell in value:
        n = (n << 32 | cell) & 0xFFFFFFFFFFFFFFFF
    return n
