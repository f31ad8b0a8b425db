"""A device tree as a value: parsed once, never changed. Whoever wants another tree applies edits and gets a new one.

    tree = load_tree("board.dts")
    tree.paths["/chosen"].get("bootargs")
    other = apply(tree, [delete_node("/reserved-memory")])      # bootsim.inputs.edits

Bootloaders do not make new trees: they return edits, and `serialise` (bootsim.inputs.libfdt) writes one blob with them.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bootsim.escape import escaped
from bootsim.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_U64 = (1 << 64) - 1


class Node(NamedTuple):
    """A node without its place: unit name (the root's is ""), properties and nodes below, each in the tree's order."""

    name: str
    props: tuple[tuple[str, bytes], ...] = ()
    nodes: tuple[Node, ...] = ()

    def get(self, name: str) -> bytes | None:
        """The value of the first property called `name`, or None."""
        for prop, value in self.props:
            if prop == name:
                return value
        return None

    def strings(self, name: str) -> list[str]:
        """The strings of a property; none when there is no such property, or an empty one."""
        text = (self.get(name) or b"").removesuffix(b"\0").decode("latin-1")
        return text.split("\0") if text else []


class Spot(NamedTuple):
    """Where a node lies in the blob: offsets of its first token, behind its last one, and of its properties' tokens."""

    start: int
    end: int
    props: tuple[int, ...]
    nodes: tuple[Spot, ...]


class Memory(NamedTuple):
    """A node that the kernel takes for memory: its path, the property that says so, and (base, bytes) of its banks.

    Banks without size are left out. `base_pa` is where the first bank stands, empty or not; None without any.
    """

    path: str
    prop: str
    banks: tuple[tuple[int, int], ...]
    base_pa: int | None


class Processor(NamedTuple):
    """A cpu node: its path, compatible strings, and reg as a number, which is the affinity in MPIDR."""

    path: str
    compatible: list[str]
    affinity: int


class Tree(Shared):
    """A device tree: `root`, memory `reservations` as (pa, bytes), and the `blob` that holds both.

    `name` is the file's name for messages. `lines` maps (path, property or None) to "file:line"; it is empty for a tree
    that came as a blob. `spot` tells where the root lies in the blob, and `struct_end` where its structure ends.
    """

    def __init__(
        self,
        name: str,
        blob: bytes,
        root: Node,
        reservations: tuple[tuple[int, int], ...],
        spot: Spot,
        struct_end: int,
        lines: Mapping[tuple[str, str | None], str] | None = None,
    ) -> None:
        self.name, self.blob, self.root, self.reservations = name, blob, root, reservations
        self.spot, self.struct_end = spot, struct_end
        self.lines = lines or {}

    def __repr__(self) -> str:
        return f"Tree({self.name!r}, {len(self.blob)} bytes, {len(self.paths)} nodes)"

    def where(self, path: str, prop: str | None = None) -> str:
        """Where a node or property was written, as "file:line"; for a blob, or what no source line made, the file."""
        return self.lines.get((path, prop)) or self.lines.get((path, None)) or self.name

    def place(self, path: str, prop: str | None = None) -> str:
        """A node as a message names it, "board.dts:41 /memory@60000000", at the line of one of its properties."""
        return f"{self.where(path, prop)} {escaped(path)}"

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield (path, node) of every node in the tree's order, parents before children."""
        return walk(self.root)

    @cached_property
    def paths(self) -> Mapping[str, Node]:
        """Every node by its path, in the tree's order; of equal paths the first."""
        found: dict[str, Node] = {}
        for path, node in self.walk():
            found.setdefault(path, node)
        return found

    def lookup(self, path: str) -> str | None:
        """The path of the node that fdt_path_offset() finds at `path`: no unit address fits any. None without one."""
        found, node = "", self.root
        for component in path.split("/"):
            if component:
                below = next((child for child in node.nodes if names(child.name, component)), None)
                if below is None:
                    return None
                found, node = f"{found}/{below.name}", below
        return found or "/"

    @cached_property
    def memory(self) -> tuple[Memory, ...]:
        """The nodes that the kernel takes for memory, read as early_init_dt_scan_memory() reads them."""
        acells, scells = (_root_cells(self.root, name) for name in ("#address-cells", "#size-cells"))
        return tuple(
            _memory(path, node, acells, scells)
            for path, node in self.walk()
            if (node.get("device_type") or b"").partition(b"\0")[0] == b"memory"
        )

    @cached_property
    def banks(self) -> tuple[tuple[int, int], ...]:
        """(base, bytes) of all RAM that the tree tells of."""
        return tuple(bank for memory in self.memory for bank in memory.banks)

    @cached_property
    def processors(self) -> tuple[Processor, ...]:
        """The cpu nodes, in the tree's order."""
        return tuple(
            Processor(path, node.strings("compatible"), int.from_bytes((node.get("reg") or b"")[:8], "big"))
            for path, node in self.walk()
            if node.get("device_type") == b"cpu\0"
        )

    @cached_property
    def compatible(self) -> Mapping[str, list[str]]:
        """The paths of the nodes that have a compatible string, by the string."""
        found: dict[str, list[str]] = {}
        for path, node in self.walk():
            for name in node.strings("compatible"):
                found.setdefault(name, []).append(path)
        return found

    @property
    def board(self) -> list[str]:
        """The root's compatible strings: what the board is, the most specific first."""
        return self.root.strings("compatible")

    @cached_property
    def initrd(self) -> tuple[int, int] | None:
        """The initrd that /chosen tells of, [start, end) (pa); None without a whole one."""
        node = self.paths.get(self.chosen or "")
        ends = [node.get(f"linux,initrd-{end}") for end in ("start", "end")] if node is not None else []
        if not ends or None in ends:
            return None
        start, end = (number(cells(value or b"")) for value in ends)
        return (start, end) if start < end else None

    @cached_property
    def chosen(self) -> str | None:
        """The path of the node that bootloaders take for /chosen."""
        return self.lookup("/chosen")


def walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield (path, node) of `root`, which is a whole tree's, and of all below it, parents before children."""
    todo = [("", root)]
    while todo:
        path, node = todo.pop()
        yield path or "/", node
        todo += [(f"{path}/{below.name}", below) for below in reversed(node.nodes)]


def names(unit_name: str, component: str) -> bool:
    """Whether a component of a path names a node: exactly, or without the unit address that the node has."""
    return unit_name == component or ("@" not in component and unit_name.partition("@")[0] == component)


def cells(value: bytes) -> tuple[int, ...]:
    """The whole 32-bit cells of a property."""
    return struct.unpack_from(f">{len(value) // 4}I", value)


def number(words: tuple[int, ...]) -> int:
    """One number out of cells, the most significant first; only the last 64 bits count."""
    n = 0
    for cell in words:
        n = n << 32 | cell
    return n & _U64


def _root_cells(root: Node, name: str) -> int:
    # As the kernel reads them; without them it assumes one cell
    value = root.get(name)
    return 1 if value is None or len(value) < 4 else int.from_bytes(value[:4], "big")


def _memory(path: str, node: Node, acells: int, scells: int) -> Memory:
    prop = "reg" if node.get("linux,usable-memory") is None else "linux,usable-memory"
    words, each = cells(node.get(prop) or b""), acells + scells
    entries = [
        (number(words[i : i + acells]), number(words[i + acells : i + each]))
        for i in range(0, len(words) - each + 1, each or len(words) + 1)
    ]
    return Memory(path, prop, tuple(bank for bank in entries if bank[1]), entries[0][0] if entries else None)
