"""What a person changed between two trees: each decision once, each can be made alone, all together give the other."""

from __future__ import annotations

import itertools

import pytest

from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.treediff import changed, shown_property, spare_change, tree_changes

SOURCE = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	model = "board";
	compatible = "arm,vexpress";
	chosen { };
	cpus {
		#address-cells = <1>;
		#size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
		cpu@1 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <1>; };
	};
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x40000000>; };
	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		one@70000000 { compatible = "x,one"; reg = <0x70000000 0x100000>; };
		two@71000000 { compatible = "x,two"; reg = <0x71000000 0x100000>; no-map; };
	};
	gic: interrupt-controller@1 { };
	uart: uart@2 { interrupt-parent = <&gic>; };
};
"""


@pytest.fixture
def tree(tmp_path):
    count = itertools.count()

    def made(*replacements, source=SOURCE):
        for old, new in replacements:
            assert old in source
            source = source.replace(old, new)
        path = tmp_path / f"{next(count)}.dts"
        path.write_text(source)
        return load_tree(path)

    return made


HEAD = "\treserved-memory {\n\t\t#address-cells = <1>;\n\t\t#size-cells = <1>;\n\t\tranges;\n"
ONE = "\t\tone@70000000 { compatible = \"x,one\"; reg = <0x70000000 0x100000>; };\n"
TWO = "\t\ttwo@71000000 { compatible = \"x,two\"; reg = <0x71000000 0x100000>; no-map; };\n"


@pytest.mark.parametrize(("replacements", "shown"), [
    ([("0x40000000>; };\n\tres", "0x20000000>; };\n\tres")],
     ["/memory@60000000:reg <0x60000000 0x40000000> -> <0x60000000 0x20000000>"]),
    ([(ONE, "")], ["/reserved-memory/one@70000000 reg <0x70000000 0x100000> -> removed"]),
    ([(ONE, ONE + "\t\tnew@72000000 { reg = <0x72000000 0x1000>; reusable; };\n")],
     ["/reserved-memory/new@72000000 not there -> reg <0x72000000 0x1000>, reusable"]),
    ([("one@70000000", "one@78000000"), ("<0x70000000", "<0x78000000")],
     ["/reserved-memory/one@70000000 one@70000000 <0x70000000 0x100000> -> one@78000000 <0x78000000 0x100000>"]),
    ([("0x70000000 0x100000>;", "0x70000000 0x100000>; no-map;")],
     ["/reserved-memory/one@70000000:no-map not given -> (empty)"]),
    # a node that moved and was given a flag: two decisions
    ([("one@70000000", "one@78000000"), ("<0x70000000 0x100000>;", "<0x78000000 0x100000>; no-map;")],
     ["/reserved-memory/one@70000000 one@70000000 <0x70000000 0x100000> -> one@78000000 <0x78000000 0x100000>",
      "/reserved-memory/one@70000000:no-map not given -> (empty)"]),
    # the processors of a board are one decision
    ([("cortex-a9", "cortex-a15")], ['/cpus/cpu@*:compatible "arm,cortex-a9" -> "arm,cortex-a15"']),
    # nodes that a container came with are one decision each, the container none
    ([(HEAD + ONE + TWO + "\t};\n", "")],
     ["/reserved-memory/one@70000000 reg <0x70000000 0x100000> -> removed",
      "/reserved-memory/two@71000000 reg <0x71000000 0x100000>, no-map -> removed"]),
    # the order of reserved regions
    ([(ONE + TWO, TWO + ONE)], ["order: nodes and properties stand in another"]),
    ([("/dts-v1/;", "/dts-v1/;\n/memreserve/ 0x60000000 0x1000;")],
     ["/memreserve/ 0x60000000 not given -> 0x60000000-0x60000fff"]),
])  # fmt: skip
def test_each_decision_once(tree, replacements, shown):
    a, b = tree(), tree(*replacements)
    changes = tree_changes(a, b)
    assert [change.shown() for change in changes] == shown
    assert changed(a, changes).blob == b.blob
    # and back again
    assert changed(b, tree_changes(b, a)).blob == a.blob


def test_phandles_numbered_anew_are_no_decision(tree):
    # a label that is used takes the first phandle, and all others move on
    a = tree()
    b = tree(("\tchosen { };", "\tfirst: chosen { };\n\talias { x = <&first>; };"))
    names = [change.name for change in tree_changes(a, b)]
    assert names == ["dtb:/alias", "dtb:phandles"]
    assert changed(a, tree_changes(a, b)).root == b.root


def test_other_cells_take_the_memory_along(tree):
    # an address in two cells means nothing in a tree with one
    a = tree()
    b = tree(("model", "x-model"), ("\t#address-cells = <1>;\n\t#size-cells = <1>;\n\tx", "\t#address-cells = <2>;\n"
              "\t#size-cells = <1>;\n\tx"), ("<0x60000000 0x40000000>", "<0 0x60000000 0x40000000>"))  # fmt: skip
    changes = tree_changes(a, b)
    assert [change.name for change in changes if change.parts] == ["dtb:memory"]
    (memory,) = (change for change in changes if change.parts)
    assert memory.a == ""
    assert memory.parts == ("/:#address-cells <0x1> -> <0x2>",
                            "/memory@60000000:reg <0x60000000 0x40000000> -> <0x0 0x60000000 0x40000000>")  # fmt: skip


def test_many_devices_are_one_change(tree):
    more = "".join(f"\tdev@{n} {{ reg = <{n} 1>; }};\n" for n in range(1, 12))
    a, b = tree(), tree(("\tgic:", f"{more}\tgic:"))
    (change,) = tree_changes(a, b)
    assert (change.name, change.b, len(change.parts)) == ("dtb:devices", "11 added", 11)
    assert changed(a, [change]).blob == b.blob


def test_a_part_of_the_changes(tree):
    a, b = tree(), tree((ONE, ""), (TWO, ""), ("cortex-a9", "cortex-a15"))
    changes = {change.name: change for change in tree_changes(a, b)}
    some = changed(a, [changes["dtb:/reserved-memory/one@70000000"]])
    assert "/reserved-memory/one@70000000" not in some.paths
    assert "/reserved-memory/two@71000000" in some.paths
    assert some.paths["/cpus/cpu@1"].get("compatible") == b"arm,cortex-a9\0"


def test_free_space_in_the_blob_is_a_change(tree, tmp_path):
    plain = tree()
    blob = bytearray(plain.blob) + bytes(1000)
    blob[4:8] = len(blob).to_bytes(4, "big")
    path = tmp_path / "padded.dtb"
    path.write_bytes(blob)
    change = spare_change(plain, load_tree(path))
    assert change.shown() == "blob 0 bytes free -> 1000 bytes free"
    assert spare_change(plain, tree((ONE, ""))) is None
    assert tree_changes(plain, load_tree(path)) == []


def test_equal_trees_have_no_changes(tree):
    assert tree_changes(tree(), tree()) == []


def test_properties_as_source_writes_them():
    assert shown_property(b"arm,vexpress\0") == '"arm,vexpress"'
    assert shown_property((1).to_bytes(4, "big") * 2) == "<0x1 0x1>"
    assert shown_property(b"") == "(empty)"
    assert shown_property(b"\1\2") == "[01 02]"
