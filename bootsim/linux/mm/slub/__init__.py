"""SLUB's start (mm/slub.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.lib.cmdline import SetupParam, get_option

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.slab_common import PageSource
    from bootsim.linux.mm.slub.objects import Slub


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
    order = get_option(text, _max_order(k))[1] & 0xFFFFFFFF
    k.options["slub_max_order"] = min(order, k.mm.max_order - 1)
    return True


def _max_order(k: Kernel) -> int:
    from bootsim.linux.mm.page_alloc.gfp import PAGE_ALLOC_COSTLY_ORDER  # loaded with the page allocator

    order: int = k.options.get("slub_max_order", PAGE_ALLOC_COSTLY_ORDER)
    return order


def setup_slub_min_objects(k: Kernel, text: str) -> bool:
    """slub_min_objects=N.

    Source: mm/slub.c setup_slub_min_objects()
    """
    k.options["slub_min_objects"] = get_option(text, k.options.get("slub_min_objects", 0))[1] & 0xFFFFFFFF
    return True


# The flags of slub_debug= by their letters (SLAB_CONSISTENCY_CHECKS and so on); `a` needs FAILSLAB.
_DEBUG_LETTERS = {"f": 0x100, "z": 0x400, "p": 0x800, "u": 0x10000, "t": 0x200000, "a": 0}
DEBUG_DEFAULT_FLAGS = 0x10D00
SLAB_POISON = 0x800


def parse_slub_debug_flags(k: Kernel, block: str) -> tuple[int, str | None]:
    """Return the flags of one block of slub_debug=, and the names of the caches it is for; None for all.

    Source: mm/slub.c parse_slub_debug_flags()
    """
    letters, comma, names = block.partition(",")
    flags = DEBUG_DEFAULT_FLAGS if comma and not letters else 0
    for c in letters:
        if c == "-":
            flags = 0
        elif c.lower() == "o":
            k.options["slub_debug_o"] = 1
        elif c.lower() in _DEBUG_LETTERS:
            flags |= _DEBUG_LETTERS[c.lower()]
        else:
            printk(k, KERN_ERR, "slub_debug option '{c}' unknown. skipped", func="parse_slub_debug_flags", c=c)
    return flags, names if comma else None


def setup_slub_debug(k: Kernel, text: str) -> bool:
    """slub_debug[=FLAGS[,SLABS][;...]]: check the objects of slabs.

    Source: mm/slub.c setup_slub_debug()
    """
    flags = DEBUG_DEFAULT_FLAGS
    named: list[tuple[int, str]] = []
    if text.startswith("=") and text != "=":
        blocks = [parse_slub_debug_flags(k, block) for block in text[1:].split(";") if block]
        named = [(some, names) for some, names in blocks if names is not None]
        everywhere = [some for some, names in blocks if names is None]
        flags = everywhere[-1] if everywhere else 0
    k.options["slub_debug"] = flags
    k.options["slub_debug_blocks"] = named
    if flags & SLAB_POISON and (k.mm.init_on_alloc.taken or k.mm.init_on_free.taken):
        printk(k, KERN_INFO, "mem auto-init: SLAB_POISON will take precedence over init_on_alloc/init_on_free")
    return True


def slab_flags(flags: int, name: str, everywhere: int, blocks: list[tuple[int, str]]) -> int:
    """Return a cache's flags with those that slub_debug= gives it: the first block that names it, else `everywhere`.

    Source: mm/slub.c kmem_cache_flags()
    """
    for some, names in blocks:
        for pattern in names.split(","):
            start, star, _ = pattern.partition("*")
            if name.startswith(start) if star else name == pattern:
                return flags | some
    return flags | everywhere


def setup_slab_nomerge(k: Kernel, _text: str) -> bool:
    """slab_nomerge, slub_nomerge: every cache has slabs of its own.

    Source: mm/slab_common.c setup_slab_nomerge()
    """
    k.options["slab_nomerge"] = True
    return True


SETUP_PARAMS = (
    SetupParam("slab_nomerge", setup_slab_nomerge, ()),
    SetupParam("slub_nomerge", setup_slab_nomerge, ("SLUB",)),
    SetupParam("slub_min_objects=", setup_slub_min_objects, ("SLUB",)),
    SetupParam("slub_max_order=", setup_slub_max_order, ("SLUB",)),
    SetupParam("slub_min_order=", setup_slub_min_order, ("SLUB",)),
    SetupParam("slub_debug", setup_slub_debug, ("SLUB", "SLUB_DEBUG")),
)


def kmem_cache_init(k: Kernel) -> None:
    """Make the first caches and kmalloc()'s, and log how SLUB sizes its slabs.

    Source: mm/slub.c kmem_cache_init()
    """
    allocator = new_allocator(k)
    allocator.init()
    k.mm.slab = allocator
    max_order = 0 if k.mm.debug_guardpage_minorder else _max_order(k)
    printk(k, KERN_INFO, "SLUB: HWalign={align}, Order={min_order}-{max_order}, MinObjects={min_objects}, CPUs={cpus}, "
           "Nodes={nodes}", align=k.mm.smp_cache_bytes, min_order=k.options.get("slub_min_order", 0),
           max_order=max_order, min_objects=k.options.get("slub_min_objects", 0), cpus=k.nr_cpu_ids, nodes=1)


def new_allocator(k: Kernel, pages: PageSource | None = None) -> Slub:
    """SLUB for a machine, without a cache yet; it checks objects when the build or slub_debug asks for that.

    Source: none, the kernel's allocator is there from the start
    """
    from bootsim.linux.mm.slub.objects import Slub  # other builds do without

    config = k.build.config
    if config.SLUB_DEBUG_ON:
        k.options.setdefault("slub_debug", DEBUG_DEFAULT_FLAGS)
    for on, what in ((config.SLAB_FREELIST_RANDOM, "the order in which this build's slabs hand out objects is random, "
                      "here it is their order in memory"),
                     (config.SLAB_FREELIST_HARDENED, "this build mixes a random number into the free pointers of each "
                      "cache, here it is 0")):
        if on:
            step(k, what, func="kmem_cache_init")
    asked = config.SLUB_DEBUG_ON or k.options.get("slub_debug") or k.options.get("slub_debug_blocks")
    if config.SLUB_DEBUG and asked:
        from bootsim.linux.mm.slub.debug import SlubDebug

        return SlubDebug(k, pages)
    return Slub(k, pages)
