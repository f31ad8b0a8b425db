"""/proc/iomem: the System RAM resources with the kernel inside.

Source: kernel/resource.c r_show(), arch/arm/kernel/setup.c request_standard_resources()
Differs: the resources of devices are not there; their drivers are not replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.views.held import NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held


def data(held: Held) -> list[dict[str, Any]]:
    """Return the resources (inclusive ends, pa), by address; `depth` 1 lies inside the one before of depth 0."""
    resources = held.kernel("resources (/proc/iomem)").iomem
    if not resources:
        raise NotHeld(f"{held.stage}: no resources yet; request_standard_resources() makes them")
    found = sorted(resources, key=lambda resource: (resource[1], resource[0] != "System RAM"))
    return [{"name": name, "start": first, "end": last, "depth": int(name != "System RAM")}
            for name, first, last in found]  # fmt: skip


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines, as root reads them."""
    for r in data(held):
        yield f"{'  ' * r['depth']}{r['start']:08x}-{r['end']:08x} : {r['name']}"
