"""/sys/kernel/debug/memblock/memory and .../reserved.

Source: mm/memblock.c memblock_debug_show()
Differs: shown of every build; the real files need CONFIG_DEBUG_FS and CONFIG_ARCH_KEEP_MEMBLOCK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

Kind = Literal["memory", "reserved"]


def data(held: Held, kind: Kind) -> list[dict[str, int]]:
    """Return the regions: base (pa), size (bytes), flags (MEMBLOCK_*)."""
    regions = held.part("memblock")[kind]
    return [{"base": base, "size": size, "flags": flags} for base, size, flags in regions]


def lines(held: Held, kind: Kind) -> Iterator[str]:
    """Yield the file's lines; ends are inclusive."""
    for i, region in enumerate(data(held, kind)):
        yield f"{i:4d}: {region['base']:#010x}..{region['base'] + region['size'] - 1 & 0xFFFFFFFF:#010x}"


def notes(held: Held, kind: Kind) -> Iterator[str]:
    """Yield what a terminal shows beside each line: the region's size."""
    for region in data(held, kind):
        yield size_text(region["size"])


def size_text(size_bytes: int) -> str:
    """Return a size in the largest unit that leaves it whole: "512 MB", "48198 B"."""
    for shift, unit in ((20, "MB"), (10, "kB")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} B"
