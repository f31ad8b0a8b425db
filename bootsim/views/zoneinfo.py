"""/proc/zoneinfo: the numbers of every zone.

Source: mm/vmstat.c zoneinfo_show_print()
Differs: counters that the replay does not move (page cache, slab, stacks, reclaim) read zero, as they do when the zones
are new; nr_zspages and nr_shadow_call_stack, which a build may add, are not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

NODE_STATS = (
    "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable",
    "nr_slab_reclaimable", "nr_slab_unreclaimable", "nr_isolated_anon", "nr_isolated_file", "workingset_nodes",
    "workingset_refault_anon", "workingset_refault_file", "workingset_activate_anon", "workingset_activate_file",
    "workingset_restore_anon", "workingset_restore_file", "workingset_nodereclaim", "nr_anon_pages", "nr_mapped",
    "nr_file_pages", "nr_dirty", "nr_writeback", "nr_writeback_temp", "nr_shmem", "nr_shmem_hugepages",
    "nr_shmem_pmdmapped", "nr_file_hugepages", "nr_file_pmdmapped", "nr_anon_transparent_hugepages",
    "nr_vmscan_write", "nr_vmscan_immediate_reclaim", "nr_dirtied", "nr_written", "nr_kernel_misc_reclaimable",
    "nr_foll_pin_acquired", "nr_foll_pin_released", "nr_kernel_stack",
)  # fmt: skip
ZONE_STATS = (
    "nr_free_pages", "nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file",
    "nr_zone_unevictable", "nr_zone_write_pending", "nr_mlock", "nr_page_table_pages", "nr_bounce", "nr_free_cma",
)  # fmt: skip
_CMA_TYPE = 4


def nr_free_cma(zone: dict[str, Any]) -> int:
    """Return how many pages of a zone lie free in CMA pageblocks; 0 in a build without CMA."""
    areas = zone["free_area"]
    if len(areas[0]["lists"]) < 6:
        return 0
    return sum(len(area["lists"][_CMA_TYPE]) << order for order, area in enumerate(areas))


def stat_threshold(managed_pages: int, online_cpus: int) -> int:
    """Return how far a processor's counters may run before they are added to the zone's.

    Source: mm/vmstat.c calculate_normal_threshold()
    """
    units_of_128_mib = managed_pages >> (27 - 12)
    return min(2 * online_cpus.bit_length() * (1 + units_of_128_mib.bit_length()), 125)


def data(held: Held) -> list[dict[str, Any]]:
    """Return every zone's numbers; `pagesets` has one entry for each processor that is up."""
    return [_zone(zone, held.smp, held.build.config.SMP) for zone in held.part("zones")]


def _zone(zone: dict[str, Any], online: int, smp: bool) -> dict[str, Any]:
    keys = ("count", "high", "batch")
    wmark_min, low, high = zone.get("watermark", (0, 0, 0))
    threshold = stat_threshold(zone["managed"], online) if smp and any((wmark_min, low, high)) else 0
    return {
        "zone": zone["name"],
        "free": zone["nr_free_pages"],
        "min": wmark_min,
        "low": low,
        "high": high,
        **{key: zone[key] for key in ("spanned", "present", "managed")},
        "protection": zone.get("lowmem_reserve", []),
        "nr_free_cma": nr_free_cma(zone),
        "pagesets": [{key: pcp[key] for key in keys} | ({"stat_threshold": pcp.get("stat_threshold", threshold)}
                                                        if smp else {}) for pcp in zone.get("pcp", [])[:online]],
        "start_pfn": zone["start_pfn"],
    }  # fmt: skip


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines: every zone, populated or not."""
    first = True
    for zone in data(held):
        yield f"Node 0, zone {zone['zone']:>8}"
        if zone["present"] and first:
            first = False
            yield "  per-node stats"
            yield from (f"      {name:<12} 0" for name in NODE_STATS)
        yield f"  pages free     {zone['free']}"
        yield from (f"        {key:<8} {zone[key]}" for key in ("min", "low", "high", "spanned", "present", "managed"))
        yield f"        protection: ({', '.join(map(str, zone['protection']))})"
        if zone["present"]:
            yield from _populated(zone)


def _populated(zone: dict[str, Any]) -> Iterator[str]:
    moved = {"nr_free_pages": zone["free"], "nr_free_cma": zone["nr_free_cma"]}
    yield from (f"      {name:<12} {moved.get(name, 0)}" for name in ZONE_STATS)
    yield "  pagesets"
    for cpu, pcp in enumerate(zone["pagesets"]):
        yield f"    cpu: {cpu}"
        yield f"              count: {pcp['count']}"
        yield f"              high:  {pcp['high']}"
        yield f"              batch: {pcp['batch']}"
        if "stat_threshold" in pcp:
            yield f"  vm stats threshold: {pcp['stat_threshold']}"
    yield "  node_unreclaimable:  0"
    yield f"  start_pfn:           {zone['start_pfn']}"


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    if all("pcp" in zone for zone in held.part("zones")):
        return None
    return f"zoneinfo: {held.stage} of this state directory does not hold the per-cpu lists (\"pagesets\")"
