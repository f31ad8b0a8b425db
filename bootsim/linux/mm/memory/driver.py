"""What drivers call to map pages of theirs into a program (mm/memory.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.mmap.structs import VmAreaStruct

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.memory.fault import ProcessPages

NO_PAGE = 0xFFFFFFFF        # a fault handler has none: SIGBUS
MAPPED_ITSELF = 0xFFFFFFFE  # a fault handler has made the entry: VM_FAULT_NOPAGE
NO_MEMORY = 0xFFFFFFFD      # a fault handler got none: VM_FAULT_OOM


def _pages(vma: Any) -> ProcessPages:
    if not isinstance(vma, VmAreaStruct):
        raise InputError(f"{vma!r} is no mapping, which mmap(file, vma) and vmf.vma have")
    return vma.vm_mm.pages  # type: ignore[return-value]


def remap_pfn_range(vma: VmAreaStruct, addr: int, pfn: int, size: int, prot: int) -> int:
    """Map `size` bytes of frames from `pfn` on at `addr`, whether or not they have struct pages; 0 or -errno.

    Source: mm/memory.c remap_pfn_range()
    """
    answer = _pages(vma).remap_pfn_range(vma, addr, pfn, size, prot)
    step(vma.vm_mm.processes.k, "remap_pfn_range({addr:#x}, {pfn:#x}, {size:#x}) = {answer}", func="remap_pfn_range",
         addr=addr, pfn=pfn, size=size, answer=answer)
    return answer


def vm_insert_page(vma: VmAreaStruct, addr: int, page: Page | int) -> int:
    """Map one page of a driver's, which counts as mapped from then on; 0 or -errno.

    Source: mm/memory.c vm_insert_page()
    """
    pfn = page.pfn if isinstance(page, Page) else page
    answer = _pages(vma).vm_insert_page(vma, addr, pfn)
    step(vma.vm_mm.processes.k, "vm_insert_page({addr:#x}, page {pfn:#x}) = {answer}", func="vm_insert_page",
         addr=addr, pfn=pfn, answer=answer)
    return answer


def get_page(k: Kernel, page: Any) -> None:
    """Take one more reference to a page.

    Source: include/linux/mm.h get_page()
    """
    pa.get_page(k, page.pfn if isinstance(page, Page) else page)


def put_page(k: Kernel, page: Any) -> None:
    """Drop a reference to a page; the last one frees it.

    Source: include/linux/mm.h put_page()
    """
    pa.put_page(k, page.pfn if isinstance(page, Page) else page)
