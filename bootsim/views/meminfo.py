"""/proc/meminfo: where all memory is, in the file's order and form.

Source: fs/proc/meminfo.c meminfo_proc_show()
Differs: kernel stacks, which nothing is taken for, and buffers of block devices, which are not there, read zero. Of a
state directory, the lines that boot decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END, Layout
from bootsim.views.zoneinfo import nr_free_cma

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from bootsim.linux import Kernel
    from bootsim.linux.mm.swap_state import SwapSpace
    from bootsim.views.held import Held

_OVERCOMMIT_PERCENT = 50


def data(held: Held) -> dict[str, int]:
    """Return the lines' values in KiB, by the file's labels."""
    zones, total = held.part("zones"), held.part("totalram_pages")
    k = held.kernel("counters") if held.is_live() else None
    layout = Layout(held.build.config, held.high_memory)
    free = sum(zone["nr_free_pages"] for zone in zones)
    before, behind = ({}, {}) if k is None else _counters(k)
    swap = None if k is None or k.processes is None else k.processes.swapspace
    pages = {"MemTotal": total, "MemFree": free} | before
    if held.build.config.HIGHMEM:
        pages |= _highmem(zones, total, free)
    pages |= {"SwapTotal": 0, "SwapFree": 0} if swap is None else {
        "SwapTotal": swap.total_swap_pages, "SwapFree": swap.nr_swap_pages}  # fmt: skip
    pages |= behind
    pages["CommitLimit"] = total * _OVERCOMMIT_PERCENT // 100
    if k is not None:
        pages |= _promised(k)
    pages["VmallocTotal"] = (VMALLOC_END - layout.VMALLOC_START) >> 12
    if k is not None:
        pages["VmallocUsed"] = k.mm.vmap.nr_vmalloc_pages if k.mm.vmap is not None else 0
    pages["VmallocChunk"] = 0
    if k is not None:
        pcpu = getattr(k.mm, "pcpu", None)  # a stage may come before it
        units = k.num_possible_cpus if held.build.config.SMP else 1
        pages["Percpu"] = pcpu.nr_populated * units if pcpu is not None else 0
    if held.build.config.CMA:
        pages["CmaTotal"] = sum(area["count"] for area in held.part("areas"))
        pages["CmaFree"] = sum(map(nr_free_cma, zones))
    return {label: n << 2 for label, n in pages.items()}


def _counters(k: Kernel) -> tuple[dict[str, int], dict[str, int]]:
    """The lines of counters behind MemFree, and those behind SwapFree, in pages."""
    from bootsim.linux.mm.vmstat import node_page_state, si_mem_available, zone_page_state  # not for a directory

    zones, node = zone_page_state(k), node_page_state(k)
    swap: SwapSpace | None = None if k.processes is None else k.processes.swapspace
    cached = swap.nrpages if swap is not None else 0
    lru = {name: node[f"nr_{name}"] for name in ("active_anon", "inactive_anon", "active_file", "inactive_file")}
    slab = node["nr_slab_reclaimable"], node["nr_slab_unreclaimable"]
    before = {
        "MemAvailable": si_mem_available(k, zones, node), "Buffers": 0,
        "Cached": max(node["nr_file_pages"] - cached, 0), "SwapCached": cached,
        "Active": lru["active_anon"] + lru["active_file"], "Inactive": lru["inactive_anon"] + lru["inactive_file"],
        "Active(anon)": lru["active_anon"], "Inactive(anon)": lru["inactive_anon"],
        "Active(file)": lru["active_file"], "Inactive(file)": lru["inactive_file"],
        "Unevictable": node["nr_unevictable"], "Mlocked": sum(zone["nr_mlock"] for zone in zones),
    }  # fmt: skip
    behind = {
        "Dirty": node["nr_dirty"], "Writeback": node["nr_writeback"], "AnonPages": node["nr_anon_pages"],
        "Mapped": node["nr_mapped"], "Shmem": node["nr_shmem"],
        "KReclaimable": slab[0] + node["nr_kernel_misc_reclaimable"], "Slab": sum(slab), "SReclaimable": slab[0],
        "SUnreclaim": slab[1], "KernelStack": node["nr_kernel_stack"] >> 2,
        "PageTables": sum(zone["nr_page_table_pages"] for zone in zones), "NFS_Unstable": 0,
        "Bounce": sum(zone["nr_bounce"] for zone in zones), "WritebackTmp": node["nr_writeback_temp"],
    }  # fmt: skip
    return before, behind


def _promised(k: Kernel) -> dict[str, int]:
    if k.processes is None:
        return {"Committed_AS": 0}
    from bootsim.linux.mm.util import vm_commit_limit  # for machines with processes

    return {"CommitLimit": vm_commit_limit(k.processes), "Committed_AS": max(k.processes.vm_committed_as, 0)}


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines."""
    for label, kib in data(held).items():
        yield f"{label + ':':<16}{kib:8d} kB"


def missing(held: Held) -> str | None:
    """Return what the text leaves out because the state does not hold it."""
    if held.is_live():
        return "meminfo: not counted, and zero here: KernelStack, Buffers"
    return "meminfo of a state directory has only the lines that boot decides"


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
