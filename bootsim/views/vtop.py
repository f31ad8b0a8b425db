"""A virtual address through the page tables, as crash's `vtop` shows it, and every word on the way taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.linux.arch.arm.asm.domain import domain_names
from bootsim.views.descriptors import Descriptor, attributes, first_level, linux_entry, second_level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.views.held import Held, Tables

_FLAGS = (("PRESENT", "PRESENT", 1), ("DIRTY", "DIRTY", 1), ("YOUNG", "YOUNG", 1), ("WRITE", "RDONLY", 0),
          ("EXEC", "XN", 0))  # fmt: skip
_SIZES = {"section": 1 << 20, "supersection": 1 << 24, "large page": 1 << 16, "small page": 1 << 12}


class Step(NamedTuple):
    """A word met on the way: which table, its address (pa), and its fields."""

    table: str
    pa: int
    descriptor: Descriptor


class Walk(NamedTuple):
    """Where an address leads: `pa` is None when nothing is mapped, `page_bytes` the size of what maps it."""

    va: int
    pa: int | None
    page_bytes: int
    steps: tuple[Step, ...]


def walk(tables: Tables, va: int, cr: int, domains: Mapping[int, str]) -> Walk:
    """Follow the tables for `va`, reading both the hardware's entry and Linux's own."""
    pgd_pa = tables.pgd_pa + (va >> 20) * 4
    first = first_level(tables.l1[va >> 20], cr, domains)
    steps = [Step("PGD", pgd_pa, first)]
    last = first
    if first.kind == "table":
        hardware_pa = (first.word & ~0x3FF) + (va >> 12 & 0xFF) * 4
        linux_pa = (first.word & ~0xFFF) + (va >> 12 & 0x1FF) * 4
        last = second_level(tables.read32(hardware_pa) or 0, cr)
        steps += [Step("PTE", linux_pa, linux_entry(tables.read32(linux_pa) or 0)), Step("hardware", hardware_pa, last)]
    size = _SIZES.get(last.kind, 0)
    pa = None if not size else (last.word & ~(size - 1) & 0xFFFFFFFF) | va & size - 1
    return Walk(va, pa, size, tuple(steps))


def data(held: Held, va: int, pgd_pa: int = 0) -> dict[str, Any]:
    """Return the walk as plain values, with struct page where a live kernel has one."""
    found = walk(held.tables(pgd_pa), va, held.cr, domain_names(held.build.config))
    return {
        "va": va,
        "pa": found.pa,
        "page_bytes": found.page_bytes,
        "attributes": attributes(found.steps[-1].descriptor, held.cr),
        "steps": [
            {"table": step.table, "pa": step.pa, "word": step.descriptor.word, "kind": step.descriptor.kind,
             "fields": [field._asdict() for field in step.descriptor.fields]}
            for step in found.steps
        ],
        "page": None if found.pa is None else _page(held, found.pa),
        "swap": _slot(held, found.steps[1].descriptor.word) if len(found.steps) > 1 else None,
    }  # fmt: skip


def lines(held: Held, va: int, pgd_pa: int = 0) -> Iterator[str]:
    """Yield crash's lines, then each word bit by bit."""
    tables = held.tables(pgd_pa)
    found = walk(tables, va, held.cr, domain_names(held.build.config))
    yield f"{'VIRTUAL':<8}  PHYSICAL"
    yield f"{va:<8x}  " + ("(not mapped)" if found.pa is None else f"{found.pa:x}")
    yield ""
    page_offset = held.build.config.PAGE_OFFSET

    def shown(pa: int) -> str:
        return f"{pa - held.phys_offset + page_offset & 0xFFFFFFFF:8x}"

    yield f"PAGE DIRECTORY: {shown(tables.pgd_pa).strip()}"
    first = found.steps[0]
    yield f"  PGD: {shown(first.pa)} => {first.descriptor.word:x}"
    if first.descriptor.word:
        yield f"  PMD: {shown(first.pa)} => {first.descriptor.word:x}"
    yield from _crash_page(found, held)
    page = None if found.pa is None else _page(held, found.pa)
    if page is not None:
        yield ""
        yield "  PAGE    PHYSICAL   MAPPING    INDEX CNT FLAGS"
        yield (f"{page['address']} {page['pa']:9x} {page['mapping']:9x} {page['index']:9x} {page['count']:2d} "
               f"{page['flags']}").rstrip()  # fmt: skip
    for step in found.steps:
        yield ""
        yield from _apart(step)


def _crash_page(found: Walk, held: Held) -> Iterator[str]:
    if len(found.steps) == 1:
        if found.pa is not None:
            unit = "1MB" if found.page_bytes == 1 << 20 else "16MB"
            yield f" PAGE: {found.pa & ~(found.page_bytes - 1):8x}  ({unit})"
        return
    entry = found.steps[1]
    word = entry.descriptor.word
    yield f"  PTE: {entry.pa:8x} => {word:x}"
    if word & 1:
        yield ""
        yield f" PAGE: {word & ~0xFFF:8x}"
        yield ""
        width = max(len(f"{word:x}"), 3)
        yield f"{'PTE':^{width}}  {'PHYSICAL':^8}  FLAGS"
        flags = "|".join(name for name, field, value in _FLAGS if entry.descriptor.values[field] == value)
        yield f"{word:>{width}x}  {word & ~0xFFF:8x}  ({flags})"
    elif slot := _slot(held, word):
        width, where = max(len(f"{word:x}"), 3), len(slot["path"])
        yield ""
        yield f"{'PTE':^{width}}  {'SWAP':^{where}}  OFFSET"
        yield f"{word:>{width}x}  {slot['path']}  {slot['offset']}"


def _apart(step: Step) -> Iterator[str]:
    yield f"{step.table} {step.pa:#010x}: {step.descriptor.word:#010x} {step.descriptor.kind}"
    for field in step.descriptor.fields:
        bits = f"[{field.high}:{field.low}]" if field.high > field.low else f"[{field.low}]"
        value = f"{field.value:#x}" if field.high - field.low > 3 else f"{field.value:0{field.high - field.low + 1}b}"
        yield f"  {bits:<8} {field.name:<10} {value:<9} {field.meaning}".rstrip()


def _slot(held: Held, word: int) -> dict[str, Any] | None:
    # in which swap area, and at which page of it, what an entry is for lies
    if word == 0 or word & 1:
        return None
    number, offset = word >> 2 & 31, word >> 7
    path = f"area {number}"
    if held.is_live():
        from bootsim.linux.mm.swapfile.on import swap_areas

        path = swap_areas(held.kernel("swap areas"))[number].path
    return {"type": number, "offset": offset, "path": path}


def _page(held: Held, pa: int) -> dict[str, Any] | None:
    # struct page of the frame, where a live kernel has a memory map that covers it
    if not held.is_live():
        return None
    k = held.kernel("struct page")
    if not hasattr(k.mm, "pgdat") or not any(first <= pa >> 12 < end for first, end in k.mm.pgdat.valid_pfns):
        return None
    from bootsim.linux.mm.page_alloc import page_info

    info = page_info(k, pa >> 12)
    address = "       -"
    if k.mm.pgdat.mem_map_pa is not None:
        index = (pa - k.mm.phys_offset) >> 12
        address = f"{k.phys_to_virt(k.mm.pgdat.mem_map_pa + index * k.build.sizeof.page):8x}"
    flags = [name for name in ("reserved", "head", "buddy") if info[name]]
    return {"address": address, "pa": pa & ~0xFFF, "mapping": info["mapping"] or 0, "index": info["index"] or 0,
            "count": info["refcount"], "flags": ",".join(flags)}  # fmt: skip
