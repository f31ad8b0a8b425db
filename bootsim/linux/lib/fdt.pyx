"""Reading a flattened device tree where it lies in memory (lib/fdt.c, which is scripts/dtc/libfdt)."""

import struct

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memchr

from bootsim.errors import KernelPanic

FDT_MAGIC = 0xD00DFEED
FDT_V17_SIZE = 40

cdef enum:
    FDT_BEGIN_NODE = 1
    FDT_END_NODE = 2
    FDT_PROP = 3
    FDT_NOP = 4


cdef class FlatNode:
    """A node of the blob: its offset in the structure block, unit name, depth (root is 0), path and properties.

    `props` keeps every property in order; `first` finds one by name, the first of equal names, as fdt_getprop() does.
    """

    cdef public int offset, depth
    cdef public str name, path
    cdef public list props
    cdef public dict first
    cdef FlatNode parent
    cdef dict short

    def __init__(self, int offset, str name, int depth, str path):
        self.offset, self.name, self.depth, self.path = offset, name, depth, path
        self.props, self.first, self.short = [], {}, {}

    def __repr__(self):
        return f"<FlatNode {self.path}>"

    def __deepcopy__(self, memo):
        return self  # nothing changes a node once it is read

    def be32_to_cpup(self, str name):
        """The first cell of the first property called `name`, or None; of a shorter one with what lies behind it.

        Source: include/linux/byteorder/generic.h be32_to_cpup(), over of_get_flat_dt_prop()
        """
        value = self.first.get(name)
        return None if value is None else int.from_bytes(self.short.get(name) or value[:4].ljust(4, b"\0"), "big")


cdef class FlatTree:
    """A whole blob: its size in bytes, the memory reservation entries (pa, bytes) and all nodes in blob order."""

    cdef public int totalsize
    cdef public list reservations, nodes

    def __init__(self, int totalsize, list reservations, list nodes):
        self.totalsize, self.reservations, self.nodes = totalsize, reservations, nodes

    def __deepcopy__(self, memo):
        return self


def fdt_check_header(blob):
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


cdef inline unsigned int word(const unsigned char *at) noexcept:
    return <unsigned int>at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]


cdef class Reader:
    """Reads the structure block of `blob` once, from its first token on."""

    cdef bytes blob
    cdef const unsigned char *data
    cdef long size, off_struct, off_strings
    cdef dict names

    def __cinit__(self, bytes blob not None):
        self.blob, self.names = blob, {}
        self.data, self.size = <const unsigned char *>PyBytes_AS_STRING(blob), len(blob)
        self.off_struct, self.off_strings = word(self.data + 8), word(self.data + 12)

    cdef str text(self, long start):
        # the text at `start`, up to its NUL
        cdef const void *nul = NULL
        if 0 <= start < self.size:
            nul = memchr(self.data + start, 0, self.size - start)
        if nul == NULL:
            raise ValueError(f"no end of the name at offset {start:#x}")
        return (<const char *>self.data)[start:<const unsigned char *>nul - self.data].decode("latin-1")

    cdef bytes bytes_at(self, long start, long length):
        return PyBytes_FromStringAndSize(<const char *>self.data + start, length)

    cdef long property(self, FlatNode node, long pos) except -1:
        # the position behind the property whose length stands at `pos`
        cdef unsigned int length, nameoff
        if pos + 8 > self.size:
            raise ValueError(f"no end at offset {pos:#x}")
        length, nameoff = word(self.data + pos), word(self.data + pos + 4)
        pos += 8
        if length > self.size - pos:
            raise ValueError(f"a property of {length:#x} bytes at offset {pos - 12:#x}")
        name = self.names.get(nameoff)
        if name is None:
            name = self.names[nameoff] = self.text(self.off_strings + nameoff)
        value = self.bytes_at(pos, length)
        node.props.append((name, value))
        if name not in node.first:
            node.first[name] = value
            if length < 4 and pos + 4 <= self.size:
                node.short[name] = self.bytes_at(pos, 4)
        return pos + ((<long>length + 3) & ~3)

    cdef list nodes(self):
        cdef list found = []
        cdef long pos = self.off_struct, at
        cdef unsigned int token
        cdef FlatNode node = None
        while True:
            if pos + 4 > self.size:
                raise ValueError(f"no end at offset {pos:#x}")
            token, at = word(self.data + pos), pos
            pos += 4
            if token == FDT_PROP and node is not None:
                pos = self.property(node, pos)
            elif token == FDT_BEGIN_NODE:
                name = self.text(pos)
                pos = self.off_struct + ((pos + <long>len(name) + 1 - self.off_struct + 3) & ~3)
                node = self.begin(name, at - self.off_struct, node)
                found.append(node)
            elif token == FDT_END_NODE and node is not None:
                node = node.parent
                if node is None:
                    return found
            elif token != FDT_NOP:
                raise ValueError(f"unexpected token {token:#x} at offset {at:#x}")

    cdef FlatNode begin(self, str name, long offset, FlatNode parent):
        cdef FlatNode node
        if parent is None:
            return FlatNode(offset, name, 0, "/")
        node = FlatNode(offset, name, parent.depth + 1, f"{'' if parent.depth == 0 else parent.path}/{name}")
        node.parent = parent
        return node


