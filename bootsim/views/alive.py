"""A view of a machine as it is now, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.views import catalog
from bootsim.views.held import END, LiveState

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def text(k: Kernel, name: str, *arguments: int) -> tuple[str, str | None]:
    """Return the view called `name`, or the file of that path, and what it leaves out; vtop takes a virtual
    address, and where the tables lie (pa) that are not init_mm's.

    Raises InputError.
    """
    view = catalog.vtop_at(*arguments) if arguments else catalog.find(name)
    if view is None or (view.name == "vtop" and not arguments):
        views = (*(view for view in catalog.VIEWS.values() if view.name != "vtop"), catalog.SLABINFO, catalog.SWAPS)
        files = ", ".join(view.path or view.name for view in views)
        raise InputError(f"no view {name!r}; there are {files}, {catalog.SLAB_FILES}CACHE, /proc/PID/maps")
    held = LiveState(k, END)
    return "\n".join(view.lines(held)), view.missing(held)
