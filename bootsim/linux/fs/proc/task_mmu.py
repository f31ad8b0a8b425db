"""/proc/PID/maps, the flags of smaps, and the sizes of status (fs/proc/task_mmu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_DIRTY, L_PTE_PRESENT, L_PTE_YOUNG
from bootsim.linux.include.linux.mm import VM_EXEC, VM_LOCKED, VM_MAYSHARE, VM_READ, VM_SHARED, VM_WRITE
from bootsim.linux.include.linux.page_flags import PG_dirty, PG_referenced, PG_swapbacked
from bootsim.linux.mm.swapfile.api import pte_to_swp_entry, swp_swapcount, swp_type_offset
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.linux.mm.filemap.cache import PageCache
    from bootsim.linux.mm.mmap.structs import Task, UserMm, VmAreaStruct

PSS_SHIFT = 12
PM_MMAP_EXCLUSIVE, PM_FILE, PM_SWAP, PM_PRESENT = 1 << 56, 1 << 61, 1 << 62, 1 << 63
MAX_SWAPFILES_SHIFT = 5
_SMAPS = (
    "Size", "KernelPageSize", "MMUPageSize", "Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean",
    "Private_Dirty", "Referenced", "Anonymous", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped",
    "Shared_Hugetlb", "Swap", "SwapPss", "Locked",
)  # fmt: skip
_WIDTH = 25 + 4 * 6 - 1  # of what stands before a name
# Names of the bits of vm_flags, from the lowest; "??" has none in 5.10.
_MNEMONICS = "rdwrexshmrmwmemsgdumpfdwuwloiosrrrdcde??acnrhtsfarwfdd??mmhgnhmg"


def _name(task: Task, vma: VmAreaStruct) -> str | None:
    mm = task.mm
    if vma.vm_file is not None:
        return str(vma.vm_file.path)
    if vma.vm_ops is not None and vma.vm_ops.name is not None:
        return vma.vm_ops.name(vma)
    if vma is task.processes.gate_vma or mm is None:
        return "[vectors]"
    if vma.vm_start <= mm.brk and vma.vm_end >= mm.start_brk:
        return "[heap]"
    return "[stack]" if vma.vm_start <= mm.start_stack <= vma.vm_end else None


def show_map_vma(task: Task, vma: VmAreaStruct) -> str:
    """One line of /proc/PID/maps, without its end.

    Source: fs/proc/task_mmu.c show_map_vma()
    """
    flags, pgoff, inode, device = vma.vm_flags, 0, 0, (0, 0)
    if vma.vm_file is not None:
        pgoff, inode, device = vma.vm_pgoff << PAGE_SHIFT, vma.vm_file.f_inode.i_ino, vma.vm_file.f_inode.s_dev
    access = "".join(c if flags & bit else "-" for c, bit in (("r", VM_READ), ("w", VM_WRITE), ("x", VM_EXEC)))
    shared = "s" if flags & VM_MAYSHARE else "p"
    line = (f"{vma.vm_start:08x}-{vma.vm_end:08x} {access}{shared} {pgoff:08x} {device[0]:02x}:{device[1]:02x} "
            f"{inode} ")  # fmt: skip
    name = _name(task, vma)
    return line if name is None else f"{line:<{_WIDTH}} {name}"


def proc_pid_maps(task: Task) -> str:
    """/proc/PID/maps; at its end the page of vectors, where programs may read it. Nothing for a process without memory.

    Source: fs/proc/task_mmu.c m_start(), m_next(), arch/arm/kernel/process.c get_gate_vma()
    """
    if task.mm is None:
        return ""
    vmas = list(task.mm)
    if task.processes.k.build.config.KUSER_HELPERS:
        vmas.append(task.processes.gate_vma)
    return "".join(f"{show_map_vma(task, vma)}\n" for vma in vmas)


def show_smap_vma_flags(vma: VmAreaStruct) -> str:
    """The line of smaps that names a mapping's flags.

    Source: fs/proc/task_mmu.c show_smap_vma_flags()
    """
    named = [_MNEMONICS[2 * bit:2 * bit + 2] for bit in range(32) if vma.vm_flags >> bit & 1]
    return "VmFlags: " + "".join(f"{name} " for name in named) + "\n"


class _Sizes(dict[str, int]):
    """struct mem_size_stats: bytes by the names that smaps has for them; Pss and Locked with 12 bits of fraction."""

    def __missing__(self, _name: str) -> int:
        return 0


def _smap_gather_stats(task: Task, vma: VmAreaStruct) -> _Sizes:
    # Source: fs/proc/task_mmu.c smaps_pte_entry(), smaps_account(), smaps_page_accumulate()
    sizes, pages = _Sizes(), task.processes.pages
    for _, pte, pfn in pages.normal_pages(vma):  # type: ignore[attr-defined]
        flags, mapcount, refcount, mapping, _ = pages.page(pfn)  # type: ignore[attr-defined]
        dirty = pte & L_PTE_DIRTY or flags & PG_dirty
        private = refcount == 1 or mapcount < 2
        pss = (PAGE_SIZE << PSS_SHIFT) // (1 if private else mapcount)
        kind = ("Private" if private else "Shared") + ("_Dirty" if dirty else "_Clean")
        lazy = mapping & 1 and not flags & PG_swapbacked and not dirty
        for name in ("Rss", kind, *(["Anonymous"] if mapping & 1 else []), *(["LazyFree"] if lazy else []),
                     *(["Referenced"] if pte & L_PTE_YOUNG or flags & PG_referenced else [])):  # fmt: skip
            sizes[name] += PAGE_SIZE
        sizes["Pss"] += pss
        sizes["Locked"] += pss if vma.vm_flags & VM_LOCKED else 0
    cache = getattr(vma.vm_file.f_mapping, "page_cache", None) if vma.vm_file is not None else None
    if cache is not None and cache.shmem:
        sizes["Swap"] += _shmem_swap(pages, vma, cache)
    for _, entry in pages.swapped_pages(vma):  # type: ignore[attr-defined]
        sizes["Swap"] += PAGE_SIZE
        sizes["SwapPss"] += (PAGE_SIZE << PSS_SHIFT) // max(swp_swapcount(task.processes.swapspace, entry), 1)
    return sizes


def _shmem_swap(pages: Any, vma: VmAreaStruct, cache: PageCache) -> int:
    # Bytes of a mapping of tmpfs that are in a swap area; of a private one, those that it has no copy of.
    # Source: mm/shmem.c shmem_swap_usage(), fs/proc/task_mmu.c smap_gather_stats(), smaps_pte_entry()
    count = vma.vm_end - vma.vm_start >> PAGE_SHIFT
    if vma.vm_flags & (VM_SHARED | VM_WRITE) == VM_WRITE:
        return PAGE_SIZE * sum(
            cache.is_swapped(vma.vm_pgoff + i) and not pages.entry(vma.vm_mm, vma.vm_start + i * PAGE_SIZE)
            for i in range(count))
    return cache.swap_usage(vma.vm_pgoff, vma.vm_pgoff + count) << PAGE_SHIFT


def show_smap(task: Task, vma: VmAreaStruct) -> str:
    """A mapping in /proc/PID/smaps.

    Source: fs/proc/task_mmu.c show_smap(), __show_smap()
    Differs: no page is huge.
    """
    sizes = _smap_gather_stats(task, vma)
    sizes |= {"Size": vma.vm_end - vma.vm_start, "KernelPageSize": PAGE_SIZE, "MMUPageSize": PAGE_SIZE,
              **{name: sizes[name] >> PSS_SHIFT for name in ("Pss", "SwapPss", "Locked")}}  # fmt: skip
    lines = [f"{name + ':':<16}{sizes.get(name, 0) >> 10:8} kB\n" for name in _SMAPS[:-3]]
    lines.append(f"Private_Hugetlb: {0:7} kB\n")
    lines += [f"{name + ':':<16}{sizes.get(name, 0) >> 10:8} kB\n" for name in _SMAPS[-3:]]
    lines += ["THPeligible:    0\n", show_smap_vma_flags(vma)]
    return f"{show_map_vma(task, vma)}\n{''.join(lines)}"


def proc_pid_smaps(task: Task) -> str:
    """/proc/PID/smaps, as `proc_pid_maps` with what is in memory of each mapping.

    Source: fs/proc/task_mmu.c show_smap()
    """
    if task.mm is None:
        return ""
    gate = [task.processes.gate_vma] if task.processes.k.build.config.KUSER_HELPERS else []
    return "".join(show_smap(task, vma) for vma in [*task.mm, *gate])


def pagemap(task: Task, va: int) -> int:
    """The 64 bits that /proc/PID/pagemap has for the page of an address; root sees the frame, or the slot.

    Source: fs/proc/task_mmu.c pte_to_pagemap_entry()
    """
    pages = task.processes.pages
    vma = None if task.mm is None else next((v for v in task.mm if va in v), None)
    word = 0 if vma is None else pages.entry(task.mm, va)  # type: ignore[attr-defined]
    if vma is None or not word:
        return 0
    if not word & L_PTE_PRESENT:
        kind, offset = swp_type_offset(pte_to_swp_entry(word))
        return PM_SWAP | kind | offset << MAX_SWAPFILES_SHIFT
    found = PM_PRESENT | word >> PAGE_SHIFT
    normal = next((pfn for at, _, pfn in pages.normal_pages(vma) if at == va & -PAGE_SIZE), None)  # type: ignore[attr-defined]
    if normal is not None:
        _, mapcount, _, mapping, _ = pages.page(normal)  # type: ignore[attr-defined]
        found |= (0 if mapping & 1 else PM_FILE) | (PM_MMAP_EXCLUSIVE if mapcount == 1 else 0)
    return found


def task_mem(mm: UserMm) -> str:
    """The lines of /proc/PID/status that tell of memory.

    Source: fs/proc/task_mmu.c task_mem()
    Differs: hugetlb pages, of which there are none, have no line.
    """
    text = page_align(mm.end_code) - (mm.start_code & -PAGE_SIZE)
    text = min(text, mm.exec_vm << PAGE_SHIFT)
    file, anon, swap, shmem = mm.rss
    rss = file + anon + shmem
    rows = {
        "VmPeak": max(mm.hiwater_vm, mm.total_vm), "VmSize": mm.total_vm, "VmLck": mm.locked_vm, "VmPin": mm.pinned_vm,
        "VmHWM": max(mm.hiwater_rss, rss), "VmRSS": rss, "RssAnon": anon, "RssFile": file, "RssShmem": shmem,
        "VmData": mm.data_vm, "VmStk": mm.stack_vm,
    }  # fmt: skip
    lines = {name: pages << PAGE_SHIFT - 10 for name, pages in rows.items()}
    lines |= {"VmExe": text >> 10, "VmLib": (mm.exec_vm << PAGE_SHIFT) - text >> 10,
              "VmPTE": mm.pgtables_bytes >> 10, "VmSwap": swap << PAGE_SHIFT - 10}  # fmt: skip
    return "".join(f"{name}:\t{kilobytes:8} kB\n" for name, kilobytes in lines.items())


def proc_pid_status(task: Task) -> str:
    """/proc/PID/status, as far as processes are there: names, numbers and memory.

    Source: fs/proc/array.c proc_pid_status()
    Differs: only what is known of a process here; no states, signals, rights or processors.
    """
    head = f"Name:\t{task.comm}\nTgid:\t{task.pid}\nPid:\t{task.pid}\nPPid:\t{task.ppid}\n"
    return head if task.mm is None else head + task_mem(task.mm)
