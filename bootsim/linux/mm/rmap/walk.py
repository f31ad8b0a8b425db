"""Reverse mapping: from a page to everybody who maps it (mm/rmap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.mm.interval_tree import vma_interval_tree_foreach
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux.mm.mmap.structs import Processes, VmAreaStruct

PAGE_MAPPING_ANON = 1


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
    _, _, _, mapping, index = room.pages.page(pfn)  # type: ignore[attr-defined]
    if mapping & PAGE_MAPPING_ANON:
        anon_vma = room.anon_vmas.get(mapping & ~PAGE_MAPPING_ANON)
        tree = [] if anon_vma is None else anon_vma.rb_root
    else:
        tree = _file_tree(room, mapping)
    for vma in vma_interval_tree_foreach(tree, index, index):
        va = vma.vm_start + (index - vma.vm_pgoff << PAGE_SHIFT)
        linux = room.pages.entry(vma.vm_mm, va)  # type: ignore[attr-defined]
        if linux >> PAGE_SHIFT == pfn:
            yield from (Mapped(task.pid, va, linux) for task in room.tasks.values() if task.mm is vma.vm_mm)


def _file_tree(room: Processes, mapping: int) -> list[VmAreaStruct]:
    # the VMAs of the file whose pages have this mapping: a file that nobody maps is not looked for
    for task in room.tasks.values():
        for vma in task.mm or ():
            cache = vma.vm_file.f_mapping.page_cache if vma.vm_file is not None else None
            if mapping and cache is not None and cache.id == mapping:
                return list(vma.vm_file.f_mapping.i_mmap)
    return []
