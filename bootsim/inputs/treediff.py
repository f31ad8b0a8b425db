"""What a person changed between two device trees, as changes that can each be made alone.

    changes = tree_changes(a, b)
    changed(a, [changes[0], changes[3]])      the tree `a` with two of them made

A change is one decision: a property set, a node added, removed, or moved (another unit address), the number of
processors. What follows by itself is no decision: phandles that were numbered anew are one change, which makes no
difference to memory, and so is the order of nodes.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bootsim.inputs.edits import Edit, apply, differences, node_differences, spare_bytes
from bootsim.inputs.tree import Node, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bootsim.inputs.tree import Tree

_PHANDLES = ("phandle", "linux,phandle")
_ALIKE = 0.5  # of the properties of two nodes, to be one node that moved
_FEW_DEVICES = 8
_CONTAINER = "reserved-memory"
# Where trees speak of memory, processors and the boot; everything else is a device.
_KNOWN = ("memory", _CONTAINER, "chosen", "cpus", "psci", "firmware")
NOT_GIVEN = "not given"
SPARE = "dtb:blob"

Place = tuple[str, str | None]  # path, property or None


class TreeChange(NamedTuple):
    """One change: its name as roots are named, both values in words, and the edits that make it.

    Of a summary, and of what follows by itself, `b` tells all, and `a` is empty.

    `place_a` and `place_b` are where either tree has it, None for a tree that has it not. `parts` are the changes that
    a summary stands for. `container` is (path, nodes in it) of a node that goes with the last of the nodes below it.
    """

    name: str
    a: str
    b: str
    place_a: Place | None
    place_b: Place | None
    edits: tuple[Edit, ...]
    parts: tuple[str, ...] = ()
    container: tuple[str, int] | None = None

    def shown(self) -> str:
        """One line."""
        name = self.name.removeprefix("dtb:")
        return f"{name} {self.a} -> {self.b}" if self.a else f"{name}: {self.b}"


def tree_changes(a: Tree, b: Tree) -> list[TreeChange]:
    """Every change from the tree `a` to the tree `b`, in the order of the edits."""
    return _summed(_Sorter(a, b).changes())


def spare_change(a: Tree, b: Tree) -> TreeChange | None:
    """The change of the free space in the blob, which the kernel reserves too; None when both have as much."""
    one, other = spare_bytes(a), spare_bytes(b)
    if one == other:
        return None
    return TreeChange(SPARE, f"{one} bytes free", f"{other} bytes free", ("/", None), ("/", None), ())


def changed(tree: Tree, changes: Iterable[TreeChange]) -> Tree:
    """The tree with changes made. Raises InputError when a blob cannot hold the result."""
    made = list(changes)
    edits = [edit for change in made for edit in change.edits]
    left = Counter(change.container for change in made if change.container)
    edits += [Edit("delete", path) for (path, nodes), gone in left.items() if gone == nodes]
    return apply(tree, edits)


def shown_property(value: bytes) -> str:
    """A property's value as device tree source writes it: strings, cells or bytes, told by what the bytes are."""
    if not value:
        return "(empty)"
    text = value[:-1].decode("latin-1")
    words = text.split("\0")
    if value[-1:] == b"\0" and all(word and word.isprintable() and word.isascii() for word in words):
        shown = ", ".join(f'"{word}"' for word in words)
    elif len(value) % 4 == 0:
        shown = f"<{' '.join(f'{cell:#x}' for cell in cells(value))}>"
    else:
        shown = f"[{value.hex(' ')}]"
    return shown if len(shown) <= 120 else f"{shown[:110]}... ({len(value)} bytes)"


def shown_node(node: Node) -> str:
    """What a node says of memory, in words; "there" when it says nothing."""
    parts = [f"{prop} {shown_property(value)}" for prop in ("reg", "size", "alignment", "alloc-ranges")
             if (value := node.get(prop)) is not None]  # fmt: skip
    parts += [flag for flag in ("no-map", "reusable") if node.get(flag) is not None]
    return ", ".join(parts) or "there"


# ---------------------------------------------------------------- from edits to decisions


