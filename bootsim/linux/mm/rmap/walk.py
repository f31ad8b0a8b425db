"""Reverse mapping: from a page to everybody who maps it (mm/rmap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_PRESENT
from bootsim.linux.mm.rmap.unmap import mapping_vmas
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux.mm.mmap.structs import Processes


class Mapped(NamedTuple):
    """One entry that shows a page: of which process, at which address (va), and Linux's word of it."""

    pid: int
    va: int
    linux: int


def rmap_walk(room: Processes, pfn: int) -> Iterator[Mapped]:
    """Every entry of a process that shows the page `pfn`, through its anon_vma or file, in the kernel's order.

    A driver's page has neither: it is found in no mapping, as in the kernel. Raises IndexError for a frame without a
    struct page.
    Source: mm/rmap.c rmap_walk_anon(), rmap_walk_file()
    """
    index = room.pages.page(pfn)[4]  # type: ignore[attr-defined]
    for vma in mapping_vmas(room.pages, pfn):  # type: ignore[arg-type]
        va = vma.vm_start + (index - vma.vm_pgoff << PAGE_SHIFT)
        linux = room.pages.entry(vma.vm_mm, va)  # type: ignore[attr-defined]
        if linux & L_PTE_PRESENT and linux >> PAGE_SHIFT == pfn:
            yield from (Mapped(task.pid, va, linux) for task in room.tasks.values() if task.mm is vma.vm_mm)
