"""Where RAM went, for the page: a bar of all RAM, one of what is not free, and the table below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.state.where import GROUPS, where
from bootsim.views.where import decided_by, groups, notes, share, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bootsim.linux import Kernel

BAR = 1000  # how wide a bar is, in its own units
_COLORS = {"free": "ram", "cma": "cma", "node": "tree", "image": "image", "tables": "tables", "memmap": "memmap",
           "hash": "hash", "percpu": "percpu", "log": "hash", "tree": "tree", "dtb": "tree", "initrd": "tree",
           "gone": "nomap"}  # fmt: skip


def where_data(k: Kernel, printable: Callable[[str], str]) -> dict[str, Any]:
    """Return the table of a boot that has ended, with `printable` texts and the boxes of both bars."""
    table = where(k)
    found = [
        {
            "name": GROUPS[group],
            "color": _COLORS.get(group, "other"),
            "size": size_text(size),
            "share": share(size, table.size),
            "rows": [[printable(row.owner), size_text(row.size), row.since, printable(decided_by(row))]
                     for row in rows],
        }
        for group, size, rows in groups(table)
    ]
    sizes = [(group, size) for group, size, _ in groups(table)]
    return {
        "groups": found,
        "all": _boxes(sizes),
        "held": _boxes((group, size) for group, size in sizes if group != "free"),
        "size": size_text(table.size),
        "notes": list(notes(table)),
    }


def _boxes(sizes: Iterable[tuple[str, int]]) -> list[list[Any]]:
    # [left, width, color, words] of each group, in proportion
    sizes = list(sizes)
    whole = sum(size for _, size in sizes) or 1
    boxes: list[list[Any]] = []
    left = 0.0
    for group, size in sizes:
        width = BAR * size / whole
        words = f"{GROUPS[group]}: {size_text(size)}, {share(size, whole)}"
        boxes.append([round(left, 2), round(width, 2), _COLORS.get(group, "other"), words])
        left += width
    return boxes
