"""The 4096 first-level entries, merged into ranges that continue each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.arch.arm.asm.domain import domain_names
from bootsim.views.descriptors import attributes, first_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.descriptors import Descriptor
    from bootsim.views.held import Held

_MIB = 1 << 20


def data(held: Held) -> dict[str, Any]:
    """Return where the table lies (pa) and its ranges: [start, end) (va), entries, kind, domain, attributes, pa."""
    tables, domains = held.tables(), domain_names(held.build.config)
    ranges: list[dict[str, Any]] = []
    kept: tuple[object, ...] = ()
    for i, word in enumerate(tables.l1):
        found = first_level(word, held.cr, domains)
        base, key = _continues(found, i)
        if ranges and key == kept:
            ranges[-1]["entries"] += 1
            ranges[-1]["end"] += _MIB
            ranges[-1]["last_word"] = word
            continue
        kept = key
        ranges.append({"start": i * _MIB, "end": (i + 1) * _MIB, "entries": 1, "kind": found.kind, "pa": base,
                       "domain": _domain(found), "attributes": attributes(found, held.cr), "word": word,
                       "last_word": word})  # fmt: skip
    return {"pgd": tables.pgd_pa, "ranges": ranges}


def _continues(found: Descriptor, i: int) -> tuple[int | None, tuple[object, ...]]:
    # the physical base of an entry, and what two neighbours of one range have in common
    if found.kind == "fault":
        return None, ("fault", found.word)
    if found.kind == "table":
        return found.word & ~0x3FF, ("table", found.word & 0x3FF)
    if found.kind == "supersection":
        base = found.word & 0xFF000000
        return base, ("supersection", found.word & 0x00FFFFFF, (base - (i & ~15) * _MIB) & 0xFFFFFFFF)
    base = found.word & 0xFFF00000
    return base, ("section", found.word & 0x000FFFFF, (base - i * _MIB) & 0xFFFFFFFF)


def _domain(found: Descriptor) -> str:
    return next((field.meaning or str(field.value) for field in found.fields if field.name == "domain"), "")


def lines(held: Held) -> Iterator[str]:
    """Yield a heading and a line for each range, with the physical address of its first section, or of its tables."""
    shown = data(held)
    yield f"PGD at {shown['pgd']:#010x}"
    for r in shown["ranges"]:
        place = ""
        if r["kind"] == "table":
            place = f"{r['word'] & ~0x3FF:#010x}" + (f"..{r['last_word'] & ~0x3FF:#010x}" if r["entries"] > 1 else "")
        elif r["pa"] is not None:
            place = f"{r['pa']:#010x}"
        line = f"{r['start']:#010x}-{r['end'] - 1:#010x} {r['entries']:5d} {r['kind']:<12} {place:<22} "
        yield f"{line}{r['domain']:<8} {r['attributes']}".rstrip()
