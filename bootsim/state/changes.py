"""The single changes that a person could make to what a boot is made from: take something away, or split otherwise.

removals(inputs)     each reserved node, memory reservation, no-map, word of the command line and option left out
splits(inputs)       the other splits of the address space
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bootsim.inputs.edits import Edit, apply, set_property
from bootsim.state.decisions import SPLITS, Inputs, option_shown, with_line, with_split
from bootsim.state.words import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.inputs.tree import Node

_RESERVED = "/reserved-memory"
_LEFT_OUT = ("mem", "smp", "dtb_addr", "load_addr", "ram", "initrd")


class Change(NamedTuple):
    """One change: what it is, where it would be made, and the inputs with it."""

    title: str
    where: str
    make: Callable[[], Inputs]


def removals(inputs: Inputs) -> Iterator[Change]:
    """Everything that was asked for and might be left out."""
    tree = inputs.tree
    for path, node in reserved_nodes(inputs):
        yield Change(f"without {path}", tree.where(path), partial(_edited, inputs, Edit("delete", path)))
        if node.get("no-map") is not None:
            yield Change(f"without no-map of {path}", tree.where(path, "no-map"),
                         partial(_edited, inputs, Edit("delete", path, "no-map")))  # fmt: skip
    for base, size in tree.reservations:
        edit = Edit("unreserve", "/", reservation=(base, size))
        yield Change(f"without /memreserve/ {base:#x} {size:#x}", tree.name, partial(_edited, inputs, edit))
    words = words_of(inputs.bootargs)
    for n, word in enumerate(words):
        line = " ".join(other.text for m, other in enumerate(words) if m != n)
        yield Change(f"without {word.text}", inputs.bootargs_place(), partial(with_line, inputs, line))
    for option in _LEFT_OUT:
        value = inputs.options.get(option)
        if value is not None:
            options = {name: each for name, each in inputs.options.items() if name != option}
            yield Change(f"without --{option.replace('_', '-')} {option_shown(option, value)}", "",
                         partial(Inputs, tree, inputs.build, options))  # fmt: skip


def splits(inputs: Inputs) -> Iterator[Change]:
    """The builds with another split."""
    build = inputs.build
    for split, page_offset in SPLITS.items():
        if page_offset != build.config.PAGE_OFFSET:
            yield Change(f"CONFIG_{split}=y (PAGE_OFFSET {page_offset:#x})", f"build {build.name}",
                         partial(_split, inputs, split))  # fmt: skip


def reserved_nodes(inputs: Inputs) -> list[tuple[str, Node]]:
    """The nodes of /reserved-memory, by path."""
    parent = inputs.tree.paths.get(_RESERVED)
    return [] if parent is None else [(f"{_RESERVED}/{node.name}", node) for node in parent.nodes]


def node_size(inputs: Inputs, node: Node) -> tuple[str, int, int] | None:
    """The property that says how large a reserved node is, the size in bytes, and the bytes of the size in it.

    None where the node has several regions, or says it in another way.
    """
    parent = inputs.tree.paths[_RESERVED]
    cells = [int.from_bytes(parent.get(name) or b"\1", "big") for name in ("#address-cells", "#size-cells")]
    for prop, length in (("reg", 4 * sum(cells)), ("size", 4 * cells[1])):
        value = node.get(prop)
        if value is not None and len(value) == length and cells[1]:
            return prop, int.from_bytes(value[-4 * cells[1] :], "big"), 4 * cells[1]
    return None


def with_node_size(inputs: Inputs, path: str, node: Node, size: int) -> Inputs:
    """The inputs with a reserved node of another size (bytes); `node_size` must know its own."""
    found = node_size(inputs, node)
    assert found is not None
    prop, _, length = found
    value = (node.get(prop) or b"")[:-length] + size.to_bytes(length, "big")
    return _edited(inputs, set_property(path, prop, value))


def _edited(inputs: Inputs, edit: Edit) -> Inputs:
    return Inputs(apply(inputs.tree, [edit]), inputs.build, inputs.options)


def _split(inputs: Inputs, split: str) -> Inputs:
    return Inputs(inputs.tree, with_split(inputs.build, split), inputs.options)
