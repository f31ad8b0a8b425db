"""/proc/vmstat: the counters of all zones and of the node, one a line.

Source: mm/vmstat.c vmstat_show()
Differs: counters of what only a running system moves (page cache, slab, stacks, reclaim) read zero, and so do events of
code that is not replayed (`missing` names them); nr_zspages and nr_shadow_call_stack, which a build may add, are not
shown. A state directory holds no events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.page import PAGE_SIZE
from bootsim.views.zoneinfo import NODE_STATS, ZONE_STATS, nr_free_cma

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_RATIO, _BACKGROUND_RATIO = 20, 10  # vm.dirty_ratio, vm.dirty_background_ratio


def dirty_limits(held: Held) -> tuple[int, int]:
    """Return from how many dirty pages on programs are slowed down, and written back behind them.

    Source: mm/page-writeback.c global_dirty_limits(), global_dirtyable_memory(), highmem_dirtyable_memory()
    """
    zones = held.part("zones")
    free = sum(zone["nr_free_pages"] for zone in zones)
    available = free - min(free, held.kernel("totalreserve_pages").mm.pgdat.totalreserve_pages)
    if held.build.config.HIGHMEM:
        high = [zone for zone in zones if zone["name"] in ("HighMem", "Movable") and zone["present"]]
        above = sum(max(zone["nr_free_pages"] - zone.get("watermark", (0, 0, 0))[2], 0) for zone in high)
        available -= min(above, available)
    thresh, background = (ratio * PAGE_SIZE // 100 * (available + 1) // PAGE_SIZE
                          for ratio in (_RATIO, _BACKGROUND_RATIO))  # fmt: skip
    return thresh, thresh // 2 if background >= thresh else background


def data(held: Held) -> dict[str, int]:
    """Return the counters by name."""
    zones = held.part("zones")
    found = dict.fromkeys((*ZONE_STATS, *NODE_STATS), 0)
    found["nr_free_pages"] = sum(zone["nr_free_pages"] for zone in zones)
    found["nr_free_cma"] = sum(map(nr_free_cma, zones))
    if held.is_live():
        found["nr_dirty_threshold"], found["nr_dirty_background_threshold"] = dirty_limits(held)
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

        events = _events(held)
        names = ", ".join(name for name in NOT_COUNTED if name in events)
        told = f"; events that are not counted, and read zero, too: {names}" if names else ""
        return f"vmstat: what only a running system moves reads zero{told}"
    return "vmstat of a state directory has no event counters and no dirty thresholds"
