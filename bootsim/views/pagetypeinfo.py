"""/proc/pagetypeinfo: free blocks, and pageblocks, by migrate type.

Source: mm/vmstat.c pagetypeinfo_show()
Differs: "Number of mixed blocks", which CONFIG_PAGE_OWNER with page_owner=on adds, is not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.include.linux.mm_types import MIGRATETYPE_NAMES, migratetype_names
from bootsim.views.held import NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel
    from bootsim.views.held import Held

_MANY = 100000  # where the kernel stops counting a list


def free_counts(zone: dict[str, Any]) -> dict[str, list[int]]:
    """Return how many free blocks a zone has, by migrate type and order."""
    areas = zone["free_area"]
    names = migratetype_names(len(areas[0]["lists"]))
    return {name: [len(area["lists"][i]) for area in areas] for i, name in enumerate(names)}


def block_counts(k: Kernel, zone: dict[str, Any]) -> dict[str, int]:
    """Return how many pageblocks of each migrate type begin in a zone.

    Source: mm/vmstat.c pagetypeinfo_showblockcount_print()
    """
    from bootsim.linux.mm.page_alloc import get_pageblock_migratetype, page_zone_name

    names = migratetype_names(len(zone["free_area"][0]["lists"]))
    counts = dict.fromkeys(names, 0)
    valid = k.mm.pgdat.valid_pfns
    start = zone["start_pfn"]
    for pfn in range(start, start + zone["spanned"], 1 << k.mm.pageblock_order):
        if any(first <= pfn < end for first, end in valid) and page_zone_name(k, pfn) == zone["name"]:
            counts[MIGRATETYPE_NAMES[get_pageblock_migratetype(k, pfn)]] += 1
    return counts


def data(held: Held) -> dict[str, Any]:
    """Return the order of a pageblock and, for each populated zone, free blocks and pageblocks by type.

    `blocks` is None where the state does not hold pageblocks.
    """
    zones = [zone for zone in held.part("zones") if zone["present"]]
    k = held.kernel("pageblocks") if held.is_live() else None
    order = len(held.part("zones")[0]["free_area"]) - 1 if k is None else k.mm.pageblock_order
    return {
        "pageblock_order": order,
        "zones": [
            {"zone": zone["name"], "free": free_counts(zone), "blocks": None if k is None else block_counts(k, zone)}
            for zone in zones
        ],
    }


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines; without its second table where pageblocks are not held."""
    held.part("zones")
    shown = data(held)
    orders = range(len(held.part("zones")[0]["free_area"]))
    yield f"Page block order: {shown['pageblock_order']}"
    yield f"Pages per block:  {1 << shown['pageblock_order']}"
    yield ""
    yield f"{'Free pages count per migrate type at order':<43} " + "".join(f"{order:6d} " for order in orders)
    for zone in shown["zones"]:
        for name, counts in zone["free"].items():
            yield f"Node    0, zone {zone['zone']:>8}, type {name:>12} " + "".join(map(_counted, counts))
    if held.is_live():
        yield from _block_lines(shown["zones"], migratetype_names(len(held.part("zones")[0]["free_area"][0]["lists"])))


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    try:
        held.kernel("the migrate type of each pageblock (\"Number of blocks type\")")
    except NotHeld as error:
        return str(error)
    return None


def _block_lines(zones: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    yield ""
    yield f"{'Number of blocks type ':<23}" + "".join(f"{name:>12} " for name in names)
    for zone in zones:
        yield f"Node 0, zone {zone['zone']:>8} " + "".join(f"{n:12d} " for n in zone["blocks"].values())


def _counted(n: int) -> str:
    return f">{_MANY:6d} " if n >= _MANY else f"{n:6d} "
