"""struct zone as an object to look at, and the ways to walk over zones (include/linux/mmzone.h)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bootsim.linux.include.linux.mm_types import Page, migratetype_names

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class Zone:
    """A zone of a kernel as it was when it was asked for; numbers are in pages, `start_pfn` is a page frame.

    `name`, `start_pfn`, `spanned`, `present`, `managed`, `nr_free_pages`, `watermark` (min, low, high),
    `lowmem_reserve`, `free_area` (by order: `nr_free`, and `lists` of frames by migrate type, in list order) and `pcp`
    (by processor) are those of `stages.json`.
    """

    __slots__ = ("_k", "_state")

    def __init__(self, k: Kernel, state: dict[str, Any]) -> None:
        self._k = k
        self._state = state

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._state:
            raise AttributeError(f"struct zone has no {name!r} here; it has {', '.join(self._state)}")
        return self._state[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._state})

    def free_pages(self, order: int) -> Iterator[Page]:
        """The first page of each free block of 2**order pages, type by type, in list order."""
        for frames in self._state["free_area"][order]["lists"]:
            for pfn in frames:
                yield Page(self._k, pfn)

    def __repr__(self) -> str:
        start = self._state["start_pfn"]
        return (f"Zone({self._state['name']}: frames {start:#x}-{start + self._state['spanned']:#x}, "
                f"{self._state['managed']} managed, {self._state['nr_free_pages']} free)")

    def _repr_html_(self) -> str:
        areas = self._state["free_area"]
        names = migratetype_names(len(areas[0]["lists"]))
        types = [t for t in range(len(areas[0]["lists"])) if any(area["lists"][t] for area in areas)]
        head = "".join(f"<th>{order}</th>" for order in range(len(areas)))
        rows = ""
        for t in types:
            cells = "".join(f"<td>{len(area['lists'][t])}</td>" for area in areas)
            rows += f"<tr><th>{names[t]}</th>{cells}</tr>"
        return f"<p>{self!r}</p><table><tr><th>free blocks, by order</th>{head}</tr>{rows}</table>"


def for_each_zone(k: Kernel) -> Iterator[Zone]:
    """Every zone of the build, in zone order; those without pages too.

    Source: include/linux/mmzone.h for_each_zone()
    """
    return (Zone(k, state) for state in k.zones)


def for_each_populated_zone(k: Kernel) -> Iterator[Zone]:
    """Every zone that has pages.

    Source: include/linux/mmzone.h for_each_populated_zone()
    """
    return (zone for zone in for_each_zone(k) if zone.present)
