"""Edits as data: what they make of a tree, and that the edits between two trees lead from one to the other."""

import shutil
import struct
import subprocess

import fdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import InputError
from bootsim.inputs.devicetree import bundled_names, load_tree
from bootsim.inputs.dtb import read_tree
from bootsim.inputs.edits import Edit, add_node, apply, delete_node, differences, set_property
from bootsim.inputs.flatten import flatten
from bootsim.inputs.libfdt import EditError, serialise
from bootsim.inputs.tree import Node

NAMES = st.text("abc,", min_size=1, max_size=3)
PROPS = st.dictionaries(NAMES, st.binary(max_size=9), max_size=4).map(lambda props: tuple(props.items()))
NODES = st.recursive(
    st.tuples(NAMES, PROPS, st.just(())).map(Node._make),
    lambda below: st.tuples(NAMES, PROPS, st.lists(below, max_size=4, unique_by=lambda n: n.name).map(tuple)).map(
        Node._make
    ),
    max_leaves=12,
)
RESERVED = st.lists(st.tuples(st.integers(0, 1 << 32), st.integers(1, 1 << 20)), max_size=3, unique=True)
TREES = st.tuples(NODES, RESERVED).map(lambda made: tree_of(made[0]._replace(name=""), made[1]))


def tree_of(root, reservations=()):
    return read_tree(flatten(root, reservations))


def content(tree):
    return tree.root, sorted(tree.reservations)


@pytest.fixture(scope="module")
def vexpress():
    return load_tree("vexpress.dts")


# ---------------------------------------------------------------- the layout


@pytest.mark.parametrize("name", bundled_names())
def test_a_tree_laid_out_again_is_what_source_made(name):
    tree = load_tree(name)
    assert flatten(tree.root, tree.reservations) == tree.blob
    assert fdt.parse_dtb(tree.blob).to_dtb() == tree.blob


@pytest.mark.skipif(not shutil.which("dtc"), reason="dtc, which is compared with, is not installed")
@settings(max_examples=20)
@given(tree=TREES)
def test_dtc_lays_trees_out_so(tree):
    command = ["dtc", "-q", "-f", "-I", "dtb", "-O", "dtb", "-b", "0", "-"]
    assert subprocess.run(command, input=tree.blob, stdout=subprocess.PIPE, check=True).stdout == tree.blob


@given(tree=TREES)
def test_what_is_written_is_read_again(tree):
    again = read_tree(tree.blob)
    assert (again.root, again.reservations) == (tree.root, tree.reservations)


# ---------------------------------------------------------------- apply


def test_an_edit_makes_another_tree_and_leaves_the_first(vexpress):
    before = vexpress.blob
    other = apply(vexpress, [set_property("/chosen", "bootargs", b"quiet\0")])
    assert other.paths["/chosen"].get("bootargs") == b"quiet\0"
    assert vexpress.blob == before
    assert vexpress.paths["/chosen"].get("bootargs") is None


def test_a_node_goes_with_all_that_is_below_it(vexpress):
    other = apply(vexpress, [delete_node("/reserved-memory")])
    assert not any(path.startswith("/reserved-memory") for path in other.paths)


def test_what_is_not_there_or_is_already_so_changes_nothing(vexpress):
    model = vexpress.root.get("model")
    for edit in (delete_node("/no/such"), add_node("/chosen"), set_property("/", "model", model),
                 set_property("/no", "x", b""), Edit("delete", "/", "no"), Edit("move", "/no"),
                 Edit("unreserve", "/", reservation=(1, 2))):  # fmt: skip
        assert apply(vexpress, [edit]) is vexpress, str(edit)


def test_free_space_stays_as_much_as_it_was(vexpress):
    blob = bytearray(vexpress.blob + bytes(1000))
    struct.pack_into(">I", blob, 4, len(blob))
    roomy = read_tree(bytes(blob))
    edit = set_property("/chosen", "bootargs", b"x" * 40)
    assert len(apply(roomy, [edit]).blob) == len(apply(vexpress, [edit]).blob) + 1000


def test_new_things_stand_where_they_are_told_to():
    tree = tree_of(Node("", (), (Node("a"), Node("b"))))
    for after, order in (((), "cab"), (("a",), "acb"), (("gone", "b", "a"), "abc"), (("gone",), "cab")):
        edit = Edit("add", "/c", node=Node("c"), after=after)
        assert "".join(node.name for node in apply(tree, [edit]).root.nodes) == order


