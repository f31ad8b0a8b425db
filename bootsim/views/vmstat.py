"""/proc/vmstat: the counters of all zones and of the node, one a line.

Source: mm/vmstat.c vmstat_show()
Differs: counters of code that is not replayed read zero (`missing` names them); nr_shadow_call_stack, which no 32-bit
ARM has, is not shown. A state directory holds no counters but those of free pages, and no events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.page import PAGE_SIZE
from bootsim.views.zoneinfo import node_stats, zone_stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_RATIO, _BACKGROUND_RATIO = 20, 10  # vm.dirty_ratio, vm.dirty_background_ratio


def dirty_limits(held: Held, stats: list[dict[str, int]], node: dict[str, int]) -> tuple[int, int]:
    """Return from how many dirty pages on programs are slowed down, and written back behind them.

    Source: mm/page-writeback.c global_dirty_limits(), global_dirtyable_memory(), highmem_dirtyable_memory()
    """
    zones = held.part("zones")
    free = sum(zone["nr_free_pages"] for zone in zones)
    available = free - min(free, held.kernel("totalreserve_pages").mm.pgdat.totalreserve_pages)
    available += node["nr_inactive_file"] + node["nr_active_file"]
    if held.build.config.HIGHMEM:
        above = sum(max(zone["nr_free_pages"] - zone.get("watermark", (0, 0, 0))[2], 0)
                    + pages["nr_zone_inactive_file"] + pages["nr_zone_active_file"]
                    for zone, pages in zip(zones, stats, strict=True)
                    if zone["name"] in ("HighMem", "Movable") and zone["present"])  # fmt: skip
        available -= min(above, available)
    thresh, background = (ratio * PAGE_SIZE // 100 * (available + 1) // PAGE_SIZE
                          for ratio in (_RATIO, _BACKGROUND_RATIO))  # fmt: skip
    return thresh, thresh // 2 if background >= thresh else background


def data(held: Held) -> dict[str, int]:
    """Return the counters by name."""
    zones, node = zone_stats(held), node_stats(held)
    found = {name: sum(zone[name] for zone in zones) for name in zones[0]} | node
    if held.is_live():
        limits = dirty_limits(held, zones, node)
        found["nr_dirty_threshold"], found["nr_dirty_background_threshold"] = limits
        found |= _events(held)
    return found


def _events(held: Held) -> dict[str, int]:
    from bootsim.linux.mm.vmstat import all_vm_events

    return all_vm_events(held.kernel("vmstat"))


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines; the last one is there for programs that look for it."""
    yield from (f"{name} {value}" for name, value in data(held).items())
    yield "nr_unstable 0"


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    if held.is_live():
        from bootsim.linux.mm.vmstat import NOT_COUNTED

        shown = data(held)
        return f"vmstat: not counted, and zero here: {', '.join(name for name in NOT_COUNTED if name in shown)}"
    return "vmstat of a state directory has no event counters, no dirty thresholds, and of pages only the free ones"
