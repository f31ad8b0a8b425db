"""Page tables as ranges of virtual addresses that are mapped alike: what a person reads, and what a diff compares.

    0xc0000000-0xefffffff -> 0x60000000  section RW NX write-back shareable

Descriptors are ARM's short ones. What their bits mean, the control register `cr` (SCTLR) says:

    TRE         ARMv7: TEX[0], C and B choose one of eight memory types, as Linux defines them
    XP          ARMv6: TEX, C and B say the type themselves
    neither     before ARMv6: no XN, S, nG and third AP bit; bit 4 is set; pages have permissions for each quarter
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bootsim.hw.mmu import memory_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What Linux programs into PRRR and NMRR, by TEX[0] C B (arch/arm/mm/proc-v7-2level.S).
MEMORY_TYPES = ("strongly-ordered", "non-cached", "write-through", "write-back",
                "device", "strange", "reserved", "write-alloc")  # fmt: skip
# Access permissions AP[2:0], of the kernel (the user's follow where there are any).
_ACCESS = ("no access", "RW", "RW user RO", "RW user RW", "reserved", "RO", "RO user RO (old)", "RO user RO")

# Before ARMv6, where AP has two bits, with SCTLR.S as Linux has it; and what C and B say there.
_OLD_ACCESS = ("RO", "RW", "RW user RO", "RW user RW")
_OLD_CACHE = ("uncached", "buffered", "write-through", "write-back")

CR_TRE, CR_XP = 1 << 28, 1 << 23
CR_ARMV7 = CR_TRE | CR_XP


def cr_of_log(text: str) -> int:
    """The control register as the line about the processor tells it; of ARMv7 where there is none."""
    found = re.search(r"^(?:\[[^]]*\] )?CPU: .*, cr=([0-9a-f]{8})$", text, re.MULTILINE)
    return int(found[1], 16) if found else CR_ARMV7


def is_old(cr: int) -> bool:
    """Whether descriptors are of the format before ARMv6."""
    return not cr & CR_XP


class Range(NamedTuple):
    """[start_va, end_va) mapped to consecutive physical addresses from `pa`, with the same `kind` and `attributes`."""

    start_va: int
    end_va: int
    pa: int
    kind: str
    attributes: str

    def shown(self) -> str:
        """One line."""
        return f"{self.start_va:#010x}-{self.end_va - 1:#010x} -> {self.pa:#010x} {self.kind} {self.attributes}"


class Target(NamedTuple):
    """What one piece of a range is mapped to; `pa` is that of the piece's first byte."""

    pa: int
    kind: str
    attributes: str

    def shown(self) -> str:
        """What follows the arrow in a range's line."""
        return f"{self.pa:#010x} {self.kind} {self.attributes}"


class RangeChange(NamedTuple):
    """[start_va, end_va), mapped as `a` in one boot and as `b` in the other; None is unmapped."""

    start_va: int
    end_va: int
    a: Target | None
    b: Target | None


def mapped_ranges(l1: bytes, l2: Mapping[int, bytes], cr: int = CR_ARMV7) -> list[Range]:
    """Return everything that the tables map, merged, by address. `l2` holds second-level pages by physical address."""
    found: list[Range] = []
    for piece in _pieces(l1, l2, cr & CR_ARMV7):
        last = found[-1] if found else None
        if (
            last is not None
            and last.end_va == piece.start_va
            and last[3:] == piece[3:]
            and last.pa + (last.end_va - last.start_va) == piece.pa
        ):
            found[-1] = last._replace(end_va=piece.end_va)
        else:
            found.append(piece)
    return found


# A table is mostly runs of descriptors that differ in the address alone, each one unit higher.
def _pieces(l1: bytes, l2: Mapping[int, bytes], cr: int) -> Iterator[Range]:
    words = struct.unpack("<4096I", l1)
    index = 0
    while index < len(words):
        word = words[index]
        count = 1
        if word & 3 == 1:
            page = l2.get(word & ~0xFFF)
            if page is not None:
                yield from _pages(index << 20, page[word & 0xC00 : (word & 0xC00) + 1024], cr)
        elif word & 2:
            count = 1 if word & 1 << 18 else _run(words, index, 1 << 20)
            yield _section(index, word, count, cr)
        index += count


def _run(words: tuple[int, ...], index: int, unit: int) -> int:
    # how many descriptors from `index` on go up by `unit` each: looked at in pieces twice as long as the last while
    # they do, half as long once one does not
    first, count, piece = words[index], 1, 1
    while piece:
        goes_up = range(first + count * unit, first + (count + piece) * unit, unit)
        if words[index + count : index + count + piece] == tuple(goes_up):
            count, piece = count + piece, piece * 2
        else:
            piece //= 2
    return count


def _section(index: int, word: int, count: int, cr: int) -> Range:
    va = index << 20
    if word & 1 << 18:  # a supersection's descriptor stands in 16 words
        pa = (word & 0xFF000000) | (index & 15) << 20
        return Range(va, va + (1 << 20), pa, "supersection", section_attributes(word, cr))
    return Range(va, va + (count << 20), word & 0xFFF00000, "section", section_attributes(word, cr))


