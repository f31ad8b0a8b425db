"""Page tables for the page: words as runs, and each distinct form of a word decoded once.

    run = [first index, count, first word, step]     words of a run differ by `step`; words that are zero are left out

A first-level table of 1 GiB of lowmem is a handful of runs (sections, one MiB apart), a full second-level table is one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from bootsim.page import PAGE_SIZE
from bootsim.state.ranges import CR_ARMV7, mapped_ranges, page_attributes, section_attributes
from bootsim.views import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bootsim.views.descriptors import Descriptor

# Words a page, a section or a second-level table apart differ in their address alone.
STEPS = (0, 0x400, 0x1000, 0x100000)


def runs(words: Sequence[int]) -> list[list[int]]:
    """Return the words that are not zero as runs [first index, count, first word, step]."""
    found: list[list[int]] = []
    for i, word in enumerate(words):
        if not word:
            continue
        last = found[-1] if found else None
        if last is not None and last[0] + last[1] == i:
            step = word - last[2]
            if last[1] == 1 and step in STEPS:
                last[1], last[3] = 2, step
                continue
            if last[1] > 1 and step == last[3] * last[1]:
                last[1] += 1
                continue
        found.append([i, 1, word, 0])
    return found


def words_of(found: Iterable[Sequence[int]], count: int) -> list[int]:
    """Return the words that `runs` was given."""
    words = [0] * count
    for first, length, word, step in found:
        for i in range(length):
            words[first + i] = word + i * step
    return words


class Meanings:
    """Each distinct form of a word, decoded; and each distinct way of mapping a range. Shared by the boots of a page.

    A form is the word without its base address. The page looks a word up by the same masks (js/words.js). Where boots
    are of processors whose descriptors differ in form, the first boot's reading of a word stands for both.
    """

    def __init__(self) -> None:
        self._forms: dict[str, list[Any]] = {}
        self._kinds: dict[tuple[str, str], int] = {}

    def first_level(self, word: int, cr: int, domains: Mapping[int, str]) -> None:
        """Decode the form of a first-level word."""
        mask = 0x3FF if word & 3 == 1 else 0xFFFFF
        attributes = section_attributes(word, cr) if word & 2 else ""
        self._form(f"1:{word & mask:x}", word, attributes, lambda w: descriptors.first_level(w, cr, domains))

    def second_level(self, word: int, cr: int) -> None:
        """Decode the form of a second-level word."""
        large = word & 3 == 1
        attributes = page_attributes(word, cr, large=large) if word & 3 else ""
        self._form(f"2:{word & (0xFFFF if large else 0xFFF):x}", word, attributes,
                   lambda w: descriptors.second_level(w, cr))

    def linux_entry(self, word: int) -> None:
        """Decode the form of one of Linux's own entries."""
        self._form(f"L:{word & 0xFFF:x}", word, "", descriptors.linux_entry)

    def _form(self, key: str, word: int, attributes: str, decode: Callable[[int], Descriptor]) -> None:
        if key in self._forms:
            return
        found = decode(word)
        fields = [[f"{f.high}:{f.low}" if f.high != f.low else str(f.low), f.name, f.value, f.meaning]
                  for f in found.fields if f.name not in ("base", "ignored", "type")]  # fmt: skip
        self._forms[key] = [found.kind, attributes, family(found.kind, attributes), fields]

    def kind(self, kind: str, attributes: str) -> int:
        """Return the place of a way of mapping in `kinds`."""
        return self._kinds.setdefault((kind, attributes), len(self._kinds))

    def data(self) -> dict[str, Any]:
        """Return `forms` by key and `kinds` in order: each with kind, attributes in words and family of colour."""
        return {"forms": self._forms, "kinds": [[*kind, family(*kind)] for kind in self._kinds]}


def family(kind: str, attributes: str) -> str:
    """Return what a mapping is to the eye: table, device, ro, code (executable), data (not), or none."""
    if kind == "table":
        return "table"
    if not attributes:
        return "none"
    if "device" in attributes or "strongly-ordered" in attributes:
        return "device"
    words = attributes.split()
    if words[0] == "RO":
        return "ro"
    return "data" if "NX" in words else "code"


class Tables:
    """Encodes the page tables of one boot; a second-level page with the same content is kept once."""

    def __init__(self) -> None:
        self._pages: dict[bytes, int] = {}
        self._cr = CR_ARMV7
        self._domains: Mapping[int, str] = {}

    def encode(
        self, where: dict[str, Any], l1: bytes, l2: bytes, cr: int, domains: Mapping[int, str]
    ) -> dict[str, Any]:
        """Keep the tables as `snapshot.page_tables` gives them: where they lie, the first level, second-level pages.

        `cr` is the control register (SCTLR), `domains` names the build's domains by number.
        """
        self._cr, self._domains = cr, domains
        pages = {pa: l2[i * PAGE_SIZE : (i + 1) * PAGE_SIZE] for i, pa in enumerate(where["l2_pages"])}
        places = {pa: self._pages.setdefault(page, len(self._pages)) for pa, page in pages.items()}
        return {"pgd": where["swapper_pg_dir"], "l1": l1, "ranges": mapped_ranges(l1, pages, cr), "pages": places}

    def decoded(self, table: dict[str, Any], meanings: Meanings) -> dict[str, Any]:
        """Return kept tables as plain values, and decode every form of word in them."""
        words = struct.unpack("<4096I", table["l1"])
        for word in set(words) - {0}:
            meanings.first_level(word, self._cr, self._domains)
        ranges = [[r.start_va, r.end_va, r.pa, meanings.kind(r.kind, r.attributes)] for r in table["ranges"]]
        return {"pgd": table["pgd"], "runs": runs(words), "ranges": ranges, "pages": table["pages"]}

    def pages_data(self, meanings: Meanings) -> list[list[list[int]]]:
        """Return every kept second-level page as runs: 512 entries of Linux, then 512 of the hardware."""
        found = []
        for page in self._pages:
            words = struct.unpack("<1024I", page)
            for word in set(words[:512]) - {0}:
                meanings.linux_entry(word)
            for word in set(words[512:]) - {0}:
                meanings.second_level(word, self._cr)
            found.append(runs(words))
        return found
