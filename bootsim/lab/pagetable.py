"""The two-level page table around an address as a picture: what the hardware walks, and Linux's copy beside it.

    first level                  one page: 4 KiB
    pgd, 8 bytes: word 0 ---.    +0x000  Linux, 256 entries
                  word 1 -. |    +0x400  Linux, 256 entries
                          | `->  +0x800  hardware, 256 entries of 4 KiB: the first MiB
                          `--->  +0xc00  hardware, 256 entries: the second MiB

Linux's entries have what the hardware's have no bits for: present, young, dirty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.mmu import Translation
from bootsim.lab.drawing import Box, Drawing, Row
from bootsim.linux.arch.arm.asm import pgtable_2level as pt
from bootsim.linux.mm.swapfile.api import pte_to_swp_entry, swp_type_offset
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_HALF_BYTES, _ENTRIES, _MIB = 1024, 256, 1 << 20
_LINUX_BITS = (
    (pt.L_PTE_PRESENT, "present", ""), (pt.L_PTE_YOUNG, "young", "old"), (pt.L_PTE_DIRTY, "dirty", "clean"),
    (pt.L_PTE_RDONLY, "read-only", "writable"), (pt.L_PTE_USER, "user", ""), (pt.L_PTE_XN, "no execution", ""),
)  # fmt: skip


def page_table(k: Kernel, va: int) -> Drawing:
    """Return the entries that lead to a virtual address in the table which the boot processor walks."""
    table = k.cpus[0].cp15.ttbr0 & ~0x3FFF
    pair = table + (va >> 21) * 8
    words = k.machine.ram.read32(pair), k.machine.ram.read32(pair + 4)
    first = va & ~(2 * _MIB - 1)
    pgd = Box("pgd", f"first level at {table:#010x}, entry {va >> 21:#x}", [])
    columns: list[list[Box]] = [[pgd], [], []]
    for i, word in enumerate(words):
        kind = "table" if word & 3 == 1 else "nothing" if not word & 3 else "section"
        pgd.rows.append(Row(f"{pair + 4 * i:#010x}: {word:08x}  {kind} for {first + i * _MIB:#010x}",
                            "" if kind == "nothing" else f"{kind} {i}"))
        if kind == "section":
            size = "supersection" if word & 1 << 18 else "section"
            columns[1].append(Box(f"section {i}", f"{size} at {first + i * _MIB:#010x}",
                                  [Row(_meaning(k, first + i * _MIB)), Row("Linux keeps no entry of its own for it")]))
    tables = {i: word & ~0x3FF for i, word in enumerate(words) if word & 3 == 1}
    if tables:
        _second_level(k, va, tables, columns)
    return Drawing(f"Page table around {va:#010x}", columns)


def _second_level(k: Kernel, va: int, tables: dict[int, int], columns: list[list[Box]]) -> None:
    page = min(tables.values()) & ~0xFFF
    for i in range(2):
        at = page + i * _HALF_BYTES
        columns[1].append(Box(f"linux {i}", f"Linux's copy at {at:#010x} (+{at & 0xFFF:#05x})",
                              _half(k, va, at, i, hardware=False)))
    for i, at in tables.items():
        columns[1].append(Box(f"table {i}", f"hardware's entries at {at:#010x} (+{at & 0xFFF:#05x})",
                              _half(k, va, at, i, hardware=True)))
    found = k.machine.translate(va)
    if isinstance(found, Translation) and found.kind in ("small", "large"):
        columns[2].append(Box("frame", f"frame {found.pa >> PAGE_SHIFT:#x}", [Row(_meaning(k, va))]))


def _half(k: Kernel, va: int, at: int, which: int, *, hardware: bool) -> list[Row]:
    # how many of the 256 entries are in use, and the one of `va`
    words = [k.machine.ram.read32(at + 4 * i) for i in range(_ENTRIES)]
    used = sum(word & 3 != 0 if hardware else word != 0 for word in words)
    rows = [Row(f"{used} of {_ENTRIES} entries in use")]
    if va >> 20 & 1 == which:
        index = va >> 12 & 0xFF
        word = words[index]
        rows.append(Row(f"[{index:#04x}] {at + 4 * index:#010x}: {word:08x}"
                        f"{'' if hardware else f'  {_linux(word)}'}", "frame" if hardware and word & 3 else ""))
    return rows


def _linux(word: int) -> str:
    if not word:
        return "none"
    if not word & pt.L_PTE_PRESENT:
        area, slot = swp_type_offset(pte_to_swp_entry(word))
        return f"slot {slot} of swap area {area}"
    return ", ".join(text for bit, on, off in _LINUX_BITS if (text := on if word & bit else off))


def _meaning(k: Kernel, va: int) -> str:
    found = k.machine.translate(va)
    if not isinstance(found, Translation):
        return f"{found.level} {found.kind} fault"
    rights = found.permissions
    return (f"pa {found.pa:#010x}, {found.memory.type}, kernel {rights.privileged or '-'}, user {rights.user or '-'}"
            f"{', no execution' if rights.xn else ''}")
