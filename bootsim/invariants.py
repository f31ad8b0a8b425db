"""Invariants of a machine's memory management: what must hold at every moment, checked from outside."""

from __future__ import annotations

from itertools import pairwise

from bootsim.linux.mm.memblock import PHYS_ADDR_MAX, Memblock


def check_memblock(mb: Memblock) -> list[str]:
    """The invariants of both arrays; returns what is broken, an empty list when all is well.

    Regions are sorted and disjoint, neighbours that touch differ in flags, no region but a lone dummy is empty, the
    total is the sum, and nothing passes PHYS_ADDR_MAX.
    """
    broken = []
    for type_ in (mb.memory, mb.reserved):
        regions = type_.regions
        if type_.total_size != sum(r.size for r in regions):
            broken.append(f"{type_.name}: total_size {type_.total_size:#x} is not the sum of the regions")
        if len(regions) > 1 and any(r.size == 0 for r in regions):
            broken.append(f"{type_.name}: an empty region among others")
        if regions[-1].base + regions[-1].size > PHYS_ADDR_MAX:
            broken.append(f"{type_.name}: the last region passes the address space")
        for a, b in pairwise(regions):
            if a.base + a.size > b.base:
                broken.append(f"{type_.name}: {a.base:#x}+{a.size:#x} overlaps {b.base:#x}")
            elif a.base + a.size == b.base and a.flags == b.flags:
                broken.append(f"{type_.name}: {a.base:#x} and {b.base:#x} touch and are not merged")
    return broken
