"""The page allocator's early parameters (mm/page_alloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.jump_label import static_key_disable, static_key_enable
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk
from bootsim.linux.lib.cmdline import EarlyParam, memparse, simple_strtoull, value_of
from bootsim.linux.lib.kstrtox import kstrtobool, kstrtoull
from bootsim.linux.mm.page_poison import page_poisoning_enabled
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ULONG_MAX = 0xFFFFFFFF  # an unsigned long has 32 bits


def _early_init_on(k: Kernel, attribute: str, arg: str | None) -> int:
    value = kstrtobool(arg)
    if value is None:
        return -EINVAL
    if value and page_poisoning_enabled(k):
        printk(k, KERN_INFO, "mem auto-init: CONFIG_PAGE_POISONING is on, will take precedence over {option}",
               func=f"early_{attribute}", option=attribute)
    (static_key_enable if value else static_key_disable)(k, getattr(k.mm, attribute))
    return 0


def early_init_on_alloc(k: Kernel, arg: str | None) -> int:
    """init_on_alloc=: clear pages when they are allocated. Returns 0 or -errno.

    Source: mm/page_alloc.c early_init_on_alloc()
    """
    return _early_init_on(k, "init_on_alloc", arg)


def early_init_on_free(k: Kernel, arg: str | None) -> int:
    """init_on_free=: clear pages when they are freed. Returns 0 or -errno.

    Source: mm/page_alloc.c early_init_on_free()
    """
    return _early_init_on(k, "init_on_free", arg)


def _cmdline_parse_core(k: Kernel, arg: str | None, name: str) -> int:
    if arg is None:
        return -EINVAL
    number, length = simple_strtoull(arg)
    if arg[length:length + 1] == "%":
        if number > 100:
            warn(k, "mm/page_alloc.c:7632", func="cmdline_parse_core")
        setattr(k.mm, f"{name}_percent", number & ULONG_MAX)
        return 0
    pages = memparse(arg)[0] >> PAGE_SHIFT
    if pages > ULONG_MAX:
        warn(k, "mm/page_alloc.c:7638", func="cmdline_parse_core")
    setattr(k.mm, name, pages & ULONG_MAX)
    setattr(k.mm, f"{name}_percent", 0)
    return 0


def cmdline_parse_kernelcore(k: Kernel, arg: str | None) -> int:
    """kernelcore=nn[KMG]|nn%|mirror: how much memory movable pages may not take. Returns 0 or -errno.

    Source: mm/page_alloc.c cmdline_parse_kernelcore(), cmdline_parse_core()
    """
    if "mirror" in value_of("kernelcore", arg).split(","):
        k.mm.mirrored_kernelcore = True
        return 0
    return _cmdline_parse_core(k, arg, "required_kernelcore")


def cmdline_parse_movablecore(k: Kernel, arg: str | None) -> int:
    """movablecore=nn[KMG]|nn%: how much memory only movable pages may take. Returns 0 or -errno.

    Source: mm/page_alloc.c cmdline_parse_movablecore()
    """
    return _cmdline_parse_core(k, arg, "required_movablecore")


def early_debug_pagealloc(k: Kernel, arg: str | None) -> int:
    """debug_pagealloc=: on ARM, which cannot unmap pages, free pages are filled with a pattern. Returns 0 or -errno.

    Source: mm/page_alloc.c early_debug_pagealloc()
    """
    value = kstrtobool(arg)
    if value is None:
        return -EINVAL
    k.mm.debug_pagealloc_enabled = value
    return 0


def debug_guardpage_minorder_setup(k: Kernel, arg: str | None) -> int:
    """debug_guardpage_minorder=N: with debug_pagealloc, blocks of 2^N pages and more get guard pages. Returns 0.

    Source: mm/page_alloc.c debug_guardpage_minorder_setup()
    """
    value = kstrtoull(value_of("debug_guardpage_minorder", arg), 10, 32)
    if value is None or value > k.mm.max_order // 2:
        printk(k, KERN_ERR, "Bad debug_guardpage_minorder value", func="debug_guardpage_minorder_setup")
        return 0
    k.mm.debug_guardpage_minorder = value
    printk(k, KERN_INFO, "Setting debug_guardpage_minorder to {order}", func="debug_guardpage_minorder_setup",
           order=value)
    return 0


def init_debug_pagealloc(k: Kernel) -> None:
    """Switch page-allocation debugging on if it is asked for.

    Source: mm/page_alloc.c init_debug_pagealloc()
    Differs: guard pages are not modelled.
    """
    if k.mm.debug_pagealloc_enabled and k.mm.debug_guardpage_minorder:
        raise InputError("cmdline: debug_guardpage_minorder=: expected no guard pages; bootsim does not model them")


EARLY_PARAMS = (
    EarlyParam("movablecore", cmdline_parse_movablecore),
    EarlyParam("kernelcore", cmdline_parse_kernelcore),
    EarlyParam("debug_guardpage_minorder", debug_guardpage_minorder_setup, ("DEBUG_PAGEALLOC",)),
    EarlyParam("debug_pagealloc", early_debug_pagealloc, ("DEBUG_PAGEALLOC",)),
    EarlyParam("init_on_free", early_init_on_free),
    EarlyParam("init_on_alloc", early_init_on_alloc),
)
