"""/sys/kernel/debug/kernel_page_tables: ranges of equal protection, between markers.

The walk follows the kernel's: 2048 entries of two first-level words, of which Linux sees the first as a table of 512
pages or as a section, and the second only when it is a section.

Source: arch/arm/mm/dump.c ptdump_walk_pgd(), note_page()
"""

from __future__ import annotations

import struct
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm import pgtable_2level as pt
from bootsim.linux.arch.arm.asm.domain import domain_names
from bootsim.linux.arch.arm.asm.fixmap import FIXADDR_START
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE, VMALLOC_END, Layout
from bootsim.linux.arch.arm.asm.system_info import linux_arm_arch
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.views.held import Held, Tables


class Bits(NamedTuple):
    """What a field of an entry prints: `set` when (entry & mask) == value, else `clear`; None prints nothing."""

    mask: int
    value: int
    set: str
    clear: str | None = None


class Range(NamedTuple):
    """[start, end) (va) of one protection; `domain` and `words` as the file prints them. `end` 0 is 4 GiB."""

    start: int
    end: int
    domain: str
    words: tuple[str, ...]


class Marker(NamedTuple):
    """A named address (va)."""

    va: int
    name: str


_AP = pt.PMD_SECT_APX | pt.PMD_SECT_AP_READ | pt.PMD_SECT_AP_WRITE
# without APX, before ARMv6: the kernel's comment calls them approximate
OLD_SECTION_BITS = (
    Bits(_AP & ~pt.PMD_SECT_APX, 0, "    ro"),
    Bits(_AP & ~pt.PMD_SECT_APX, pt.PMD_SECT_AP_WRITE, "    RW"),
    Bits(_AP & ~pt.PMD_SECT_APX, pt.PMD_SECT_AP_READ, "USR ro"),
    Bits(_AP & ~pt.PMD_SECT_APX, pt.PMD_SECT_AP_READ | pt.PMD_SECT_AP_WRITE, "USR RW"),
    Bits(pt.PMD_SECT_XN, pt.PMD_SECT_XN, "NX", "x "),
    Bits(pt.PMD_SECT_S, pt.PMD_SECT_S, "SHD", "   "),
)
SECTION_BITS = (
    Bits(_AP, pt.PMD_SECT_APX | pt.PMD_SECT_AP_WRITE, "    ro"),
    Bits(_AP, pt.PMD_SECT_AP_WRITE, "    RW"),
    Bits(_AP, pt.PMD_SECT_AP_READ, "USR ro"),
    Bits(_AP, pt.PMD_SECT_AP_READ | pt.PMD_SECT_AP_WRITE, "USR RW"),
    Bits(pt.PMD_SECT_XN, pt.PMD_SECT_XN, "NX", "x "),
    Bits(pt.PMD_SECT_S, pt.PMD_SECT_S, "SHD", "   "),
)
PTE_BITS = (
    Bits(pt.L_PTE_USER, pt.L_PTE_USER, "USR", "   "),
    Bits(pt.L_PTE_RDONLY, pt.L_PTE_RDONLY, "ro", "RW"),
    Bits(pt.L_PTE_XN, pt.L_PTE_XN, "NX", "x "),
    Bits(pt.L_PTE_SHARED, pt.L_PTE_SHARED, "SHD", "   "),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_UNCACHED, "SO/UNCACHED"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_BUFFERABLE, "MEM/BUFFERABLE/WC"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_WRITETHROUGH, "MEM/CACHED/WT"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_WRITEBACK, "MEM/CACHED/WBRA"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_MINICACHE, "MEM/MINICACHE"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_WRITEALLOC, "MEM/CACHED/WBWA"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_DEV_SHARED, "DEV/SHARED"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_DEV_NONSHARED, "DEV/NONSHARED"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_DEV_WC, "DEV/WC"),
    Bits(pt.L_PTE_MT_MASK, pt.L_PTE_MT_DEV_CACHED, "DEV/CACHED"),
)
_PMD, _PTE = 4, 5
_Levels = dict[int, tuple[Bits, ...]]
_BITS: _Levels = {_PMD: SECTION_BITS, _PTE: PTE_BITS}
_OLD_BITS: _Levels = {_PMD: OLD_SECTION_BITS, _PTE: PTE_BITS}
_LAST = Marker(0xFFFFFFFF, "")


