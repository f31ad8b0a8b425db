"""Where a tree comes from, and blobs that lie."""

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bootsim.errors import InputError
from bootsim.inputs.devicetree import bundled_names, load_tree
from bootsim.inputs.dtb import read_tree

ROOT = Path(__file__).parents[2]
SOURCE = '/dts-v1/; /memreserve/ 0x1000 0x2000; / { compatible = "t"; n@1 { reg = <1>; empty; }; m { o { }; }; };'


@pytest.fixture
def blob(tmp_path):
    path = tmp_path / "t.dts"
    path.write_text(SOURCE)
    return load_tree(path).blob


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        load_tree(path)
    for word in words:
        assert word in str(caught.value)


# ---------------------------------------------------------------- files


def test_source_and_blob_are_told_apart_by_content(tmp_path, blob):
    (tmp_path / "blob.dts").write_bytes(blob)
    (tmp_path / "source.dtb").write_text(SOURCE)
    assert load_tree(tmp_path / "blob.dts").blob == load_tree(tmp_path / "source.dtb").blob == blob


def test_a_place_in_a_bundled_tree_is_called_as_the_tree_was_given(tmp_path, monkeypatch):
    named = load_tree("vexpress")
    assert named.where("/memory@60000000", "reg") == "vexpress.dts:72"
    assert {place.rpartition(":")[0] for place in named.lines.values()} == {"vexpress.dts", "vexpress-v2m.dtsi"}
    monkeypatch.chdir(ROOT)
    assert load_tree("dts/vexpress.dts").where("/memory@60000000", "reg") == "dts/vexpress.dts:72"
    monkeypatch.chdir(tmp_path)
    assert load_tree(ROOT / "dts/vexpress.dts").where("/memory@60000000", "reg") == f"{ROOT}/dts/vexpress.dts:72"


def test_a_path_comes_before_a_bundled_name(tmp_path, monkeypatch, blob):
    monkeypatch.chdir(tmp_path)
    assert load_tree("vexpress.dts").name == "vexpress.dts"
    assert len(load_tree("vexpress.dts").blob) == len(load_tree("vexpress").blob) == 14171
    Path("vexpress.dts").write_bytes(blob)
    assert load_tree("vexpress.dts").blob == blob


def test_bundled_names():
    assert bundled_names() == ["vexpress-ca15.dts", "vexpress.dts"]


def test_standard_input(monkeypatch, blob):
    for data in (SOURCE.encode(), blob):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        tree = load_tree("-")
        assert (tree.name, tree.blob) == ("<stdin>", blob)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    refused("-", "<stdin>", "empty")


def test_where_a_blob_has_no_lines(tmp_path, blob):
    (tmp_path / "t.dtb").write_bytes(blob)
    tree = load_tree(tmp_path / "t.dtb")
    assert tree.where("/n@1", "reg") == str(tmp_path / "t.dtb")


def test_files_that_are_no_trees(tmp_path):
    refused(tmp_path / "none.dts", "none.dts", "no such file")
    refused("vexpres.dts", "vexpress.dts")
    refused("no/vexpress.dts", "no/vexpress.dts")
    refused(tmp_path, "directory")
    refused("a\0b", "no such file")
    refused("a" * 300, "cannot read")
    for name, data, word in (
        ("empty.dtb", b"", "empty"),
        ("elf.dtb", b"\x7fELF\x01\x01\x01\0\0\0", "d0 0d fe ed"),
        ("zero.dtb", bytes(100), "control character"),
        ("latin.dts", b'/dts-v1/; / { x = "\xfc"; };', "not text"),
        ("words.dts", b"hello, world", "/dts-v1/"),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, name, word)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    (tmp_path / "x.dts").write_text(SOURCE)
    (tmp_path / "x.dts").chmod(0)
    refused(tmp_path / "x.dts", "cannot read")


