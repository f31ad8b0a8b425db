"""Every view by name: where it comes from, what part of a state it reads, how it becomes text and plain values."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootsim.views.held import Held


class View(NamedTuple):
    """A view: `module` makes it, with `arguments`; `part` is what of a stage it reads; `path` is the real file's."""

    name: str
    about: str
    module: str
    part: str = ""
    path: str = ""
    arguments: tuple[Any, ...] = ()

    def lines(self, held: Held) -> list[str]:
        """Return the text, line by line."""
        return list(self._function("lines")(held, *self.arguments))

    def data(self, held: Held) -> Any:
        """Return plain values, for JSON."""
        return self._function("data")(held, *self.arguments)

    def missing(self, held: Held) -> str | None:
        """Return what the text lacks of the real file because the state does not hold it, or None."""
        missing = getattr(self._module(), "missing", None)
        return None if missing is None else missing(held)

    def heading(self, held: Held) -> str | None:
        """Return what a terminal shows above the columns, or None."""
        heading = getattr(self._module(), "heading", None)
        return None if heading is None else heading(held)

    def notes(self, held: Held) -> Iterable[str]:
        """Return what a terminal shows beside each line; empty where there is nothing to add."""
        notes = getattr(self._module(), "notes", None)
        return () if notes is None else notes(held, *self.arguments)

    def _module(self) -> Any:
        return importlib.import_module(f"bootsim.views.{self.module}")

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._module(), name)
        return function


_DEBUG = "/sys/kernel/debug"
VIEWS = {
    view.name: view
    for view in (
        View("buddyinfo", "free blocks by zone and order", "buddyinfo", "zones", "/proc/buddyinfo"),
        View("pagetypeinfo", "free blocks and pageblocks by migrate type", "pagetypeinfo", "zones",
             "/proc/pagetypeinfo"),
        View("zoneinfo", "sizes, watermarks and per-cpu lists of every zone", "zoneinfo", "zones", "/proc/zoneinfo"),
        View("iomem", "System RAM and the kernel in it", "iomem", "iomem", "/proc/iomem"),
        View("meminfo", "totals, as far as boot decides them", "meminfo", "zones", "/proc/meminfo"),
        View("vmstat", "counters of all zones and of the node", "vmstat", "zones", "/proc/vmstat"),
        View("extfrag/unusable_index", "free memory of no use to a block, by order", "extfrag", "zones",
             f"{_DEBUG}/extfrag/unusable_index", ("unusable_index",)),
        View("extfrag/extfrag_index", "why a block would fail, by order", "extfrag", "zones",
             f"{_DEBUG}/extfrag/extfrag_index", ("extfrag_index",)),
        View("vmallocinfo", "static mappings", "vmallocinfo", "vmallocinfo", "/proc/vmallocinfo"),
        View("memblock/memory", "memblock's RAM", "memblock", "memblock", f"{_DEBUG}/memblock/memory", ("memory",)),
        View("memblock/reserved", "memblock's reservations", "memblock", "memblock", f"{_DEBUG}/memblock/reserved",
             ("reserved",)),
        View("kernel_page_tables", "page tables, in ranges of equal protection", "kernel_page_tables", "tables",
             f"{_DEBUG}/kernel_page_tables"),
        View("cma", "contiguous memory areas", "cma", "areas", f"{_DEBUG}/cma"),
        View("layout", "virtual and physical maps", "maps", "memblock"),
        View("vtop", "where virtual addresses lead: vtop ADDR...", "vtop", "tables"),
        View("pgd", "the first-level table, merged into ranges", "pgd", "tables"),
        View("stages", "the stages of a boot", "stages"),
    )
}  # fmt: skip
_BY_PATH = {view.path: view for view in VIEWS.values() if view.path}


SLABINFO = View("slabinfo", "slab caches", "slabinfo", "slab", "/proc/slabinfo")
SWAPS = View("swaps", "swap areas", "swaps", "", "/proc/swaps")
SLAB_FILES = "/sys/kernel/slab/"


def find(name: str) -> View | None:
    """Return the view called `name`: its own name, or the path of the real file.

    Slab caches are there once a machine is used for objects, swap areas once it is used: their files are no views of a
    boot.
    """
    if name in (SWAPS.name, SWAPS.path):
        return SWAPS
    if name in (SLABINFO.name, SLABINFO.path):
        return SLABINFO
    if name.startswith(SLAB_FILES):
        return View(name, "a slab cache", "slabinfo", "slab", name, (name.removeprefix(SLAB_FILES),))
    return VIEWS.get(name) or _BY_PATH.get(name.rstrip("/"))


def vtop_at(va: int, pgd_pa: int = 0) -> View:
    """Return the view of one virtual address, through init_mm's tables or those at `pgd_pa`."""
    return VIEWS["vtop"]._replace(name=f"vtop {va:#010x}", arguments=(va, pgd_pa))
