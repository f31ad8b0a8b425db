"""/proc/PID/maps, the flags of smaps, and the sizes of status (fs/proc/task_mmu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux.mm.mmap.structs import Task, UserMm, VmAreaStruct

VM_READ, VM_WRITE, VM_EXEC, VM_MAYSHARE = 0x1, 0x2, 0x4, 0x80
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


def task_mem(mm: UserMm) -> str:
    """The lines of /proc/PID/status that tell of memory.

    Source: fs/proc/task_mmu.c task_mem()
    Differs: hugetlb pages, of which there are none, have no line.
    """
    text = (mm.end_code + PAGE_SIZE - 1 & -PAGE_SIZE) - (mm.start_code & -PAGE_SIZE)
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
