"""/sys/kernel/debug/cma: a directory for each area, shown as `grep -r . cma` shows it.

Source: mm/cma_debug.c cma_debugfs_add_one()
Differs: no area has a page in use: what drivers take from them is not replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_NAME_BYTES = 16


def data(held: Held) -> list[dict[str, Any]]:
    """Return the areas with the values of their files; `bitmap` is a list of 32-bit words."""
    return [_area(area) for area in held.part("areas")]


def _area(area: dict[str, Any]) -> dict[str, Any]:
    bits = -(-area["count"] // (1 << area["order_per_bit"]))
    return {
        "directory": f"cma-{area['name']}"[: _NAME_BYTES - 1],
        "base_pfn": area["base_pfn"],
        "count": area["count"],
        "order_per_bit": area["order_per_bit"],
        "used": 0,
        "maxchunk": bits << area["order_per_bit"],
        "bitmap": [0] * -(-bits // 32),
    }


def lines(held: Held) -> Iterator[str]:
    """Yield `directory/file:content`, a line for each file that can be read."""
    for area in data(held):
        for name, value in area.items():
            if name != "directory":
                shown = " ".join(map(str, value)) if name == "bitmap" else value
                yield escaped(f"{area['directory']}/{name}:{shown}")
