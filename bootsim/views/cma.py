"""/sys/kernel/debug/cma: a directory for each area, shown as `grep -r . cma` shows it.

Source: mm/cma_debug.c cma_debugfs_add_one()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_NAME_BYTES = 16


def data(held: Held) -> list[dict[str, Any]]:
    """Return the areas with the values of their files; `bitmap` is a list of 32-bit words.

    Of a state directory, which does not hold the bitmaps, what follows from them is left out.
    """
    taken = [area.bitmap for area in held.kernel("cma").mm.cma_areas] if held.is_live() else []
    return [_area(area, taken[i] if taken else None) for i, area in enumerate(held.part("areas"))]


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    return None if held.is_live() else "cma of a state directory has no used, maxchunk and bitmap"


def _area(area: dict[str, Any], taken: bytearray | None) -> dict[str, Any]:
    # `taken` has a byte for each bit of the bitmap, and is empty before the area is activated
    shift = area["order_per_bit"]
    files = {"directory": f"cma-{area['name']}"[: _NAME_BYTES - 1], "base_pfn": area["base_pfn"],
             "count": area["count"], "order_per_bit": shift}  # fmt: skip
    if taken is None:
        return files
    bits = bytes(taken).ljust(area["count"] >> shift, b"\0")
    longest = max(map(len, bits.split(b"\1")))
    words = [sum(bit << i for i, bit in enumerate(bits[at : at + 32])) for at in range(0, len(bits), 32)]
    return {**files, "used": sum(bits) << shift, "maxchunk": longest << shift, "bitmap": words}


def lines(held: Held) -> Iterator[str]:
    """Yield `directory/file:content`, a line for each file that can be read."""
    for area in data(held):
        for name, value in area.items():
            if name != "directory":
                shown = " ".join(map(str, value)) if name == "bitmap" else value
                yield escaped(f"{area['directory']}/{name}:{shown}")
