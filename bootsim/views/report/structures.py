"""Pictures of live structures for the page: page allocator, cache of caches and a page table at the end of the boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.lab.drawing import Drawing
    from bootsim.linux import Kernel

_VECTORS = 0xFFFF0000  # the page whose both levels every kernel has


def structures_data(k: Kernel) -> list[dict[str, str]]:
    """Return title, picture (SVG) and outline of each; none of what a boot that died early has not."""
    from bootsim.lab import structures
    from bootsim.lab.pagetable import page_table

    drawings: list[Drawing] = []
    if hasattr(k.mm, "pgdat") and any(zone["present"] for zone in k.zones):
        drawings.append(structures.node(k))
    if k.mm.slab is not None:
        drawings.append(structures.cache(k, "kmem_cache"))
    if k.cpus[0].cp15.sctlr & 1 and k.translate(_VECTORS):
        drawings.append(page_table(k, _VECTORS))
    return [{"title": one.title, "svg": one.svg(style=False), "outline": "\n".join(one.lines())} for one in drawings]
