"""The layout view: the virtual map that ARM kernels used to print, and the physical one in the same form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.escape import escaped
from bootsim.linux.arch.arm.asm.memory import Layout, Region
from bootsim.views.held import NotHeld
from bootsim.views.memblock import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel
    from bootsim.views.held import Held


class Area(NamedTuple):
    """A named range of physical addresses, [start, end), inside RAM (depth 1) or RAM itself (depth 0)."""

    name: str
    start: int
    end: int
    depth: int = 1


def physical(held: Held) -> list[Area]:
    """Return RAM and what lies in it by address: lowmem and highmem, image, tree, initrd, tables, reservations, CMA."""
    memory = held.part("memblock")["memory"] if not held.is_live() else []
    found = [Area("RAM", base, base + size, 0) for base, size, _ in memory]
    if held.is_live():
        found += _live(held.kernel("physical layout"))
    offset, build = held.phys_offset, held.build
    if held.high_memory:
        limit = held.high_memory - build.config.PAGE_OFFSET + offset
        found += list(_split([area for area in found if area.depth == 0], limit))
    symbols = build.symbols
    for name, start, end in (("swapper_pg_dir", symbols.swapper_pg_dir, symbols.swapper_pg_dir + 0x4000),
                             ("kernel image", symbols.text, symbols.end)):  # fmt: skip
        found.append(Area(name, start - build.config.PAGE_OFFSET + offset, end - build.config.PAGE_OFFSET + offset))
    found += [Area(f"cma {area['name']}", area["base_pfn"] << 12, area["base_pfn"] + area["count"] << 12)
              for area in _areas(held)]  # fmt: skip
    return sorted(found, key=lambda area: (area.start, area.depth, -area.end))


def _areas(held: Held) -> list[dict[str, Any]]:
    try:
        return list(held.part("areas"))
    except NotHeld:
        return []


def _live(k: Kernel) -> Iterator[Area]:
    machine = k.machine
    yield from (Area("RAM", base, base + size, 0) for base, size in machine.banks)
    blob_bytes = int.from_bytes(machine.ram.read(machine.dtb_pa + 4, 4), "big")
    yield Area("device tree", machine.dtb_pa, machine.dtb_pa + blob_bytes)
    if machine.initrd_pa is not None:
        yield Area("initrd", machine.initrd_pa, machine.initrd_pa + machine.initrd_bytes)
    nodes = [(escaped(f"/{m.node.path.lstrip('/')}"), m) for m in k.of.reserved_mem if m.size]
    yield from (Area(name, m.base, m.base + m.size) for name, m in nodes)
    pgdat = getattr(k.mm, "pgdat", None)
    if pgdat is not None and pgdat.mem_map_pa is not None:
        yield Area("mem_map", pgdat.mem_map_pa, pgdat.mem_map_pa + (pgdat.mem_map_bytes or 0))
    if hasattr(k.mm, "pcpu_base_pa"):
        units = k.num_possible_cpus if k.build.config.SMP else 1
        yield Area("per-cpu areas", k.mm.pcpu_base_pa, k.mm.pcpu_base_pa + units * k.mm.pcpu_unit_size)


def _split(banks: list[Area], limit_pa: int) -> Iterator[Area]:
    # the part of each bank below the end of lowmem, and the part above
    for bank in banks:
        if bank.start < limit_pa:
            yield Area("lowmem", bank.start, min(bank.end, limit_pa))
        if bank.end > limit_pa:
            yield Area("highmem", max(bank.start, limit_pa), bank.end)


def virtual(held: Held) -> list[Region]:
    """Return the regions of the virtual map."""
    if not held.high_memory:
        raise NotHeld(f"{held.stage}: the end of lowmem is not known yet; adjust_lowmem_bounds() works it out")
    return Layout(held.build.config, held.high_memory).regions(held.build.symbols)


def data(held: Held) -> dict[str, Any]:
    """Return both maps as plain values, ends exclusive."""
    return {
        "virtual": [{"name": r.name, "start": r.start_va, "end": r.end_va} for r in virtual(held)],
        "physical": [area._asdict() for area in physical(held)],
    }


def lines(held: Held) -> Iterator[str]:
    """Yield both tables."""
    regions, areas = virtual(held), physical(held)
    yield "Virtual kernel memory layout:"
    yield from (region.line() for region in regions)
    yield "Physical memory layout:"
    width = max(len(area.name) + 2 * area.depth for area in areas)
    for area in areas:
        name = f"{'  ' * area.depth}{area.name}"
        yield f"    {name:<{width}} : {area.start:#010x} - {area.end:#010x}   ({size_text(area.end - area.start)})"
