"""SLUB's start (mm/slub.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk
from bootsim.linux.lib.cmdline import SetupParam, get_option

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.slub.objects import Slub

PAGE_ALLOC_COSTLY_ORDER = 3


def setup_slub_min_order(k: Kernel, text: str) -> bool:
    """slub_min_order=N.

    Source: mm/slub.c setup_slub_min_order()
    """
    k.options["slub_min_order"] = get_option(text, k.options.get("slub_min_order", 0))[1] & 0xFFFFFFFF
    return True


def setup_slub_max_order(k: Kernel, text: str) -> bool:
    """slub_max_order=N, below MAX_ORDER.

    Source: mm/slub.c setup_slub_max_order()
    """
    order = get_option(text, k.options.get("slub_max_order", PAGE_ALLOC_COSTLY_ORDER))[1] & 0xFFFFFFFF
    k.options["slub_max_order"] = min(order, k.mm.max_order - 1)
    return True


def setup_slub_min_objects(k: Kernel, text: str) -> bool:
    """slub_min_objects=N.

    Source: mm/slub.c setup_slub_min_objects()
    """
    k.options["slub_min_objects"] = get_option(text, k.options.get("slub_min_objects", 0))[1] & 0xFFFFFFFF
    return True


def _parse_slub_debug_flags(k: Kernel, block: str) -> tuple[bool, bool]:
    # parse_slub_debug_flags() of one block: does it ask for poison, is it for some slabs only
    flags, comma, _ = block.partition(",")
    if comma and not flags:
        return True, True
    poison = False
    for c in flags:
        if c == "-":
            poison = False
        elif c.lower() == "p":
            poison = True
        elif c.lower() not in "fzutao":
            printk(k, KERN_ERR, "slub_debug option '{c}' unknown. skipped", func="parse_slub_debug_flags", c=c)
    return poison, bool(comma)


def setup_slub_debug(k: Kernel, text: str) -> bool:
    """slub_debug[=FLAGS[,SLABS][;...]]: check the objects of slabs.

    Source: mm/slub.c setup_slub_debug()
    Differs: no cache is made yet, so the larger objects take nothing from the buddy allocator.
    """
    poison = True
    if text.startswith("=") and text != "=":
        blocks = [_parse_slub_debug_flags(k, block) for block in text[1:].split(";") if block]
        everywhere = [asked for asked, some in blocks if not some]
        poison = everywhere[-1] if everywhere else False
    if poison and (k.mm.init_on_alloc.taken or k.mm.init_on_free.taken):
        printk(k, KERN_INFO, "mem auto-init: SLAB_POISON will take precedence over init_on_alloc/init_on_free")
    return True


SETUP_PARAMS = (
    SetupParam("slub_min_objects=", setup_slub_min_objects, ("SLUB",)),
    SetupParam("slub_max_order=", setup_slub_max_order, ("SLUB",)),
    SetupParam("slub_min_order=", setup_slub_min_order, ("SLUB",)),
    SetupParam("slub_debug", setup_slub_debug, ("SLUB", "SLUB_DEBUG")),
)


def kmem_cache_init(k: Kernel) -> None:
    """Log how SLUB will size its slabs.

    Source: mm/slub.c kmem_cache_init()
    Differs: only the line. The caches are made when the machine is first used for objects (slab_start()), so that
        the boot's objects take nothing from the buddy allocator.
    """
    max_order = 0 if k.mm.debug_guardpage_minorder else k.options.get("slub_max_order", PAGE_ALLOC_COSTLY_ORDER)
    printk(k, KERN_INFO, "SLUB: HWalign={align}, Order={min_order}-{max_order}, MinObjects={min_objects}, CPUs={cpus}, "
           "Nodes={nodes}", align=k.mm.smp_cache_bytes, min_order=k.options.get("slub_min_order", 0),
           max_order=max_order, min_objects=k.options.get("slub_min_objects", 0), cpus=k.nr_cpu_ids, nodes=1)


def new_allocator(k: Kernel) -> Slub:
    """SLUB for a machine, without a cache yet."""
    from bootsim.linux.mm.slub.objects import Slub  # the boot itself does without

    return Slub(k)
