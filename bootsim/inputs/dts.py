"""Device tree source to blob: pcpp preprocesses, dtlib parses, fdt flattens. The blob is, byte for byte, dtc's.

The kernel reserves the blob by its size and numbers nodes by their order, so order, phandles and the sharing of strings
must be dtc's. This module is for source only: a tree that comes as a blob needs none of the libraries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bootsim.inputs.dtsnames import Reach, SourceNames
from bootsim.inputs.dtsparse import SourceTree, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Whether there is anything to do for the preprocessor: importing and running it takes longer than parsing.
_NEEDS_CPP = re.compile(
    r"^[ \t]*#[ \t]*(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|pragma|line|error|warning|import|\d|$)"
    r"|\\[ \t]*$|\b__(?:FILE|LINE|DATE|TIME|COUNTER|DTS)__",
    re.MULTILINE,
)


def compile_source(
    text: str, filename: str, include_dirs: Sequence[str] = (), *, called: str | None = None,
    allow_outside: bool = False
) -> tuple[bytes, Mapping[tuple[str, str | None], str]]:
    """Compile source text; `filename` is where it came from, for includes beside it and for messages,
    unless it is `called` otherwise there. `allow_outside` lets it take in files from anywhere (see Reach).

    Returns the blob, and "file:line" of every (path, property or None). Raises InputError with file and line of the
    source as it was written.
    """
    names, reach = SourceNames(filename, called), Reach(filename, include_dirs, outside=allow_outside)
    if _NEEDS_CPP.search(text):
        from bootsim.inputs.dtscpp import preprocess

        text = preprocess(text, filename, reach, names)
    tree = parse(text, filename, reach, names)
    return _flatten(tree), tree.lines


def _flatten(tree: SourceTree) -> bytes:
    import fdt

    flat = fdt.FDT(fdt.Header())
    flat.header.version, flat.header.last_comp_version, flat.header.boot_cpuid_phys = 17, 16, 0
    flat.entries = [{"address": base, "size": size} for _, base, size in tree.memreserves]
    _fill(flat.root, tree.root)
    blob: bytes = flat.to_dtb()
    return blob


def _fill(flat: Any, node: Any) -> None:
    # The lists are filled directly: append() looks for equal names each time, and dtlib has none
    from fdt import Node, PropBytes

    for prop in node.props.values():
        flat.props.append(PropBytes(prop.name, data=prop.value))
    for child in node.nodes.values():
        below = Node(child.name)
        flat.nodes.append(below)
        _fill(below, child)
