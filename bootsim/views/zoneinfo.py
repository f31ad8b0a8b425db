"""/proc/zoneinfo: the numbers of every zone.

Source: mm/vmstat.c zoneinfo_show_print()
Differs: nr_shadow_call_stack, which no 32-bit ARM has, is not shown. A state directory holds no counters but those of
free pages; they read zero then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.mm.vmstat import (
    calculate_normal_threshold,
    node_page_state,
    node_stat_names,
    node_unreclaimable,
    zone_page_state,
    zone_stat_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_CMA_TYPE = 4


def nr_free_cma(zone: dict[str, Any]) -> int:
    """Return how many pages of a zone lie free in CMA pageblocks; 0 in a build without CMA."""
    areas = zone["free_area"]
    if len(areas[0]["lists"]) < 6:
        return 0
    return sum(len(area["lists"][_CMA_TYPE]) << order for order, area in enumerate(areas))


def node_stats(held: Held) -> dict[str, int]:
    """Return the node's counters by name; zeros of a state directory."""
    return node_page_state(held.kernel("counters")) if held.is_live() else dict.fromkeys(node_stat_names(), 0)


def zone_stats(held: Held) -> list[dict[str, int]]:
    """Return each zone's counters by name; of a state directory, those of free pages."""
    zones = held.part("zones")
    if held.is_live():
        return zone_page_state(held.kernel("counters"))
    zero = dict.fromkeys(zone_stat_names(held.build.config), 0)
    return [zero | {"nr_free_pages": zone["nr_free_pages"], "nr_free_cma": nr_free_cma(zone)} for zone in zones]


def data(held: Held) -> list[dict[str, Any]]:
    """Return every zone's numbers; `pagesets` has one entry for each processor that is up.

    The first with memory has the node's counters, too.
    """
    zones = held.part("zones")
    found = [_zone(zone, stats, held.smp, held.build.config.SMP)
             for zone, stats in zip(zones, zone_stats(held), strict=True)]  # fmt: skip
    populated = [zone for zone in found if zone["present"]]
    for zone in populated:
        zone["node_unreclaimable"] = held.is_live() and node_unreclaimable(held.kernel("kswapd"))
    if populated:
        populated[0]["node_stats"] = node_stats(held)
    return found


def _zone(zone: dict[str, Any], stats: dict[str, int], online: int, smp: bool) -> dict[str, Any]:
    keys = ("count", "high", "batch")
    # min_wmark_pages() and the others, with the boost
    wmark_min, low, high = (mark + zone.get("watermark_boost", 0) for mark in zone.get("watermark", (0, 0, 0)))
    threshold = calculate_normal_threshold(zone["managed"], online) if smp and any((wmark_min, low, high)) else 0
    return {
        "zone": zone["name"],
        "free": zone["nr_free_pages"],
        "min": wmark_min,
        "low": low,
        "high": high,
        **{key: zone[key] for key in ("spanned", "present", "managed")},
        "protection": zone.get("lowmem_reserve", []),
        "stats": stats,
        "pagesets": [{key: pcp[key] for key in keys} | ({"stat_threshold": pcp.get("stat_threshold", threshold)}
                                                        if smp else {}) for pcp in zone.get("pcp", [])[:online]],
        "start_pfn": zone["start_pfn"],
    }  # fmt: skip


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines: every zone, populated or not."""
    for zone in data(held):
        yield f"Node 0, zone {zone['zone']:>8}"
        if "node_stats" in zone:
            yield "  per-node stats"
            yield from (f"      {name:<12} {value}" for name, value in zone["node_stats"].items())
        yield f"  pages free     {zone['free']}"
        yield from (f"        {key:<8} {zone[key]}" for key in ("min", "low", "high", "spanned", "present", "managed"))
        yield f"        protection: ({', '.join(map(str, zone['protection']))})"
        if zone["present"]:
            yield from _populated(zone)


def _populated(zone: dict[str, Any]) -> Iterator[str]:
    yield from (f"      {name:<12} {value}" for name, value in zone["stats"].items())
    yield "  pagesets"
    for cpu, pcp in enumerate(zone["pagesets"]):
        yield f"    cpu: {cpu}"
        yield f"              count: {pcp['count']}"
        yield f"              high:  {pcp['high']}"
        yield f"              batch: {pcp['batch']}"
        if "stat_threshold" in pcp:
            yield f"  vm stats threshold: {pcp['stat_threshold']}"
    yield f"  node_unreclaimable:  {int(zone['node_unreclaimable'])}"
    yield f"  start_pfn:           {zone['start_pfn']}"


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    if held.is_live():
        return None
    lists = "" if all("pcp" in zone for zone in held.part("zones")) else ", and not the per-cpu lists (\"pagesets\")"
    return f"zoneinfo: {held.stage} of this state directory holds no counters but those of free pages{lists}"
