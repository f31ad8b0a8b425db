"""/sys/kernel/debug/extfrag: how much of free memory is of no use to a block of each order, and why one would fail.

Source: mm/vmstat.c unusable_show_print(), extfrag_show_print()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.views.held import NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held


class ContigPageInfo(NamedTuple):
    """struct contig_page_info: free pages and blocks of a zone, and how many blocks of one order they can make."""

    free_pages: int
    free_blocks_total: int
    free_blocks_suitable: int


def fill_contig_page_info(zone: dict[str, Any], suitable_order: int) -> ContigPageInfo:
    """Return a zone's free memory as a request for a block of 2**suitable_order pages sees it.

    Source: mm/vmstat.c fill_contig_page_info()
    """
    blocks = [area["nr_free"] for area in zone["free_area"]]
    suitable = sum(n << (order - suitable_order) for order, n in enumerate(blocks) if order >= suitable_order)
    return ContigPageInfo(sum(n << order for order, n in enumerate(blocks)), sum(blocks), suitable)


def unusable_free_index(order: int, info: ContigPageInfo) -> int:
    """Return how many of a thousand free pages lie in blocks smaller than 2**order pages.

    Source: mm/vmstat.c unusable_free_index()
    """
    if not info.free_pages:
        return 1000
    return (info.free_pages - (info.free_blocks_suitable << order)) * 1000 // info.free_pages


def fragmentation_index(order: int, info: ContigPageInfo) -> int:
    """Return, in thousandths, whether a block would fail for lack of memory (0) or by fragmentation (1000).

    One that would not fail has -1000.

    Source: mm/vmstat.c __fragmentation_index()
    """
    if not info.free_blocks_total:
        return 0
    if info.free_blocks_suitable:
        return -1000
    return 1000 - (1000 + (info.free_pages * 1000 >> order)) // info.free_blocks_total


_INDICES = {"unusable_index": unusable_free_index, "extfrag_index": fragmentation_index}


def data(held: Held, name: str) -> list[dict[str, Any]]:
    """Return each populated zone with the index of every order, in thousandths. Raises NotHeld without the file."""
    if not held.build.config.COMPACTION:
        raise NotHeld(f"the build lacks CONFIG_COMPACTION, and with it extfrag/{name}")
    index = _INDICES[name]
    return [
        {"node": 0, "zone": zone["name"],
         name: [index(order, fill_contig_page_info(zone, order)) for order in range(len(zone["free_area"]))]}
        for zone in held.part("zones")
        if zone["present"]
    ]  # fmt: skip


def lines(held: Held, name: str) -> Iterator[str]:
    """Yield the file's lines."""
    for zone in data(held, name):
        yield f"Node 0, zone {zone['zone']:>8} " + "".join(map(_shown, zone[name]))


def _shown(index: int) -> str:
    # "%d.%03d " of index / 1000 and index % 1000, which C rounds towards zero
    whole = int(index / 1000)
    return f"{whole}.{index - whole * 1000:03d} "
