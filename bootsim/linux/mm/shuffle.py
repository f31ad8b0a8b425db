"""Shuffled free lists (mm/shuffle.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.lib.cmdline import CoreParam

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def shuffle_store(_k: Kernel, on: bool) -> None:
    """page_alloc.shuffle=: put free pages in random order.

    Source: mm/shuffle.c shuffle_store()
    Differs: a random order cannot be replayed.
    """
    if on:
        raise InputError("cmdline: page_alloc.shuffle=: the kernel would put its free pages in random order, which "
                         "cannot be replayed; expected page_alloc.shuffle=0 or none")


CORE_PARAMS = (CoreParam("page_alloc.shuffle", "bint", shuffle_store, ("SHUFFLE_PAGE_ALLOCATOR",)),)
