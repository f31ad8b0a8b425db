"""What a stage of a boot looks like: plain values read out of a Kernel, at the stages a real boot is captured at.

A stage named `f` is the state after f() returned; `f:entry` is the state when it was entered. Taking a snapshot changes
nothing in the kernel. All addresses are physical and in bytes unless a name says `pfn` or `pages`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.linux import Kernel

L1_BYTES = 16384
L2_BYTES = 4096

class Stage(NamedTuple):
    """One stage: its fields as `stages.json` has them, and its page tables as raw bytes where the stage shows them."""

    name: str
    fields: dict[str, Any]
    l1: bytes | None = None
    l2: bytes | None = None


def take(k: Kernel, name: str) -> Stage:
    """Return the state of `k` now, with the parts that the stage `name` shows. Raises KeyError for an unknown stage."""
    fields: dict[str, Any] = {}
    l1 = l2 = None
    for part in STAGES[name].parts:
        if part == "tables":
            fields["tables"], l1, l2 = page_tables(k)
        else:
            fields.update(_PARTS[part](k))
    return Stage(name, fields, l1, l2)


def memblock(k: Kernel) -> dict[str, Any]:
    """Return both region arrays as [base, size, flags], and the limits of the allocator."""
    mb = k.mm.memblock
    return {
        "memory": [[r.base, r.size, r.flags] for r in mb.memory.regions],
        "reserved": [[r.base, r.size, r.flags] for r in mb.reserved.regions],
        "current_limit": mb.current_limit,
        "bottom_up": mb.bottom_up,
    }


def page_tables(k: Kernel, pgd_pa: int = 0) -> tuple[dict[str, Any], bytes, bytes]:
    """Return where the tables lie, the first-level table, and every second-level page it points to, by address.

    They are init_mm's, or those of the first level at `pgd_pa`.
    """
    ram, pgd_pa = k.machine.ram, pgd_pa or k.mm.init_mm.pgd_pa
    l1 = bytes(ram.read(pgd_pa, L1_BYTES))
    l2_pages = sorted({word & ~0xFFF for word in struct.unpack(f"<{L1_BYTES // 4}I", l1) if word & 3 == 1})
    l2 = b"".join(bytes(ram.read(pa, L2_BYTES)) for pa in l2_pages)
    return {"swapper_pg_dir": pgd_pa, "l2_pages": l2_pages}, l1, l2


def zones(k: Kernel) -> list[dict[str, Any]]:
    """Return every zone: its numbers, its free lists in list order, its per-cpu lists."""
    from bootsim.linux.mm.page_alloc import zones_snapshot

    found: list[dict[str, Any]] = zones_snapshot(k)
    return found


def cma_areas(k: Kernel) -> list[dict[str, Any]]:
    """Return the contiguous-memory areas in the order they were made."""
    return [
        {"name": a.name, "base_pfn": a.base_pfn, "count": a.count, "order_per_bit": a.order_per_bit}
        for a in k.mm.cma_areas
    ]


def entry(k: Kernel) -> dict[str, Any]:
    """Return how the bootloader handed over: the tree's address, and where RAM starts."""
    return {"atags": k.machine.dtb_pa, "phys_offset": k.mm.phys_offset}


def limits(k: Kernel) -> dict[str, Any]:
    """Return the end of lowmem (a virtual address) and the page frame limits."""
    return {
        "high_memory": k.mm.high_memory,
        "min_low_pfn": k.mm.min_low_pfn,
        "max_low_pfn": k.mm.max_low_pfn,
        "max_pfn": k.mm.max_pfn,
    }


_PARTS: dict[str, Callable[[Kernel], dict[str, Any]]] = {
    "memblock": lambda k: {"memblock": memblock(k)},
    "lowmem_limit": lambda k: {"lowmem_limit": k.mm.arm_lowmem_limit},
    "limits": limits,
    "zones": lambda k: {"zones": zones(k), "totalram_pages": k.mm.totalram_pages},
    "areas": lambda k: {"areas": cma_areas(k)},
    "entry": entry,
}
