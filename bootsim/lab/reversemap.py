"""From a page to everybody who maps it, as a picture of the structures on the way.

    anonymous:  page --> anon_vma --> anon_vma_chain --> vm_area_struct --> mm_struct, its entry
    of a file:  page --> address_space ----------------> vm_area_struct --> mm_struct, its entry

A VMA belongs to as many trees as it has anon_vmas; an anon_vma_chain is one of these memberships.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.lab.drawing import Box, Drawing, Row
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_PRESENT
from bootsim.linux.fs.proc.task_mmu import show_map_vma
from bootsim.linux.mm.rmap.unmap import mapping_vmas
from bootsim.linux.mm.swapfile.api import pte_to_swp_entry, swp_type_offset
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import AnonVma, Processes, VmAreaStruct

_MOST = 8  # VMAs that are shown
PAGE_MAPPING_ANON = 1


def mapped_page(k: Kernel, pfn: int) -> Drawing:
    """Return the structures that lead from a page to its mappings; of a page that has none, the page alone."""
    room: Any = k.processes
    page = k.page(pfn)
    rows = [Row(f"_refcount {page.refcount}, _mapcount {page.mapcount}")]
    columns = [[Box("page", f"struct page of frame {pfn:#x}", rows)]]
    vmas = [] if room is None else mapping_vmas(room.pages, pfn)
    anonymous = page.mapping & PAGE_MAPPING_ANON
    if not vmas:
        rows.append(Row("mapping: leads to no VMA" if page.mapping else "mapping NULL"))
        return Drawing(f"Reverse mapping of frame {pfn:#x}", columns)
    kind = "anon_vma | PAGE_MAPPING_ANON" if anonymous else "address_space"
    rows += [Row(f"mapping: {kind}", "home"), Row(f"index {page.index:#x}")]
    columns += _anonymous(room, page.mapping & ~PAGE_MAPPING_ANON, vmas) if anonymous else _of_file(vmas)
    columns += _address_spaces(room, page, vmas[:_MOST])
    return Drawing(f"Reverse mapping of frame {pfn:#x}", columns)


def _of_file(vmas: list[VmAreaStruct]) -> list[list[Box]]:
    file = vmas[0].vm_file
    mapping = file.f_mapping
    rows = [Row(f"host: inode of {file.path}"), Row(f"i_mmap, an interval tree, VMAs: {len(mapping.i_mmap)}")]
    rows += [Row(f"VMA of {_owner(vma)}", _key(vma)) for vma in vmas[:_MOST]]
    return [[Box("home", "struct address_space", [*rows, *_more(vmas)])]]


def _anonymous(room: Processes, home: int, vmas: list[VmAreaStruct]) -> list[list[Box]]:
    # the page's anon_vma first, then those that its VMAs have beside it; and who is in their trees
    wanted = {anon_vma.id: anon_vma for vma in vmas[:_MOST] for anon_vma in reversed(vma.anon_vma_chain)}
    keys = {id_: "home" if id_ == home else f"anon_vma {id_}" for id_ in [home, *wanted]}
    columns: list[list[Box]] = [[], []]
    for id_, key in keys.items():
        anon_vma = room.anon_vmas[id_]
        root = "itself" if anon_vma.root is anon_vma else _name(anon_vma.root)
        parent = "itself" if anon_vma.parent is anon_vma else _name(anon_vma.parent)
        rows = [Row(f"root {root}, parent {parent}"), Row(f"rb_root, an interval tree, VMAs: {len(anon_vma.rb_root)}")]
        for vma in [vma for vma in vmas[:_MOST] if anon_vma in vma.anon_vma_chain]:
            link = f"link {id_} {_key(vma)}"
            rows.append(Row(f"anon_vma_chain of {_owner(vma)}", link))
            columns[1].append(Box(link, "struct anon_vma_chain", [
                Row(f"vma, of {_owner(vma)}", _key(vma)), Row(f"anon_vma {_name(anon_vma)}", key)]))  # fmt: skip
        columns[0].append(Box(key, f"struct anon_vma {_name(anon_vma)}", rows))
    columns[0][0].rows.extend(_more(vmas))
    return columns


def _address_spaces(room: Processes, page: Any, vmas: list[VmAreaStruct]) -> list[list[Box]]:
    shown: list[Box] = []
    spaces: dict[int, Box] = {}
    for vma in vmas:
        task = next(task for task in room.tasks.values() if task.mm is vma.vm_mm)
        va = vma.vm_start + (page.index - vma.vm_pgoff << PAGE_SHIFT)
        own = [] if vma.anon_vma is None else [Row(f"anon_vma {_name(vma.anon_vma)}")]
        shown.append(Box(_key(vma), "struct vm_area_struct", [
            Row(show_map_vma(task, vma).strip()), Row(f"vm_pgoff {vma.vm_pgoff:#x}: the page is at {va:#010x}"),
            *own, Row("vm_mm", f"mm {task.pid}")]))  # fmt: skip
        if task.pid not in spaces:
            spaces[task.pid] = Box(f"mm {task.pid}", f"struct mm_struct of process {task.pid}, {task.comm}",
                                   [Row(f"pgd at {vma.vm_mm.pgd_pa:#010x}")])
        spaces[task.pid].rows.append(Row(_entry(room, page.pfn, vma, va)))
    return [shown, [*spaces.values()]]


def _entry(room: Any, pfn: int, vma: VmAreaStruct, va: int) -> str:
    word = room.pages.entry(vma.vm_mm, va)
    if word and not word & L_PTE_PRESENT:
        area, slot = swp_type_offset(pte_to_swp_entry(word))
        shows = f"slot {slot} of swap area {area}"
    else:
        frame = word >> PAGE_SHIFT
        shows = "none" if not word else "this page" if frame == pfn else f"another frame, {frame:#x}"
    return f"entry of {va:#010x}: {word:08x}, {shows}"


def _key(vma: VmAreaStruct) -> str:
    return f"vma {id(vma)}"


def _owner(vma: VmAreaStruct) -> str:
    owners = [task.pid for task in vma.vm_mm.processes.tasks.values() if task.mm is vma.vm_mm]
    return f"process {', '.join(map(str, owners))}"


def _name(anon_vma: AnonVma) -> str:
    return f"{anon_vma.id // 4}"


def _more(vmas: list[VmAreaStruct]) -> list[Row]:
    return [Row(f"... {len(vmas) - _MOST} more")] if len(vmas) > _MOST else []
