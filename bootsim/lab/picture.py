"""A machine as a picture: one square a pageblock, its colour the migrate type, filled as far as its pages are free."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bootsim.linux.include.linux.mm_types import MIGRATETYPE_NAMES
from bootsim.linux.mm.page_alloc import get_pageblock_migratetype

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_COLOURS = ("#c44e52", "#4c72b0", "#dd8452", "#8172b3", "#55a868", "#937860")
_SQUARE, _COLUMNS, _LINE = 12, 64, 18


def free_by_block(k: Kernel) -> dict[int, int]:
    """Return how many free pages each pageblock has, by its first frame; those on per-cpu lists do not count."""
    block = 1 << k.mm.pageblock_order
    free: dict[int, int] = {}
    for zone in k.zones:
        for order, area in enumerate(zone["free_area"]):
            for pfn in (pfn for frames in area["lists"] for pfn in frames):
                for first in range(pfn & -block, pfn + (1 << order), block):
                    free[first] = free.get(first, 0) + min(1 << order, block)
    return free


def memory_map(k: Kernel) -> str:
    """Return an SVG of all zones, for a notebook or a page."""
    block, free = 1 << k.mm.pageblock_order, free_by_block(k)
    parts: list[str] = []
    y = 0
    for zone in (zone for zone in k.zones if zone["present"]):
        y += _LINE
        title = f"{zone['name']}: {zone['nr_free_pages']} of {zone['managed']} pages free"
        parts.append(f'<text x="0" y="{y - 5}">{escape(title)}</text>')
        start, end = zone["start_pfn"], zone["start_pfn"] + zone["spanned"]
        for i, first in enumerate(range(start & -block, end, block)):
            parts.append(_square(k, max(first, start), free.get(first, 0) / block, i, y))
        y += (len(range(start & -block, end, block)) + _COLUMNS - 1) // _COLUMNS * _SQUARE
    for i, name in enumerate(MIGRATETYPE_NAMES):
        parts.append(f'<rect x="{i * 110}" y="{y + 8}" width="10" height="10" fill="{_COLOURS[i]}"/>'
                     f'<text x="{i * 110 + 14}" y="{y + 17}">{name}</text>')
    width, height = _COLUMNS * _SQUARE, y + 24
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="11" '
            f'font-family="sans-serif">{"".join(parts)}</svg>')


def _square(k: Kernel, pfn: int, free: float, i: int, y: int) -> str:
    x, top, size = i % _COLUMNS * _SQUARE, y + i // _COLUMNS * _SQUARE, _SQUARE - 2
    colour = _COLOURS[get_pageblock_migratetype(k, pfn)]
    filled = round(size * min(free, 1.0), 1)
    return (f'<rect x="{x}" y="{top}" width="{size}" height="{size}" fill="#ddd" stroke="{colour}">'
            f"<title>frame {pfn:#x}</title></rect>"
            f'<rect x="{x}" y="{top + size - filled:g}" width="{size}" height="{filled:g}" fill="{colour}"/>')
