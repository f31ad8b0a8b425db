"""Places in the user's tree and command line, as messages name them; the kernel itself never sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.escape import escaped

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def place_of(k: Kernel, path: str, prop: str | None = None) -> str:
    """Return a node or property of the tree in words: "board.dts:41 /memory@60000000 reg"."""
    named = escaped(path if prop is None else f"{path} {prop}")
    return f"{k.where(path, prop)} {named}" if k.where is not None else named


def memory_place(k: Kernel) -> str:
    """Return what said how much memory there is: mem=, or the nodes that gave banks."""
    if k.usermem:
        return "cmdline: mem="
    return ", ".join(place_of(k, path, prop) for path, prop in k.of.memory_nodes) or "no memory node in the tree"
