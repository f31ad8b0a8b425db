"""scripts/dtc/libfdt against the replay's reading of a blob, whole and damaged."""

import ctypes
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.lib.fdt import fdt_check_header, fdt_path_offset, parse


@pytest.fixture(scope="module")
def theirs(libfdt):
    libfdt.fdt_get_name.restype = ctypes.c_char_p
    libfdt.fdt_getprop_by_offset.restype = ctypes.c_void_p
    return libfdt


NAMES = st.sampled_from(("a", "ab", "a@1", "a@2", "b@10", "memory@60000000", "aliases", "chosen", "cpus", "x,y-z"))
PROP_NAMES = st.sampled_from(("reg", "compatible", "a", "serial0", "name"))
PROPS = st.lists(st.tuples(PROP_NAMES, st.binary(max_size=9)), max_size=4)
NODE = st.recursive(
    st.tuples(NAMES, PROPS, st.just([])), lambda deeper: st.tuples(NAMES, PROPS, st.lists(deeper, max_size=3))
)
WORD = st.one_of(st.integers(0, 400), st.integers(0, 0xFFFFFFFF))


def blob_of(node, reservations=(), nops=False):
    """A version-17 blob of (name, properties, nodes below), its root unnamed."""
    strings, offsets, words = bytearray(), {}, bytearray()

    def put(name, props, below):
        words.extend(struct.pack(">I", 1) + name.encode() + b"\0")
        words.extend(bytes(-len(words) % 4))
        for prop, value in props:
            if prop not in offsets:
                offsets[prop] = len(strings)
                strings.extend(prop.encode() + b"\0")
            words.extend(struct.pack(">4I", 4, 3, len(value), offsets[prop])[0 if nops else 4 :])
            words.extend(value + bytes(-len(value) % 4))
        for child in below:
            put(*child)
        words.extend(struct.pack(">I", 2))

    put("", *node[1:])
    words.extend(struct.pack(">I", 9))
    rsv = b"".join(struct.pack(">QQ", *entry) for entry in (*reservations, (0, 0)))
    struct_at = 40 + len(rsv)
    total = struct_at + len(words) + len(strings)
    strings_at = struct_at + len(words)
    head = struct.pack(">10I", 0xD00DFEED, total, struct_at, strings_at, 40, 17, 16, 0, len(strings), len(words))
    return head + rsv + bytes(words) + bytes(strings)


def walk(library, blob):
    """(nodes, error): each node as libfdt sees it until its walk ends, and the code it ends with."""
    raw = ctypes.create_string_buffer(blob, len(blob))
    nodes, depth, length = [], ctypes.c_int(-1), ctypes.c_int()
    at = library.fdt_next_node(raw, -1, ctypes.byref(depth))
    while at >= 0:
        props, prop = [], library.fdt_first_property_offset(raw, at)
        while prop >= 0:
            name = ctypes.c_char_p()
            value = library.fdt_getprop_by_offset(raw, prop, ctypes.byref(name), ctypes.byref(length))
            props.append((name.value.decode("latin-1"), ctypes.string_at(value, length.value)))
            prop = library.fdt_next_property_offset(raw, prop)
        nodes.append((at, library.fdt_get_name(raw, at, None).decode("latin-1"), depth.value, props))
        at = library.fdt_next_node(raw, at, ctypes.byref(depth))
        if depth.value < 0:
            break
    return nodes, at


@settings(max_examples=800, deadline=None)
@given(NODE, st.lists(st.tuples(st.integers(0, 1 << 33), st.integers(1, 1 << 33)), max_size=3), st.booleans())
def test_whole_blobs(theirs, node, reservations, nops):
    blob = blob_of(node, reservations, nops)
    raw = ctypes.create_string_buffer(blob, len(blob))
    assert theirs.fdt_check_header(raw) == 0
    assert fdt_check_header(blob) == len(blob)
    tree = parse(blob)
    assert tree.reservations == reservations
    assert [(n.offset, n.name, n.depth, n.props) for n in tree.nodes] == walk(theirs, blob)[0]
    for found in tree.nodes:
        wanted = theirs.fdt_path_offset(raw, found.path.encode())  # of two nodes of one name, the first
        first = fdt_path_offset(tree, found.path)
        assert (first.offset if first else -1) == wanted


@settings(max_examples=400, deadline=None)
@given(NODE, st.lists(NAMES, min_size=1, max_size=3), st.booleans())
def test_paths(theirs, node, names, absolute):
    blob = blob_of(node)
    path = "/" * absolute + "/".join(names)
    found = fdt_path_offset(parse(blob), path)
    wanted = theirs.fdt_path_offset(ctypes.create_string_buffer(blob, len(blob)), path.encode())
    assert (found.offset if found else -1) == max(wanted, -1)


@settings(max_examples=3000, deadline=None)
@given(NODE, st.lists(st.tuples(st.integers(0, 9), WORD), max_size=3))
def test_headers(theirs, node, edits):
    blob = bytearray(blob_of(node))
    for word, value in edits:
        struct.pack_into(">I", blob, 4 * word, value)
    raw = ctypes.create_string_buffer(bytes(blob), len(blob))
    wanted = theirs.fdt_check_header(raw)
    found = fdt_check_header(bytes(blob))
    assert (found if found < 0 else 0) == wanted