class _Sorter:
    # Takes the edits that make `b` of `a` one by one, and keeps apart what is no decision of its own.
    def __init__(self, a: Tree, b: Tree) -> None:
        self._a, self._b = a, b
        self._edits = differences(a, b)
        self._numbers = _renumbered(a, b)
        self._found: list[TreeChange] = []
        self._phandles: list[Edit] = []
        self._order: list[Edit] = []

    def changes(self) -> list[TreeChange]:
        gone = {edit.path: self._a.paths[edit.path] for edit in self._edits
                if edit.action == "delete" and edit.prop is None}  # fmt: skip
        new = {edit.path: edit for edit in self._edits if edit.action == "add"}
        moved = _moved(gone, new)
        for edit in self._edits:
            if edit.reservation is not None:
                self._reservation(edit)
            elif edit.action == "move":
                self._order.append(edit)
            elif edit.prop is not None:
                self._property(edit, edit.path)
            elif edit.path in moved:
                self._move(edit.path, gone[edit.path], new[moved[edit.path]])
            elif edit.action == "delete":
                self._removed(edit, gone[edit.path])
            elif edit.path not in moved.values():
                self._added(edit)
        self._rest("dtb:phandles", "numbered anew", self._phandles)
        self._rest("dtb:order", "nodes and properties stand in another", self._order)
        return self._found

    def _rest(self, name: str, what: str, edits: list[Edit]) -> None:
        if edits:
            parts = tuple(str(edit) for edit in edits)
            self._found.append(TreeChange(name, "", what, ("/", None), ("/", None), tuple(edits), parts))

    def _reservation(self, edit: Edit) -> None:
        assert edit.reservation is not None
        base, size = edit.reservation
        shown = f"{base:#x}-{base + size - 1:#x}"
        a, b = (NOT_GIVEN, shown) if edit.action == "reserve" else (shown, "removed")
        self._found.append(TreeChange(f"dtb:/memreserve/ {base:#x}", a, b, ("/", None), ("/", None), (edit,)))

    def _property(self, edit: Edit, path_a: str, *, also: tuple[Edit, ...] = ()) -> None:
        prop = edit.prop or ""
        one, other = self._a.paths.get(path_a), self._b.paths.get(edit.path)
        x = None if one is None else one.get(prop)
        y = None if other is None else other.get(prop)
        if self._only_numbered(prop, x, y):
            self._phandles += (edit, *also)
            return
        shown_a, shown_b = (NOT_GIVEN if value is None else shown_property(value) for value in (x, y))
        self._found.append(TreeChange(
            f"dtb:{path_a}:{prop}", shown_a, shown_b, (path_a, prop if x is not None else None),
            (edit.path, prop if y is not None else None), (edit, *also)))  # fmt: skip

    def _only_numbered(self, prop: str, x: bytes | None, y: bytes | None) -> bool:
        if prop in _PHANDLES:
            return True
        if x is None or y is None or len(x) != len(y) or len(x) % 4:
            return False
        return all(one == other or self._numbers.get(one) == other
                   for one, other in zip(cells(x), cells(y), strict=True))  # fmt: skip

    # A node that moved takes what it says along; what else changed in it is made on it wherever it is by then.
    def _move(self, path: str, old: Node, add: Edit) -> None:
        new = add.node
        assert new is not None
        reg = new.get("reg")
        props = tuple((name, reg if name == "reg" and reg is not None else value) for name, value in old.props)
        there = old._replace(name=new.name, props=props)
        edits = (Edit("delete", path), add._replace(node=there))
        self._found.append(TreeChange(f"dtb:{path}", _named(old), _named(new), (path, "reg"), (add.path, "reg"), edits))
        for edit in node_differences(add.path, there, new):
            twin = edit._replace(path=path + edit.path.removeprefix(add.path))
            if edit.action == "move":
                self._order += (edit, twin)
            elif edit.prop is not None:
                self._property(edit, twin.path, also=(twin,))
            elif edit.node is not None:
                self._found.append(_new(edit.path, edit.node, (edit, twin)))
            else:
                self._found.append(_gone(twin.path, self._a.paths[twin.path], (edit, twin)))

    def _removed(self, edit: Edit, node: Node) -> None:
        if node.name == _CONTAINER and node.nodes:
            for child in node.nodes:
                below = f"{edit.path}/{child.name}"
                change = _gone(below, child, (Edit("delete", below),))
                self._found.append(change._replace(container=(edit.path, len(node.nodes))))
            return
        self._found.append(_gone(edit.path, node, (edit,)))

    # A container that came with its nodes is no decision of its own: each of them is, and brings the container.
    def _added(self, edit: Edit) -> None:
        node = edit.node
        assert node is not None
        if node.name == _CONTAINER and node.nodes:
            empty = edit._replace(node=node._replace(nodes=()))
            for n, child in enumerate(node.nodes):
                below = f"{edit.path}/{child.name}"
                after = tuple(sibling.name for sibling in reversed(node.nodes[:n]))
                self._found.append(_new(below, child, (empty, Edit("add", below, node=child, after=after))))
            return
        self._found.append(_new(edit.path, node, (edit,)))


