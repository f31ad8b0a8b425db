"""/proc/swaps: the swap areas, and how much of them is in use.

Source: mm/swapfile.c swap_show()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held


def data(held: Held) -> list[dict[str, Any]]:
    """Return each area's file name, size and use in KiB, and priority."""
    from bootsim.linux.mm.swapfile.on import swap_areas

    areas = swap_areas(held.kernel("swap areas"))
    return [{"filename": si.path, "type": "partition", "size": si.pages << 2, "used": si.inuse_pages << 2,
             "priority": si.prio} for si in areas if si.pages]  # fmt: skip


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines; without areas the heading alone."""
    yield "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"
    for area in data(held):
        name, size, used = area["filename"], area["size"], area["used"]
        gap = " " * max(40 - len(name), 1)
        tabs = ["\t" if kib < 10_000_000 else "" for kib in (size, used)]
        yield f"{name}{gap}partition\t{size}\t{tabs[0]}{used}\t{tabs[1]}{area['priority']}"
