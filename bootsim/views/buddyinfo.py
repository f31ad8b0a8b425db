"""/proc/buddyinfo: how many free blocks of each order a zone has.

Source: mm/vmstat.c frag_show_print()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held


def data(held: Held) -> list[dict[str, Any]]:
    """Return each populated zone with its number of free blocks by order."""
    return [
        {"node": 0, "zone": zone["name"], "nr_free": [area["nr_free"] for area in zone["free_area"]]}
        for zone in held.part("zones")
        if zone["present"]
    ]


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines."""
    for zone in data(held):
        yield f"Node 0, zone {zone['zone']:>8} " + "".join(f"{n:6d} " for n in zone["nr_free"])


def heading(held: Held) -> str:
    """Return what a terminal shows above the columns: the size of a block of each order."""
    orders = len(held.part("zones")[0]["free_area"])
    sizes = (4 << order for order in range(orders))
    return " " * 22 + "".join(f"{f'{kib}K' if kib < 1024 else f'{kib >> 10}M':>6} " for kib in sizes)