# The same second-level tables stand in many first-level ones, of stages and of boots.
@lru_cache(1024)
def _pages(va: int, table: bytes, cr: int) -> tuple[Range, ...]:
    words, found = struct.unpack("<256I", table), []
    i = 0
    while i < len(words):
        word, start, count = words[i], va + (i << 12), 1
        if word & 3 == 1:
            pa = (word & 0xFFFF0000) | (i & 15) << 12
            found.append(Range(start, start + 4096, pa, "large page", page_attributes(word, cr, large=True)))
        elif word & 2:
            count = _run(words, i, 4096)
            found.append(Range(start, start + (count << 12), word & 0xFFFFF000, "page", page_attributes(word, cr)))
        i += count
    return tuple(found)


def section_attributes(word: int, cr: int = CR_ARMV7) -> str:
    """The attributes of a section descriptor in words."""
    return _section_attributes(word & 0xFFFFF, cr & CR_ARMV7)


# A table holds few kinds of descriptors, many times each.
@lru_cache(256)
def _section_attributes(word: int, cr: int) -> str:
    if is_old(cr):
        return _old_attributes(word >> 10 & 3, word >> 12 & 7, word >> 2 & 3)
    return _attributes(word >> 10 & 3 | word >> 13 & 4, bool(word & 16), word >> 12 & 7, word >> 2 & 3,
                       bool(word & 1 << 16), bool(word & 1 << 17), cr)  # fmt: skip


@lru_cache(256)
def _page_attributes(word: int, large: bool, cr: int) -> str:
    if is_old(cr):
        extended = word & 3 == 3  # XScale's: one permission, and TEX
        return _old_attributes(word >> 4 & 3, word >> 6 & 7 if extended else 0, word >> 2 & 3)
    xn, tex = (word >> 15 & 1, word >> 12 & 7) if large else (word & 1, word >> 6 & 7)
    return _attributes(word >> 4 & 3 | word >> 7 & 4, bool(xn), tex, word >> 2 & 3,
                       bool(word & 1 << 10), bool(word & 1 << 11), cr)  # fmt: skip


def page_attributes(word: int, cr: int = CR_ARMV7, *, large: bool = False) -> str:
    """The attributes of a second-level descriptor in words."""
    return _page_attributes(word & (0xFFFF if large else 0xFFF), large, cr & CR_ARMV7)


def _attributes(ap: int, xn: bool, tex: int, cb: int, shared: bool, not_global: bool, cr: int) -> str:
    if cr & CR_TRE:
        kind = MEMORY_TYPES[(tex & 1) << 2 | cb]
    else:
        memory = memory_type(tex << 2 | cb, shared, cr)
        kind = memory.inner or memory.type
    words = [_ACCESS[ap], "NX" if xn else "x", kind]
    if shared:
        words.append("shareable")
    if not_global:
        words.append("per-process")
    return " ".join(words)


def _old_attributes(ap: int, tex: int, cb: int) -> str:
    return f"{_OLD_ACCESS[ap]} x {_OLD_CACHE[cb]}" + (f" TEX {tex}" if tex else "")


def range_changes(a: list[Range], b: list[Range]) -> Iterator[RangeChange]:
    """Yield what is mapped differently, merged as far as both sides go on alike, by address."""
    pending: RangeChange | None = None
    for start, end, one, other in _side_by_side(a, b):
        if one == other:
            continue
        change = RangeChange(start, end, one, other)
        if pending is not None and goes_on(pending, change):
            pending = pending._replace(end_va=end)
        else:
            if pending is not None:
                yield pending
            pending = change
    if pending is not None:
        yield pending


def _side_by_side(a: list[Range], b: list[Range]) -> Iterator[tuple[int, int, Target | None, Target | None]]:
    # every stretch between two borders of either side, and what each side has there
    borders = sorted({border for r in (*a, *b) for border in (r.start_va, r.end_va)})
    i = j = 0
    for start, end in pairwise(borders):
        while i < len(a) and a[i].end_va <= start:
            i += 1
        while j < len(b) and b[j].end_va <= start:
            j += 1
        one, other = _there(a, i, start), _there(b, j, start)
        if one is not None or other is not None:
            yield start, end, one, other


def _there(ranges: list[Range], i: int, va: int) -> Target | None:
    if i >= len(ranges) or ranges[i].start_va > va:
        return None
    r = ranges[i]
    return Target(r.pa + va - r.start_va, r.kind, r.attributes)


def goes_on(first: RangeChange, then: RangeChange) -> bool:
    """Whether `then` continues `first` in both boots."""
    if first.end_va != then.start_va:
        return False
    size = first.end_va - first.start_va
    for before, after in ((first.a, then.a), (first.b, then.b)):
        if (before is None) != (after is None):
            return False
        if before is not None and after is not None and (before[1:] != after[1:] or before.pa + size != after.pa):
            return False
    return True