def test_a_blob_needs_none_of_the_source_libraries(tmp_path, blob):
    (tmp_path / "t.dtb").write_bytes(blob)
    script = (
        "import sys; from bootsim.inputs.devicetree import load_tree; load_tree(sys.argv[1]); "
        "import bootsim.inputs.bootloader; "
        "sys.exit(bool({'pcpp', 'devicetree', 'fdt', 'difflib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "t.dtb"], check=True, cwd=ROOT)


def test_source_without_directives_is_not_preprocessed(tmp_path):
    (tmp_path / "t.dts").write_text(SOURCE)
    script = (
        "import sys; from bootsim.inputs.devicetree import load_tree; load_tree(sys.argv[1]); "
        "sys.exit('pcpp' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "t.dts"], check=True, cwd=ROOT)


# ---------------------------------------------------------------- blobs

FIELDS = ("magic", "totalsize", "off_dt_struct", "off_dt_strings", "off_mem_rsvmap", "version", "last_comp_version",
          "boot_cpuid_phys", "size_dt_strings", "size_dt_struct")  # fmt: skip


def field(blob, name):
    return struct.unpack_from(">I", blob, 4 * FIELDS.index(name))[0]


def lie(blob, name, value):
    changed = bytearray(blob)
    struct.pack_into(">I", changed, 4 * FIELDS.index(name), value)
    return bytes(changed)


def test_nodes_in_order(blob):
    tree = read_tree(blob)
    assert [(path, node.props) for path, node in tree.walk()] == [
        ("/", (("compatible", b"t\0"),)),
        ("/n@1", (("reg", b"\0\0\0\1"), ("empty", b""))),
        ("/m", ()),
        ("/m/o", ()),
    ]
    assert tree.reservations == ((0x1000, 0x2000),)


def test_every_truncation_is_noticed(blob):
    for length in range(4, len(blob)):
        with pytest.raises(InputError):
            read_tree(blob[:length])


def test_what_follows_the_blob_is_no_matter(blob):
    assert [*read_tree(blob + b"trailing").walk()] == [*read_tree(blob).walk()]


@pytest.mark.parametrize("name", FIELDS[:7] + FIELDS[8:])
@pytest.mark.parametrize("value", [0, 1, 39, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_header_that_lies(blob, name, value):
    if (name == "last_comp_version" and value <= 1) or (name == "version" and value > 17):
        read_tree(lie(blob, name, value))  # a newer or older format that this one can be read as
        return
    with pytest.raises(InputError, match=r"t\.dtb: "):
        read_tree(lie(blob, name, value), "t.dtb")


def words(blob, at, *values):
    changed = bytearray(blob)
    struct.pack_into(f">{len(values)}I", changed, at, *values)
    return bytes(changed)


def test_a_structure_that_lies(blob):
    start = field(blob, "off_dt_struct")
    end = start + field(blob, "size_dt_struct")
    for changed, message in (
        (words(blob, start, 2), "token 0x2, expected the root node"),
        (words(blob, start, 9), "token 0x9, expected the root node"),
        (words(blob, start, 0), "token 0x0"),
        (words(blob, start + 8, 7), "token 0x7, expected a property, a node or the end of /"),
        (words(blob, start + 12, 0x7FFFFFFF), "runs past the end of the structure block"),
        (words(blob, start + 16, 0x1000), "property name at 0x1000"),
        (words(blob, end - 4, 4), "past the end"),
        (words(blob, end - 8, 4, 4), "past the end"),
        (words(blob, end - 8, 9), "token 0x9"),
        (words(blob, end - 4, 1), "token 0x1, expected the end of the tree"),
        (words(blob, start, 4, 4), "outside any node"),
    ):
        with pytest.raises(InputError) as caught:
            read_tree(changed, "t.dtb")
        assert message in str(caught.value), message


def made(structure, strings=b"x\0"):
    """A blob of a given structure block."""
    body = struct.pack(f">{len(structure)}I", *structure) if isinstance(structure, list) else structure
    header = struct.pack(
        ">10I", 0xD00DFEED, 56 + len(body) + len(strings), 56, 56 + len(body), 40, 17, 16, 0, len(strings), len(body)
    )
    return header + bytes(16) + body + strings


def test_made_structures():
    read_tree(made([4, 1, 0, 4, 2, 4, 9]))
    a = 0x61000000
    for structure, message in (
        ([1, 0, 1, a, 2, 3, 0, 0, 2, 9], "after the subnodes of /"),
        ([1, 0, 1, 0, 2, 2, 9], "cannot be a node's name"),
        ([1, 0, 2, 1, 0, 2, 9], "expected the end of the tree"),
        ([1, 0, *[1, a] * 70, *[2] * 71, 9], "more than 64 deep"),
        ([1, 0x61616161], "node name"),
        ([], "past the end"),
        ([4, 4], "past the end"),
    ):
        with pytest.raises(InputError) as caught:
            read_tree(made(structure))
        assert message in str(caught.value), message


def test_reservations_without_an_end(blob):
    at = field(blob, "off_mem_rsvmap")
    full = bytearray(blob)
    for offset in range(at, len(blob) - 16, 16):
        struct.pack_into(">QQ", full, offset, 1, 1)
    with pytest.raises(InputError, match="reservations run past the end"):
        read_tree(bytes(full))