def parse(bytes blob not None):
    """Read all of a blob whose header fdt_check_header() accepted.

    Raises ValueError with the offset where the structure block is broken (the kernel would stop scanning there).
    Source: scripts/dtc/libfdt/fdt.c fdt_next_tag(), fdt_next_node()
    """
    total, _off_struct, _off_strings, off_rsv = struct.unpack_from(">4I", blob, 4)
    reservations = []
    while off_rsv + 16 <= len(blob):
        base, size = struct.unpack_from(">QQ", blob, off_rsv)
        off_rsv += 16
        if not size:
            break
        reservations.append((base, size))
    else:
        raise ValueError(f"no end of the memory reservations at offset {off_rsv:#x}")
    return FlatTree(total, reservations, Reader(blob).nodes())


def _subnode(tree, parent, name):
    # fdt_subnode_offset_namelen(): a name without a unit address also finds a node that has one
    for node in tree.nodes[tree.nodes.index(parent) + 1:]:
        if node.depth <= parent.depth:
            return None
        if node.depth == parent.depth + 1 and (node.name == name or
                                               ("@" not in name and node.name.startswith(name + "@"))):
            return node
    return None


def fdt_path_offset(tree, path):
    """The node at `path`; what does not start with "/" starts with an alias.

    Source: scripts/dtc/libfdt/fdt_ro.c fdt_path_offset_namelen()
    """
    return _path_offset(tree, path, ())


def _path_offset(tree, path, followed):
    # `followed` are the aliases that led here: the kernel goes round in a circle until its stack is full
    node = tree.nodes[0]
    if not path.startswith("/"):
        alias, _, path = path.partition("/")
        if alias in followed:
            raise KernelPanic(None, f"/aliases {alias}: the alias leads to itself ({' -> '.join((*followed, alias))}): "
                              "the kernel follows it until its stack is full")
        aliases = fdt_path_offset(tree, "/aliases")
        target = aliases.first.get(alias) if aliases is not None else None
        if target is None:
            return None
        node = _path_offset(tree, target.split(b"\0", 1)[0].decode("latin-1"), (*followed, alias))
    for part in path.split("/"):
        if part and node is not None:
            node = _subnode(tree, node, part)
    return node


def fdt_parent_offset(tree, FlatNode node not None):
    """The parent of `node`; None for the root.

    Source: scripts/dtc/libfdt/fdt_ro.c fdt_parent_offset()
    """
    return node.parent


def fdt_setprop(node, name, value):
    """Give the first property called `name` another value.

    Source: scripts/dtc/libfdt/fdt_rw.c fdt_setprop()
    Differs: the blob in RAM keeps the property's bytes.
    """
    node.props[node.props.index((name, node.first[name]))] = (name, value)
    node.first[name] = value


def fdt_nop_property(node, name):
    """Take the first property called `name` out of the tree.

    Source: scripts/dtc/libfdt/fdt_wip.c fdt_nop_property()
    Differs: the blob in RAM keeps the property's bytes.
    """
    node.props.remove((name, node.first.pop(name)))
    if again := next((value for prop, value in node.props if prop == name), None):
        node.first[name] = again


def cells(value):
    """The 32-bit big-endian cells of a property value; a trailing part cell is dropped.

    Source: include/linux/byteorder/generic.h be32_to_cpup(), over a property
    """
    n = len(value) // 4
    return list(struct.unpack_from(f">{n}I", value))


def read_number(value):
    """One number from up to two cells, most significant first; only the last 64 bits count.

    Source: include/linux/of.h of_read_number()
    """
    n = 0
    for cell in value:
        n = (n << 32 | cell) & 0xFFFFFFFFFFFFFFFF
    return n
