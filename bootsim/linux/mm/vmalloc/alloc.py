"""vmalloc(), vmap() and their kin: pages from anywhere, at consecutive kernel addresses (mm/vmalloc.c).

Pages are given as frames' numbers or as struct pages. `caller` is what /proc/vmallocinfo names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_XN
from bootsim.linux.include.linux.slab import kfree, kmalloc
from bootsim.linux.kernel.panic import warn
from bootsim.linux.mm.page_alloc import (
    __GFP_DMA,
    __GFP_DMA32,
    __GFP_HIGHMEM,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_ZERO,
    GFP_KERNEL,
    GFP_RECLAIM_MASK,
    __free_pages,
    alloc_pages,
)
from bootsim.linux.mm.page_alloc.report import warn_alloc
from bootsim.linux.mm.vmalloc.area import (
    __get_vm_area_node,
    find_vm_area,
    get_vm_area,
    purge_vmap_area_lazy,
    remove_vm_area,
    vmap_state,
)
from bootsim.linux.mm.vmalloc.early import (
    VM_ALLOC,
    VM_FLUSH_RESET_PERMS,
    VM_MAP_PUT_PAGES,
    VM_UNINITIALIZED,
    VM_USERMAP,
)
from bootsim.linux.mm.vmalloc.tables import frame, map_kernel_range
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel
    from bootsim.linux.include.linux.mm_types import Page
    from bootsim.linux.mm.vmalloc.early import VmStruct

SHMLBA = 4 * PAGE_SIZE
_POINTER_BYTES = 4


class VmallocError(BootsimError):
    """What the kernel stops at: an array of pages that is shorter than told."""


def PAGE_KERNEL(k: Kernel) -> int:
    """Linux's bits of an entry for kernel memory, not executable.

    Source: arch/arm/include/asm/pgtable.h PAGE_KERNEL
    """
    return k.mm.pgprot_kernel | L_PTE_XN


def __vmalloc_area_node(k: Kernel, area: VmStruct, gfp: int, prot: int) -> int:
    """Get the pages of an area, one by one, and map them; its address (va), or 0 and the area is gone.

    Source: mm/vmalloc.c __vmalloc_area_node()
    """
    vmap = vmap_state(k)
    nested = gfp & GFP_RECLAIM_MASK | __GFP_ZERO
    count = (area.size >> PAGE_SHIFT) - 1
    array_bytes = count * _POINTER_BYTES
    gfp |= __GFP_NOWARN
    if not gfp & (__GFP_DMA | __GFP_DMA32):
        gfp |= __GFP_HIGHMEM
    if array_bytes > PAGE_SIZE:
        array = __vmalloc(k, array_bytes, nested, caller=area.caller)
    else:
        array = kmalloc(k, array_bytes, nested) or 0
    if not array:
        remove_vm_area(k, area.addr)
        kfree(k, area.va)
        return 0
    area.pages_va = array
    for _ in range(count):
        pfn = alloc_pages(k, gfp, 0)
        if pfn is None:
            break
        area.pages.append(pfn)
    vmap.nr_vmalloc_pages += len(area.pages)
    if len(area.pages) == count and map_kernel_range(k, area.addr, count << PAGE_SHIFT, prot, area.pages) >= 0:
        return area.addr
    warn_alloc(k, gfp, f"vmalloc: allocation failure, allocated {len(area.pages) * PAGE_SIZE} of {area.size} bytes")
    vfree(k, area.addr)
    return 0


def __vmalloc_node_range(k: Kernel, size: int, align: int, start: int, end: int, gfp: int, prot: int,
                         vm_flags: int = 0, caller: str = "") -> int:
    """Get `size` bytes of pages, mapped one behind the other in [start, end); their address (va), or 0.

    Source: mm/vmalloc.c __vmalloc_node_range()
    """
    aligned = page_align(size) & 0xFFFFFFFF
    if aligned and aligned >> PAGE_SHIFT <= k.mm.totalram_pages:
        area = __get_vm_area_node(k, size, align, VM_ALLOC | VM_UNINITIALIZED | vm_flags, start, end, gfp, caller)
        if area is not None:
            addr = __vmalloc_area_node(k, area, gfp, prot)
            area.flags &= ~VM_UNINITIALIZED
            return addr
    warn_alloc(k, gfp, f"vmalloc: allocation failure: {size} bytes")
    return 0


def __vmalloc(k: Kernel, size: int, gfp_mask: int, caller: str = "") -> int:
    """Get `size` bytes of pages with `gfp_mask`, mapped one behind the other; their address (va), or 0.

    Source: mm/vmalloc.c __vmalloc()
    """
    return __vmalloc_node_range(k, size, 1, k.mm.layout.VMALLOC_START, VMALLOC_END, gfp_mask, PAGE_KERNEL(k),
                                caller=caller)


def vmalloc(k: Kernel, size: int, caller: str = "") -> int:
    """Get `size` bytes of pages, of high memory first, mapped one behind the other; their address (va), or 0.

    Source: mm/vmalloc.c vmalloc()
    """
    return __vmalloc(k, size, GFP_KERNEL, caller)


def vzalloc(k: Kernel, size: int, caller: str = "") -> int:
    """vmalloc(), and the memory is cleared; its address (va), or 0.

    Source: mm/vmalloc.c vzalloc()
    """
    return __vmalloc(k, size, GFP_KERNEL | __GFP_ZERO, caller)


def vmalloc_user(k: Kernel, size: int, caller: str = "") -> int:
    """vzalloc() for memory that a program will have mapped too: aligned to 16 KiB; its address (va), or 0.

    Source: mm/vmalloc.c vmalloc_user()
    """
    return __vmalloc_node_range(k, size, SHMLBA, k.mm.layout.VMALLOC_START, VMALLOC_END, GFP_KERNEL | __GFP_ZERO,
                                PAGE_KERNEL(k), VM_USERMAP, caller)


def vmap(k: Kernel, pages: Sequence[Page | int], count: int, flags: int, prot: int, caller: str = "") -> int:
    """Map `count` pages one behind the other, with Linux's bits `prot`; their address (va), or 0.

    With VM_MAP_PUT_PAGES vfree() will give the pages back too. Raises VmallocError for fewer pages than `count`.
    Source: mm/vmalloc.c vmap()
    """
    frames = [frame(page) for page in pages]
    if count > len(frames):
        raise VmallocError(f"vmap() of {count} pages: there are {len(frames)}")
    if count > k.mm.totalram_pages:
        return 0
    area = get_vm_area(k, count << PAGE_SHIFT, flags, caller)
    if area is None:
        return 0
    if map_kernel_range(k, area.addr, count << PAGE_SHIFT, prot, frames) < 0:
        vunmap(k, area.addr)
        return 0
    if flags & VM_MAP_PUT_PAGES:
        area.pages = frames[:count]
    return area.addr


def __vunmap(k: Kernel, addr: int, deallocate_pages: bool) -> None:
    """Unmap the area at `addr` (va), and free its pages if so told; the kernel warns of an address without one.

    Source: mm/vmalloc.c __vunmap()
    """
    if not addr:
        return
    if addr & (PAGE_SIZE - 1):
        warn(k, "mm/vmalloc.c:2245", f"Trying to vfree() bad address ({addr:08x})", func="__vunmap")
        return
    area = find_vm_area(k, addr)
    if area is None:
        warn(k, "mm/vmalloc.c:2251", f"Trying to vfree() nonexistent vm area ({addr:08x})", func="__vunmap")
        return
    remove_vm_area(k, area.addr)
    if area.flags & VM_FLUSH_RESET_PERMS:  # vm_remove_mappings(): the linear mapping keeps its permissions on ARM
        purge_vmap_area_lazy(k)
    if deallocate_pages:
        for pfn in area.pages:
            __free_pages(k, pfn, 0)
        vmap_state(k).nr_vmalloc_pages -= len(area.pages)
        kvfree(k, area.pages_va)
    kfree(k, area.va)


def vunmap(k: Kernel, addr: int) -> None:
    """Unmap what vmap() has mapped at `addr` (va).

    Source: mm/vmalloc.c vunmap()
    """
    __vunmap(k, addr, deallocate_pages=False)


def vfree(k: Kernel, addr: int) -> None:
    """Unmap the area at `addr` (va) and free its pages.

    Source: mm/vmalloc.c vfree()
    """
    __vunmap(k, addr, deallocate_pages=True)


def kvzalloc(k: Kernel, size: int, caller: str = "") -> int:
    """Get `size` cleared bytes: of kmalloc(), or, where it has none and more than a page is wanted, vmalloc(); 0: none.

    Source: mm/util.c kvmalloc_node(), of GFP_KERNEL and __GFP_ZERO
    """
    flags = GFP_KERNEL | __GFP_ZERO
    if size > PAGE_SIZE:
        flags |= __GFP_NOWARN | __GFP_NORETRY
    found = kmalloc(k, size, flags) or 0
    return found if found or size <= PAGE_SIZE else __vmalloc(k, size, GFP_KERNEL | __GFP_ZERO, caller)


def kvfree(k: Kernel, addr: int) -> None:
    """Free what kmalloc() or vmalloc() gave.

    Source: mm/util.c kvfree()
    """
    if k.mm.layout.VMALLOC_START <= addr < VMALLOC_END:
        vfree(k, addr)
    else:
        kfree(k, addr)