def test_a_tree_that_no_blob_can_hold():
    with pytest.raises(InputError, match="cannot be a node's name"):
        apply(tree_of(Node("")), [Edit("add", "/x", node=Node("x", (), (Node("a/b"),)))])
    deep = Node("x")
    for _ in range(64):
        deep = Node("x", (), (deep,))
    with pytest.raises(InputError, match="nested more than 64 deep"):
        apply(tree_of(Node("")), [Edit("add", "/x", node=deep)])


def test_a_tree_is_what_its_blob_holds():
    named = apply(tree_of(Node("")), [Edit("add", "/x", node=Node("x\0y", (("p\0q", b"1"),)))])
    assert named.root.nodes == (Node("x", (("p", b"1"),)),)
    reserve = [Edit("reserve", "/", reservation=pair) for pair in ((1, 0), (2, 3))]
    assert apply(tree_of(Node("")), reserve).reservations == ()


# ---------------------------------------------------------------- differences


@given(a=TREES, b=TREES)
def test_the_edits_between_two_trees_lead_from_one_to_the_other(a, b):
    assert content(apply(a, differences(a, b))) == content(b)


@given(tree=TREES)
def test_no_edits_between_equal_trees(tree):
    assert differences(tree, read_tree(tree.blob)) == []


@given(a=TREES, b=TREES, data=st.data())
def test_any_of_the_edits_can_be_made_alone(a, b, data):
    edits = differences(a, b)
    chosen = data.draw(st.lists(st.sampled_from(edits), unique_by=id)) if edits else []
    made = apply(a, chosen)
    again = read_tree(made.blob)
    assert content(again) == content(made)
    assert (again.spot, again.struct_end) == (made.spot, made.struct_end)
    assert content(apply(made, differences(made, b))) == content(b)


def test_what_is_gone_is_told_in_the_order_in_which_it_stood():
    props = tuple((f"prop{n * 7 % 20}", b"") for n in range(20))
    node = Node("", props, tuple(Node(f"node{n * 7 % 20}") for n in range(20)))
    edits = differences(tree_of(node), tree_of(Node("")))
    gone = [edit.prop or edit.path for edit in edits]
    assert gone == [name for name, _ in props] + [f"/{child.name}" for child in node.nodes]


def test_edits_of_a_source_make_the_blob_of_the_other_source(tmp_path, vexpress):
    source = (vexpress.name, "vexpress-ca15.dts")
    a, b = (load_tree(name) for name in source)
    assert apply(a, differences(a, b)).blob == b.blob
    assert apply(b, differences(b, a)).blob == a.blob


def test_one_decision_is_one_edit(vexpress):
    found = differences(vexpress, apply(vexpress, [delete_node("/reserved-memory")]))
    assert found == [delete_node("/reserved-memory")]
    back = differences(apply(vexpress, [delete_node("/reserved-memory")]), vexpress)
    assert [(edit.action, edit.path) for edit in back] == [("add", "/reserved-memory")]


# ---------------------------------------------------------------- as bootloaders edit


@given(tree=TREES, value=st.binary(max_size=20))
def test_a_bootloaders_edits_change_that_and_nothing_else(tree, value):
    edits = [add_node("/new"), set_property("/new", "x", value), set_property("/new", "y", b"1")]
    known = [child.name for child in tree.root.nodes]
    if known:
        edits += [delete_node(f"/{known[-1]}")]
    after = read_tree(serialise(tree, edits))
    assert after.root.nodes == (Node("new", (("y", b"1"), ("x", value))), *tree.root.nodes[: len(known[:-1])])
    assert after.root.props == tree.root.props
    assert after.reservations == tree.reservations


def test_a_tree_without_edits_is_handed_over_as_it_came(vexpress):
    assert serialise(vexpress) is vexpress.blob


def test_what_libfdt_refuses(vexpress):
    for edits, size, why in (
        ([add_node("/chosen")], None, "FDT_ERR_EXISTS"),
        ([delete_node("/no")], None, "FDT_ERR_NOTFOUND"),
        ([set_property("/chosen", "x", bytes(5000))], len(vexpress.blob) + 4000, "FDT_ERR_NOSPACE"),
        ([], len(vexpress.blob) - 1, "FDT_ERR_NOSPACE"),
    ):
        with pytest.raises(EditError, match=why):
            serialise(vexpress, edits, size)
