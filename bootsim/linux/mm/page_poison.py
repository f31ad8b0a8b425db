"""Writing a pattern into free pages (mm/page_poison.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.jump_label import static_key_disable, static_key_enable
from bootsim.linux.kernel.printk import KERN_ERR, printk
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.linux.lib.hexdump import hex_line
from bootsim.linux.lib.kstrtox import kstrtobool
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel

PAGE_POISON = 0xAA  # include/linux/poison.h; 0 with CONFIG_PAGE_POISONING_ZERO


def early_page_poison_param(k: Kernel, arg: str | None) -> int:
    """page_poison=: fill pages with a pattern when they are freed. Returns 0 or -errno.

    Source: mm/page_poison.c early_page_poison_param()
    """
    value = kstrtobool(arg)
    if value is None:
        return -EINVAL
    (static_key_enable if value else static_key_disable)(k, k.mm.want_page_poisoning)
    return 0


EARLY_PARAMS = (EarlyParam("page_poison", early_page_poison_param, ("PAGE_POISONING",)),)


def page_poisoning_enabled(k: Kernel) -> bool:
    """Whether free pages are filled with a pattern: page_poison=, or debug_pagealloc= (ARM cannot unmap pages).

    Source: mm/page_poison.c page_poisoning_enabled()
    """
    return k.build.config.PAGE_POISONING and (k.mm.want_page_poisoning.taken or k.mm.debug_pagealloc_enabled)


def poison_byte(k: Kernel) -> int:
    """The byte that free pages are filled with.

    Source: include/linux/poison.h PAGE_POISON
    """
    return 0 if k.build.config.PAGE_POISONING_ZERO else PAGE_POISON


def check_poison_mem(k: Kernel, pfn: int) -> None:
    """Tell where a page that was free is not as it was left.

    Source: mm/page_poison.c check_poison_mem()
    Differs: no stack; no time passes, so that every page is told, not ten in 5 s. Addresses are shown, where the kernel
    shows what it makes of them with a secret number; of high memory that of its kmap_atomic() window.
    """
    from bootsim.linux.include.linux.highmem import kmap_atomic, kunmap_atomic  # few machines come to this

    if k.build.config.PAGE_POISONING_NO_SANITY:
        return
    poison = poison_byte(k)
    data = k.machine.ram.read(pfn << PAGE_SHIFT, PAGE_SIZE)
    found = data.strip(bytes((poison,)))
    if not found:
        return
    wrong = found[0] ^ poison
    single = len(found) == 1 and not wrong & (wrong - 1)
    printk(k, KERN_ERR, "pagealloc: single bit error" if single else "pagealloc: memory corruption",
           func="check_poison_mem")
    low = pfn < k.mm.max_low_pfn or not k.build.config.HIGHMEM
    va = k.phys_to_virt(pfn << PAGE_SHIFT) if low else kmap_atomic(k, pfn)
    start = va + len(data) - len(data.lstrip(bytes((poison,))))
    for at in range(0, len(found), 16):
        printk(k, KERN_ERR, "{line}", func="check_poison_mem",
               line=f"{start + at:08x}: {hex_line(found[at:at + 16])}")
    if not low:
        kunmap_atomic(k, va)
