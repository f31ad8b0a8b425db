"""What became of a node of /reserved-memory: the memory it got, who is in the way, what is free where it may lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootsim.causes import free_runs, owner
from bootsim.errors import InputError
from bootsim.inputs.tree import cells, number
from bootsim.inputs.treediff import shown_node
from bootsim.owners import meeting
from bootsim.page import PAGE_SIZE, page_align
from bootsim.state.quantities import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.tree import Node, Tree
    from bootsim.linux import Kernel
    from bootsim.owners import Holding

_PARENT = "/reserved-memory"
_STAGE = "arm_memblock_init"  # the nodes have their memory then, and little else has


def region_lines(k: Kernel, tree: Tree, path: str) -> Iterator[str]:
    """Yield what the boot `k` of `tree` made of the node at `path`. Raises InputError when it is no such node."""
    node = tree.paths.get(path)
    if node is None or not path.startswith(f"{_PARENT}/"):
        near = [each for each in tree.paths if each.startswith(f"{_PARENT}/")]
        raise InputError(f"{path}: no node of {_PARENT}; it has {', '.join(near) or 'none'}")
    yield f"{path}: {shown_node(node)}  ({tree.where(path)})"
    found = next((region for region in k.of.reserved_mem if region.name == node.name), None)
    if found is not None and any(_of(path, h) for h in _held(k, found.base, found.size)):
        yield f"  has {_span(found.base, found.base + found.size)}, {size_text(found.size)}"
    else:
        yield "  has no memory"
    for base, size in _asked(k, node):
        others = [f"{owner(k, h.purpose)} at {h.span()}" for h in _held(k, base, size) if not _of(path, h)]
        if others:
            yield f"  in {_span(base, base + size)} lie also {', '.join(dict.fromkeys(others))}"
    for start, end in _ranges(k, node):
        yield from _free(k, start, end)
    named = re.compile(rf"(?<![\w@,+-]){re.escape(node.name)}(?![\w@+-])")  # another's name may hold this one
    for record in k.log.records:
        if (record.level <= 4 or not record.kernel) and "bootsim: " in record.text and named.search(record.text):
            yield f"  {record.text.removeprefix('bootsim: ')}"


def _held(k: Kernel, base: int, size: int) -> list[Holding]:
    return meeting([*k.owners.claims(), *k.owners.withheld()], base, base + size)


def _of(path: str, holding: Holding) -> bool:
    # whether it is the node at `path` that holds it; a root is dtb:PATH:PROPERTY
    return holding.purpose.root.rpartition(":")[0] == f"dtb:{path}"


def _asked(k: Kernel, node: Node) -> list[tuple[int, int]]:
    return _pairs(k, node.get("reg"))


def _pairs(k: Kernel, value: bytes | None) -> list[tuple[int, int]]:
    acells, scells = k.of.dt_root_addr_cells, k.of.dt_root_size_cells
    words, each = cells(value or b""), acells + scells
    return [(number(words[i : i + acells]), number(words[i + acells : i + each]))
            for i in range(0, len(words) - each + 1, each or len(words) + 1)]  # fmt: skip


# Where a node without an address may lie; one that has an address lies there and nowhere else.
def _ranges(k: Kernel, node: Node) -> list[tuple[int, int]]:
    if node.get("size") is None:
        return []
    ranges = [(base, base + size) for base, size in _pairs(k, node.get("alloc-ranges"))]
    return ranges or [(0, 1 << 32)]


def _free(k: Kernel, start: int, end: int) -> Iterator[str]:
    runs = [(page_align(low), high // PAGE_SIZE * PAGE_SIZE)
            for low, high in free_runs(k, start, end, _STAGE)]
    where = f"in {_span(start, end)}" if end - start < 1 << 32 else "in memory"
    largest = max(runs, key=lambda run: run[1] - run[0], default=None)
    if largest is None or largest[0] >= largest[1]:
        yield f"  {where} nothing is free beside it"
        return
    yield f"  {where} the largest free run beside it is {_span(*largest)}, {size_text(largest[1] - largest[0])}"
    held = meeting([*k.owners.reserved(_STAGE), *k.owners.withheld(_STAGE)], start, end)
    beside = [h for h in held if page_align(h.end) == largest[0] or h.base // PAGE_SIZE * PAGE_SIZE == largest[1]]
    if beside:
        yield f"    between {', '.join(f'{owner(k, h.purpose)} at {h.span()}' for h in beside)}"


def _span(start: int, end: int) -> str:
    return f"{start:#010x}-{end - 1:#010x}"
