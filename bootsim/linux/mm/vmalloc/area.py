"""Areas of kernel virtual memory: an address range, and what lies there (mm/vmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.mm.vmalloc.areas import VmapAreas
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def lazy_max_pages(k: Kernel) -> int:
    """How many pages of addresses may wait to be free.

    Source: mm/vmalloc.c lazy_max_pages()
    """
    return k.nr_online_cpus.bit_length() * (32 << 20 >> PAGE_SHIFT)


def ioremap_align(k: Kernel, size: int) -> int:
    """What an area of `size` bytes for registers is aligned to: its size, up to 512 KiB, or 16 MiB without SMP.

    Source: mm/vmalloc.c __get_vm_area_node(), arch/arm/include/asm/memory.h IOREMAP_MAX_ORDER
    """
    most = 24 if not k.build.config.SMP and not k.build.config.ARM_LPAE else PAGE_SHIFT + 7
    return 1 << min(max((size - 1).bit_length(), PAGE_SHIFT), most)


def new_areas(k: Kernel) -> VmapAreas:
    """The address ranges as they are when there is an allocator of them: taken where the boot has taken them.

    Source: mm/vmalloc.c vmalloc_init()
    """
    return VmapAreas([(vm.addr, vm.addr + vm.size) for vm in k.mm.vmlist])
