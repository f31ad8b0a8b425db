"""What of the kernel's memory may be copied to programs, and from them (mm/usercopy.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.kernel.printk import KERN_EMERG, printk
from bootsim.linux.lib.bug import bug
from bootsim.linux.mm.slab_common import ZERO_SIZE_PTR, slab_warning

if TYPE_CHECKING:
    from bootsim.linux import Kernel

ULONG = 1 << 32


def check_object_size(k: Kernel, ptr: int, n: int, to_user: bool) -> bool:
    """Whether `n` bytes of the kernel's memory at `ptr` (va) may be copied to a program or, else, from one.

    Where they may not, the kernel says why and stops.
    Source: mm/usercopy.c __check_object_size()
    Differs: no stack of a task is known, so that none is looked at; HARDENED_USERCOPY_PAGESPAN is not modelled.
    """
    ptr, n = ptr % ULONG, n % ULONG
    if not n or not k.build.config.HARDENED_USERCOPY or not k.options.get("hardened_usercopy", True):
        return True
    if ptr + n > ULONG:
        return usercopy_abort(k, "wrapped address", None, to_user, 0, (ptr + n) % ULONG)
    if ptr <= ZERO_SIZE_PTR:
        return usercopy_abort(k, "null address", None, to_user, ptr, n)
    found = None if k.mm.slab is None else k.mm.slab.heap_object(ptr)
    if found is not None and not _check_heap_object(k, found, n, to_user):
        return False
    symbols = k.build.symbols
    if ptr < symbols.etext and ptr + n > symbols.stext:
        return usercopy_abort(k, "kernel text", None, to_user, (ptr - symbols.stext) % ULONG, n)
    return True


def _check_heap_object(k: Kernel, found: tuple[str, Any, int, int], n: int, to_user: bool) -> bool:
    what, s, offset, object_size = found
    if s is None:
        bug(k, "mm/slab.c:4150", func="__check_heap_object")
        return False
    if offset < 0:
        return usercopy_abort(k, f"{what} in left red zone", s.name, to_user, offset + s.red_left_pad, n)
    if s.useroffset <= offset <= s.useroffset + s.usersize and n <= s.useroffset - offset + s.usersize:
        return True
    if k.build.config.HARDENED_USERCOPY_FALLBACK and offset <= object_size and n <= object_size - offset:
        words = _words(what, s.name, to_user, offset, n)
        slab_warning(k, "mm/usercopy.c:75", f"Bad or missing usercopy whitelist? {words}", func="usercopy_warn",
                     once=True)
        return True
    return usercopy_abort(k, what, s.name, to_user, offset, n)


def _words(name: str, detail: str | None, to_user: bool, offset: int, n: int) -> str:
    way = ("exposure", "from") if to_user else ("overwrite", "to")
    which = "" if detail is None else f" '{detail}'"
    return f"Kernel memory {way[0]} attempt detected {way[1]} {name}{which} (offset {offset}, size {n})!"


def usercopy_abort(k: Kernel, name: str, detail: str | None, to_user: bool, offset: int, n: int) -> bool:
    """Tell what was to be copied that must not be, and stop; False.

    Source: mm/usercopy.c usercopy_abort()
    """
    printk(k, KERN_EMERG, "usercopy: {text}", func="usercopy_abort", text=_words(name, detail, to_user, offset, n))
    bug(k, "mm/usercopy.c:99", func="usercopy_abort")
    return False
