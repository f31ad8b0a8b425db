"""/proc/meminfo: the lines that boot decides, in the file's order and form.

Source: fs/proc/meminfo.c meminfo_proc_show()
Differs: lines of what only a running system moves (page cache, slab, stacks, page tables of processes, Committed_AS,
VmallocUsed) are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END, Layout
from bootsim.views.zoneinfo import nr_free_cma

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from bootsim.linux.mm.swap_state import SwapSpace
    from bootsim.views.held import Held

_OVERCOMMIT_PERCENT = 50


def data(held: Held) -> dict[str, int]:
    """Return the lines' values in KiB, by the file's labels."""
    zones, total = held.part("zones"), held.part("totalram_pages")
    config = held.build.config
    layout = Layout(config, held.high_memory)
    free = sum(zone["nr_free_pages"] for zone in zones)
    pages = {"MemTotal": total, "MemFree": free}
    if held.is_live():
        pages["MemAvailable"] = max(free - held.kernel("totalreserve_pages").mm.pgdat.totalreserve_pages, 0)
    swap = _swapspace(held)
    if swap is not None:
        pages["SwapCached"] = swap.nrpages
    if config.HIGHMEM:
        pages |= _highmem(zones, total, free)
    total_swap = swap.total_swap_pages if swap is not None else 0
    pages |= {"SwapTotal": total_swap, "SwapFree": swap.nr_swap_pages if swap is not None else 0, "NFS_Unstable": 0,
              "CommitLimit": total * _OVERCOMMIT_PERCENT // 100 + total_swap,
              "VmallocTotal": (VMALLOC_END - layout.VMALLOC_START) >> 12, "VmallocChunk": 0}  # fmt: skip
    if held.is_live():
        k = held.kernel("per-cpu memory")
        pages["Percpu"] = (getattr(k.mm, "pcpu_unit_size", 0) >> 12) * (k.num_possible_cpus if config.SMP else 1)
    if config.CMA:
        pages["CmaTotal"] = sum(area["count"] for area in held.part("areas"))
        pages["CmaFree"] = sum(map(nr_free_cma, zones))
    return {label: n << 2 for label, n in pages.items()}


def _swapspace(held: Held) -> SwapSpace | None:
    room = held.kernel("swap").processes if held.is_live() else None
    return None if room is None else room.swapspace


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines."""
    for label, kib in data(held).items():
        yield f"{label + ':':<16}{kib:8d} kB"


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    return None if held.is_live() else "meminfo of a state directory has no MemAvailable and no Percpu"


def _highmem(zones: list[dict[str, Any]], total: int, free: int) -> dict[str, int]:
    # ZONE_MOVABLE counts as high when it was cut from the highest zone with memory, and that is HighMem
    by_name = {zone["name"]: zone for zone in zones}
    high, movable, normal = (by_name.get(name) for name in ("HighMem", "Movable", "Normal"))
    found = [high] if high is not None else []
    low_end = normal["start_pfn"] + normal["spanned"] if normal is not None else 0
    if movable is not None and movable["spanned"] and (any(z["spanned"] for z in found)
                                                       or movable["start_pfn"] >= low_end > 0):  # fmt: skip
        found.append(movable)
    total_high = sum(zone["managed"] for zone in found)
    free_high = sum(zone["nr_free_pages"] for zone in found)
    return {"HighTotal": total_high, "HighFree": free_high, "LowTotal": total - total_high, "LowFree": free - free_high}
