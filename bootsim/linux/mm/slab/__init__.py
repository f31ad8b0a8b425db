"""SLAB (mm/slab.c): its options; slabs.pyx has its slabs and lists, objects.pyx the arrays of objects before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import SetupParam, get_option

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def slab_max_order_setup(k: Kernel, text: str) -> bool:
    """slab_max_order=N: the largest order of a slab of several objects, below MAX_ORDER.

    Source: mm/slab.c slab_max_order_setup()
    """
    order = get_option(text, k.options.get("slab_max_order", 0))[1]
    k.options["slab_max_order"] = max(0, min(order, k.mm.max_order - 1))
    return True


SETUP_PARAMS = (SetupParam("slab_max_order=", slab_max_order_setup, ("SLAB",)),)


def kmem_cache_init(k: Kernel) -> None:
    """Make the cache of descriptors, and kmalloc()'s.

    Source: mm/slab.c kmem_cache_init()
    """
    from bootsim.linux.mm.slab.objects import Slab  # other builds do without

    allocator = Slab(k)
    allocator.kmem_cache_init()
    k.mm.slab = allocator


def kmem_cache_init_late(k: Kernel) -> None:
    """Give the caches of the boot arrays of their final size.

    Source: mm/slab.c kmem_cache_init_late()
    """
    from bootsim.linux.mm.slab.objects import Slab

    assert isinstance(k.mm.slab, Slab)
    k.mm.slab.kmem_cache_init_late()


def cache_reap(k: Kernel, node_turn: bool = False) -> None:
    """Do what the reaper does every two seconds, and with `node_turn` every four: give back what nobody used since.

    Raises SlabError on a machine with another allocator, which has no reaper.
    Source: mm/slab.c cache_reap()
    """
    from bootsim.linux.mm.slab.objects import Slab  # other builds do without
    from bootsim.linux.mm.slab_common import SlabError

    if not isinstance(k.mm.slab, Slab):
        raise SlabError("cache_reap(): no SLAB here, and nobody else has a reaper")
    k.mm.slab.cache_reap(node_turn)
