"""SLUB's start (mm/slub.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

PAGE_ALLOC_COSTLY_ORDER = 3


def kmem_cache_init(k: Kernel) -> None:
    """Log how SLUB will size its slabs.

    Source: mm/slub.c kmem_cache_init()
    Differs: only the line; no cache is made yet, so nothing is taken from the buddy allocator.
    """
    max_order = k.options.get("slub_max_order", PAGE_ALLOC_COSTLY_ORDER)
    printk(k, KERN_INFO, "SLUB: HWalign={align}, Order={min_order}-{max_order}, MinObjects={min_objects}, CPUs={cpus}, "
           "Nodes={nodes}", align=k.mm.smp_cache_bytes, min_order=k.options.get("slub_min_order", 0),
           max_order=max_order, min_objects=k.options.get("slub_min_objects", 0), cpus=k.nr_cpu_ids, nodes=1)
