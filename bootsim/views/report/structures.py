"""Pictures of live structures for the page: the page allocator at the end of the boot, and the cache of caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.lab.drawing import Drawing
    from bootsim.linux import Kernel


def structures_data(k: Kernel) -> list[dict[str, str]]:
    """Return title, picture (SVG) and outline of each; none of what a boot that died early has not."""
    from bootsim.lab import structures

    drawings: list[Drawing] = []
    if hasattr(k.mm, "pgdat") and any(zone["present"] for zone in k.zones):
        drawings.append(structures.node(k))
    if k.mm.slab is not None:
        drawings.append(structures.cache(k, "kmem_cache"))
    return [{"title": one.title, "svg": one.svg(style=False), "outline": "\n".join(one.lines())} for one in drawings]