def _new(path: str, node: Node, edits: tuple[Edit, ...]) -> TreeChange:
    return TreeChange(f"dtb:{path}", "not there", shown_node(node), None, (path, None), edits)


def _gone(path: str, node: Node, edits: tuple[Edit, ...]) -> TreeChange:
    return TreeChange(f"dtb:{path}", shown_node(node), "removed", (path, None), None, edits)


def _named(node: Node) -> str:
    reg = node.get("reg")
    return node.name if reg is None else f"{node.name} {shown_property(reg)}"


# Nodes of one base name below one parent that are alike but for their address are one node that moved.
def _moved(gone: Mapping[str, Node], new: Mapping[str, Edit]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path, node in gone.items():
        for there, edit in new.items():
            same_place = path.partition("@")[0] == there.partition("@")[0] and path.count("/") == there.count("/")
            if same_place and there not in found.values() and edit.node is not None and _alike(node, edit.node):
                found[path] = there
                break
    return found


def _alike(x: Node, y: Node) -> bool:
    one, other = ({prop for prop in node.props if prop[0] not in ("reg", *_PHANDLES)} for node in (x, y))
    most = max(len(one), len(other))
    return not most or len(one & other) >= most * _ALIKE


# The phandle that the second tree gives to the node that has one in the first.
def _renumbered(a: Tree, b: Tree) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for path, node in a.paths.items():
        one, twin = node.get("phandle"), b.paths.get(path)
        other = None if twin is None else twin.get("phandle")
        if one is not None and other is not None and one != other:
            found[int.from_bytes(one, "big")] = int.from_bytes(other, "big")
    return found


# ---------------------------------------------------------------- one decision, one change


def _summed(changes: list[TreeChange]) -> list[TreeChange]:
    found = _together(changes, _is_cpu, "dtb:/cpus", counted=True)
    # other cells: no address of the one tree can be read in the other
    if any(change.name.endswith("-cells") and _is_memory(change) for change in found):
        found = _together(found, _is_memory, "dtb:memory", counted=True)
    for prop in dict.fromkeys(_cpu_property(change) for change in changes):
        if prop:
            found = _together(found, partial(_is_of_cpus, prop), f"dtb:/cpus/cpu@*:{prop}")
    if sum(_is_device(change) for change in found) > _FEW_DEVICES:
        found = _together(found, _is_device, "dtb:devices", counted=True)
    return found


def _together(changes: list[TreeChange], belongs: Callable[[TreeChange], object], name: str, *,
              counted: bool = False) -> list[TreeChange]:  # fmt: skip
    group = [change for change in changes if belongs(change)]
    if len(group) < 2:
        return changes
    first = group[0]
    a, b = ("", _counts(group)) if counted else (first.a, first.b)
    ram = next((change for change in group if counted and change.name.startswith("dtb:/memory@")), None)
    if ram is not None:
        b = f"{b}, as {ram.shown()}"
    one = TreeChange(name, a, b, first.place_a, first.place_b, tuple(edit for change in group for edit in change.edits),
                     tuple(change.shown() for change in group))  # fmt: skip
    at = changes.index(first)
    return [*changes[:at], one, *(change for change in changes[at:] if change not in group)]


def _counts(group: list[TreeChange]) -> str:
    gone = sum(change.place_b is None for change in group)
    new = sum(change.place_a is None for change in group)
    counts = ((new, "added"), (gone, "removed"), (len(group) - gone - new, "changed"))
    return ", ".join(f"{n} {word}" for n, word in counts if n)


def _is_cpu(change: TreeChange) -> bool:
    path, _, prop = change.name.removeprefix("dtb:").partition(":")
    return path.startswith("/cpus/") and path.count("/") == 2 and not prop


def _is_memory(change: TreeChange) -> bool:
    path, _, prop = change.name.removeprefix("dtb:").partition(":")
    if path == "/":
        return prop.endswith("-cells")
    return path.startswith(("/memory@", f"/{_CONTAINER}")) or path == "/memory"


def _cpu_property(change: TreeChange) -> str:
    path, _, prop = change.name.removeprefix("dtb:").partition(":")
    return prop if path.startswith("/cpus/cpu@") and prop != "reg" else ""


def _is_of_cpus(prop: str, change: TreeChange) -> bool:
    return _cpu_property(change) == prop


def _is_device(change: TreeChange) -> bool:
    path = change.name.removeprefix("dtb:").partition(":")[0]
    return path.startswith("/") and path != "/" and path.split("/")[1].partition("@")[0].strip() not in _KNOWN
