"""Changes of a device tree as data: what a bootloader, a person or a comparison would have different.

    set      a property's value; a property that is not there is added
    add      a node, with all that is below it
    delete   a property, or a node with all that is below it
    move     a property or node to another place among its siblings
    reserve, unreserve   a memory reservation of the blob

`apply` makes the tree that has them, `differences` finds them between two trees. Each can be applied alone, in any
order, and to a tree that it was not made for.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from bootsim.inputs.dtb import MAX_BYTES, read_header, read_tree
from bootsim.inputs.flatten import flatten, laid_out
from bootsim.inputs.tree import Node, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Action = Literal["set", "add", "delete", "move", "reserve", "unreserve"]


class Edit(NamedTuple):
    """One change. `prop` is None where the node at `path` itself is meant.

    `after` names siblings, the nearest first: what is new or moves stands behind the first of them that is there, and
    first of all without any, which is where libfdt puts what is new. `reservation` is (pa, bytes).
    """

    action: Action
    path: str
    prop: str | None = None
    value: bytes = b""
    node: Node | None = None
    after: tuple[str, ...] = ()
    reservation: tuple[int, int] | None = None

    def __str__(self) -> str:
        if self.reservation is not None:
            base, size = self.reservation
            return f"{self.action} {base:#x}-{base + size:#x}"
        return f"{self.action} {self.path}" + ("" if self.prop is None else f" {self.prop}")


def set_property(path: str, prop: str, value: bytes) -> Edit:
    """The edit that gives a property of the node at `path` a value."""
    return Edit("set", path, prop, value)


def add_node(path: str) -> Edit:
    """The edit that puts an empty node at `path`, first among its siblings."""
    return Edit("add", path, node=Node(path.rpartition("/")[2]))


def delete_node(path: str) -> Edit:
    """The edit that takes the node at `path` out, with all below it."""
    return Edit("delete", path)


def apply(tree: Tree, edits: Iterable[Edit]) -> Tree:
    """The tree with the edits made in it one after the other, as if its source had been written so.

    Its blob is what dtc would write, with the free space and the boot processor that the old one has. An edit of what
    is not there, or of what is as it says, changes nothing. Raises InputError when a blob cannot hold the result.
    """
    root, reservations = tree.root, tree.reservations
    for edit in edits:
        if edit.reservation is not None:
            reservations = _with_reservation(reservations, edit)
        elif edit.prop is None:
            root = _changed(root, edit.path.rpartition("/")[0], partial(_with_node, edit))
        else:
            root = _changed(root, edit.path, partial(_with_property, edit))
    if root == tree.root and reservations == tree.reservations:
        return tree
    return _written(tree, root, reservations, spare_bytes(tree))


def with_spare(tree: Tree, spare: int) -> Tree:
    """The tree in a blob with that many bytes more than its content needs."""
    return _written(tree, tree.root, tree.reservations, spare)


def _written(tree: Tree, root: Node, reservations: tuple[tuple[int, int], ...], spare: int) -> Tree:
    header = read_header(tree.blob, tree.name)
    content, spot = laid_out(root, reservations, header.boot_cpuid_phys)
    total = len(content) + spare
    blob = b"".join((content[:4], total.to_bytes(4, "big"), content[8:], bytes(spare)))
    if spot is None or total > MAX_BYTES:
        return read_tree(blob, tree.name, tree.lines)
    return Tree(tree.name, blob, root, reservations, spot, spot.end + 4, tree.lines)  # END is the last token


@lru_cache(maxsize=4)
def spare_bytes(tree: Tree) -> int:
    """What the blob takes beyond what its content needs: free space, NOP tokens, names that nobody uses."""
    return max(0, read_header(tree.blob, tree.name).totalsize - len(flatten(tree.root, tree.reservations)))


def _changed(node: Node, path: str, change: Callable[[Node], Node]) -> Node:
    # `node` with `change` made in the node at `path` below it; itself when there is none
    name, _, rest = path.strip("/").partition("/")
    if not name:
        return change(node)
    for i, child in enumerate(node.nodes):
        if child.name == name:
            changed = _changed(child, rest, change)
            return node if changed is child else node._replace(nodes=(*node.nodes[:i], changed, *node.nodes[i + 1 :]))
    return node


def _with_node(edit: Edit, parent: Node) -> Node:
    name = edit.path.rpartition("/")[2]
    nodes = list(parent.nodes)
    at = next((i for i, child in enumerate(nodes) if child.name == name), None)
    if (at is None) != (edit.action == "add"):
        return parent
    node = edit.node if at is None else nodes.pop(at)
    if node is not None and edit.action != "delete":
        nodes.insert(_place([child.name for child in nodes], edit.after), node)
    return parent._replace(nodes=tuple(nodes))


def _with_property(edit: Edit, node: Node) -> Node:
    props = list(node.props)
    at = next((i for i, (prop, _) in enumerate(props) if prop == edit.prop), None)
    if edit.action == "set" and at is not None:
        props[at] = (props[at][0], edit.value)
    elif edit.action == "set" or at is not None:
        prop = (edit.prop or "", edit.value) if at is None else props.pop(at)
        if edit.action != "delete":
            props.insert(_place([name for name, _ in props], edit.after), prop)
    return node._replace(props=tuple(props))


def _place(siblings: list[str], after: tuple[str, ...]) -> int:
    return next((siblings.index(name) + 1 for name in after if name in siblings), 0)


def _with_reservation(reservations: tuple[tuple[int, int], ...], edit: Edit) -> tuple[tuple[int, int], ...]:
    entry = edit.reservation
    if entry is None or (edit.action == "reserve") == (entry in reservations):
        return reservations
    if edit.action == "reserve":
        return (*reservations, entry)
    return tuple(each for each in reservations if each != entry)


# -------------------------------------------------------------------- two trees


def differences(a: Tree, b: Tree) -> list[Edit]:
    """The edits that make `b` of `a`: a node that is new or gone is one of them, and so is each property.

    Applied in this order they give the nodes, properties and reservations of `b` in its order.
    """
    gone = [Edit("unreserve", "/", reservation=entry) for entry in a.reservations if entry not in b.reservations]
    new = [Edit("reserve", "/", reservation=entry) for entry in b.reservations if entry not in a.reservations]
    return [*gone, *new, *node_differences("", a.root, b.root)]


def node_differences(path: str, a: Node, b: Node) -> Iterator[Edit]:
    """The edits that make the node `b` of `a`, which stands at `path` ("" for the root)."""
    if a == b:
        return
    here = path or "/"
    old, new = dict(a.props), dict(b.props)
    for name in old:
        if name not in new:
            yield Edit("delete", here, name)
    for name, after in _misplaced([*old], [*new]):
        yield Edit("move" if name in old else "set", here, name, b"" if name in old else new[name], after=after)
    for name, value in new.items():
        if name in old and old[name] != value:
            yield Edit("set", here, name, value)
    below, beside = ({child.name: child for child in node.nodes} for node in (a, b))
    for name in below:
        if name not in beside:
            yield Edit("delete", f"{path}/{name}")
    for name, after in _misplaced([*below], [*beside]):
        if name in below:
            yield Edit("move", f"{path}/{name}", after=after)
        else:
            yield Edit("add", f"{path}/{name}", node=beside[name], after=after)
    for name, child in beside.items():
        if name in below:
            yield from node_differences(f"{path}/{name}", below[name], child)


def _misplaced(old: list[str], new: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    # The names of `new`, in its order, that `old` has not or has elsewhere, each with those that it stands behind: the
    # last is one that stays where it is.
    index = {name: i for i, name in enumerate(old)}
    staying = _longest_rise([(index[name], name) for name in new if name in index])
    behind: list[str] = []
    for name in new:
        if name in staying:
            behind = [name]
        else:
            yield name, tuple(reversed(behind))
            behind.append(name)


def _longest_rise(items: list[tuple[int, str]]) -> set[str]:
    # the names of a longest subsequence whose numbers rise
    ends: list[int] = []  # the smallest last number of a rise of each length
    last: list[int] = []  # and the item it belongs to
    before: list[int] = []
    for i, (n, _) in enumerate(items):
        length = bisect_left(ends, n)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [n]
        last[length : length + 1] = [i]
    found: set[str] = set()
    i = last[-1] if last else -1
    while i >= 0:
        found.add(items[i][1])
        i = before[i]
    return found
