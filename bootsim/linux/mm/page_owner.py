"""Who allocated each page (mm/page_owner.c), as far as the boot speaks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.lib.cmdline import EarlyParam

if TYPE_CHECKING:
    from bootsim.linux import Kernel



def early_page_owner_param(k: Kernel, arg: str | None) -> int:
    """page_owner=on. Returns 0 or a negative errno.

    Source: mm/page_owner.c early_page_owner_param()
    """
    if arg is None:
        return -EINVAL
    if arg == "on":
        k.options["page_owner"] = True
    return 0


EARLY_PARAMS = (EarlyParam("page_owner", early_page_owner_param, ("PAGE_OWNER",)),)


def init_page_owner(k: Kernel) -> None:
    """Count the pages of each zone that are in use before the buddy allocator has any: all of them.

    Source: mm/page_owner.c init_page_owner(), init_pages_in_zone()
    Differs: owners are not kept.
    """
    if not k.options.get("page_owner"):
        return
    block = (1 << k.mm.pageblock_order) - 1
    for i, zone in enumerate(k.zones):
        if not zone["present"]:
            continue
        first, last = zone["start_pfn"], zone["start_pfn"] + zone["spanned"]
        count = zone["present"]
        if i == 0:
            # frames of holes within valid pageblocks have zeroed struct pages, which say zone 0
            valid = {pfn for start, end in k.mm.pgdat.bank_pfns for pfn in range(start & ~block, end, block + 1)}
            count = sum(max(0, min(pfn + block + 1, last) - max(pfn, first)) for pfn in valid)
        printk(k, KERN_INFO, "Node {nid}, zone {zone:>8}: page owner found early allocated {pages} pages",
               func="init_pages_in_zone", nid=0, zone=zone["name"], pages=count)