def markers(layout: Layout) -> tuple[Marker, ...]:
    """Return the file's markers; the start of the vmalloc area is left out while the end of lowmem is not known."""
    found = (
        Marker(layout.MODULES_VADDR, "Modules"),
        Marker(layout.PAGE_OFFSET, "Kernel Mapping"),
        Marker(layout.VMALLOC_START, "vmalloc() Area"),
        Marker(VMALLOC_END, "vmalloc() End"),
        Marker(FIXADDR_START, "Fixmap Area"),
        Marker(VECTORS_BASE, "Vectors"),
        Marker(VECTORS_BASE + 2 * PAGE_SIZE, "Vectors End"),
    )
    return found if layout.high_memory else found[:2] + found[3:]


def dump(tables: Tables, marks: tuple[Marker, ...], domains: Mapping[int, str],
         arch: int = 7) -> Iterator[Marker | Range]:
    """Yield the markers and the ranges with a mapping, in the file's order.

    `domains` are the names of the build's domains by number, `arch` is its __LINUX_ARM_ARCH__.
    """
    bits = _BITS if arch >= 6 else _OLD_BITS
    notes = _walk(tables, bits, domains)
    start, level, prot, name = next(notes)
    at = 0
    yield marks[0]
    for va, new_level, new_prot, new_name in notes:
        mark = marks[at + 1] if at + 1 < len(marks) else _LAST
        if (new_level, new_prot, new_name) == (level, prot, name) and va < mark.va:
            continue
        if prot:
            yield Range(start, va, name, _words(bits[level], prot))
        if va >= mark.va:
            at += 1
            yield mark
        start, level, prot, name = va, new_level, new_prot, new_name
    if prot:
        yield Range(start, 0, name, _words(bits[level], prot))


def _walk(tables: Tables, bits: _Levels, domains: Mapping[int, str]) -> Iterator[tuple[int, int, int, str]]:
    # every note_page() call: (va, level, protection bits, domain)
    mask = {level: reduce(or_, (field.mask for field in found)) for level, found in bits.items()}
    for va in range(0, 1 << 32, pt.PMD_SIZE):
        first, second = tables.l1[va >> 20], tables.l1[(va >> 20) + 1]
        name = _domain(first, domains)
        if not first or first & 2:
            yield va, _PMD, first & mask[_PMD], name
        else:
            # Linux's own 512 entries are the first half of the page, the hardware's the second
            page = tables.pages.get(first & ~0xFFF, bytes(PAGE_SIZE))
            for i, pte in enumerate(struct.unpack_from("<512I", page)):
                yield va + i * PAGE_SIZE, _PTE, pte & mask[_PTE], name
        if second & 2:
            yield va + pt.SECTION_SIZE, _PMD, second & mask[_PMD], _domain(second, domains)


def _domain(word: int, domains: Mapping[int, str]) -> str:
    return f"{domains.get(word >> 5 & 0xF, 'unknown'):<7}"


def _words(fields: tuple[Bits, ...], prot: int) -> tuple[str, ...]:
    shown = (bits.set if prot & bits.mask == bits.value else bits.clear for bits in fields)
    return tuple(word for word in shown if word is not None)


def _dumped(held: Held) -> Iterator[Marker | Range]:
    config = held.build.config
    return dump(held.tables(), markers(Layout(config, held.high_memory)), domain_names(config),
                linux_arm_arch(config))


def data(held: Held) -> list[dict[str, object]]:
    """Return the ranges, each with the marker it stands below and its size in bytes."""
    found: list[dict[str, object]] = []
    area = ""
    for item in _dumped(held):
        if isinstance(item, Marker):
            area = item.name
        else:
            end = item.end or 1 << 32
            flags = " ".join(item.words).split()
            found.append({"area": area, "start": item.start, "end": end, "size": end - item.start,
                          "domain": item.domain.strip(), "flags": flags})  # fmt: skip
    return found


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines."""
    for item in _dumped(held):
        yield f"---[ {item.name} ]---" if isinstance(item, Marker) else _line(item)


def _line(r: Range) -> str:
    size, unit = (r.end - r.start & 0xFFFFFFFF) >> 10, 0
    while not size & 1023 and unit < 5:
        size, unit = size >> 10, unit + 1
    return f"0x{r.start:08x}-0x{r.end:08x}   {size:9d}{'KMGTPE'[unit]} {r.domain} {' '.join(r.words)}"
