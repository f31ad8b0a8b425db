"""What happened between two states of one machine, in lines: free blocks, per-cpu lists, pages by owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel


def effects(before: Kernel, after: Kernel) -> Iterator[str]:
    """Yield a line for each zone whose free blocks changed, each per-cpu list, kernel area and contiguous area."""
    for old, new in zip(before.zones, after.zones, strict=True):
        blocks = [
            f"order {order} {n['nr_free'] - o['nr_free']:+d}"
            for order, (o, n) in enumerate(zip(old["free_area"], new["free_area"], strict=True))
            if o["nr_free"] != n["nr_free"]
        ]
        if blocks:
            yield f"{new['name']}: free blocks: {', '.join(blocks)}"
        for cpu, (o, n) in enumerate(zip(old["pcp"], new["pcp"], strict=True)):
            if o["count"] != n["count"]:
                yield f"{new['name']}: pages on the lists of cpu {cpu}: {_change(o['count'], n['count'])}"
    yield from _areas(before, after)
    for o, n in zip(before.mm.cma_areas, after.mm.cma_areas, strict=True):
        if o.bitmap != n.bitmap:
            yield f"contiguous area {n.name}: pages taken: {_change(_taken(o), _taken(n))}"


def _areas(before: Kernel, after: Kernel) -> Iterator[str]:
    # ranges of kernel addresses; before their first use those that the boot took
    old, new = (_busy(k) for k in (before, after))
    yield from (f"kernel addresses taken: {start:#010x}-{end:#010x}" for start, end in sorted(new - old))
    yield from (f"kernel addresses given back: {start:#010x}-{end:#010x}" for start, end in sorted(old - new))


def _busy(k: Kernel) -> set[tuple[int, int]]:
    if k.mm.vmap is None:
        return {(vm.addr, vm.addr + vm.size) for vm in k.mm.vmlist}
    return {(start, end) for start, end in k.mm.vmap.areas.busy}


def _change(before: int, after: int) -> str:
    return f"{before} -> {after}"


def _taken(area: Any) -> int:
    return int(sum(area.bitmap)) << int(area.order_per_bit)
