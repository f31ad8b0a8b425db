"""The room of processes, made when the first one is asked for (kernel/fork.c, mm/mmap.c mmap_init())."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import proxy

from bootsim.linux.arch.arm.asm.cachetype import cache_is_vipt_aliasing
from bootsim.linux.kernel.fork.dup import alloc_pid
from bootsim.linux.kernel.printk import step
from bootsim.linux.mm.memory.fault import ProcessPages
from bootsim.linux.mm.memory.migration import ProcessMigration
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.mmap.structs import ProcessError, Processes, Task
from bootsim.linux.mm.oom_kill.kill import OomKiller
from bootsim.linux.mm.page_alloc import nr_free_pages
from bootsim.linux.mm.shmem import shmem_kernel_file_setup
from bootsim.linux.mm.swap_state import SwapSpace
from bootsim.linux.mm.vmscan.direct import DirectReclaim
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SHMLBA = 4 * PAGE_SIZE


def processes(k: Kernel) -> Processes:
    """The processes of a booted machine. Raises ProcessError for a kernel that has not come to mem_init().

    Source: mm/util.c, mm/mmap.c init_user_reserve(), init_admin_reserve(), mm/swap.c swap_setup(),
        security/min_addr.c: the variables and their first values
    Differs: what is kept for users and the administrator is a part of what is free now, not at their initcall.
    """
    if k.processes is not None:
        return k.processes
    if not hasattr(k.mm, "protection_map") or not k.mm.totalram_pages:
        raise ProcessError("the boot has not come far enough for processes: memory is not with the page allocator yet")
    config, pages = k.build.config, ProcessPages(k, shmem_kernel_file_setup)
    made = Processes(proxy(k), config.PAGE_OFFSET, k.mm.protection_map,
                     SHMLBA - 1 if cache_is_vipt_aliasing(k) else 0,
                     pages)
    made.dac_mmap_min_addr = config.DEFAULT_MMAP_MIN_ADDR
    made.mmap_min_addr = max(config.DEFAULT_MMAP_MIN_ADDR, config.LSM_MMAP_MIN_ADDR or 0)
    made.compat_brk, made.ksm, made.swap = config.COMPAT_BRK, config.KSM, config.SWAP
    free_kbytes = nr_free_pages(k) << PAGE_SHIFT - 10
    made.sysctl_user_reserve_kbytes = min(free_kbytes // 32, made.sysctl_user_reserve_kbytes)
    made.sysctl_admin_reserve_kbytes = min(free_kbytes // 32, made.sysctl_admin_reserve_kbytes)
    made.stack_guard_gap = k.options.get("stack_guard_gap", made.stack_guard_gap)
    made.randomize_va_space = 0
    made.page_cluster = 2 if k.mm.totalram_pages >> 20 - PAGE_SHIFT < 16 else 3
    if not k.options.get("norandmaps"):
        step(k, "processes: nothing of them lies at a random place: as if norandmaps were on the command line",
             func="processes")
    made.oom_killer, made.reclaimer = OomKiller(k), DirectReclaim(pages)
    made.swapspace = SwapSpace(k, pages)
    page_holders(k).users = ProcessMigration(pages)
    k.processes = made
    return made


def new_task(k: Kernel) -> Task:
    """A task without memory, for execve() to give it some. Raises ProcessError as `processes` does.

    Source: kernel/fork.c copy_process(), of a task whose parent has no memory
    """
    room = processes(k)
    pid = alloc_pid(room)
    task = room.tasks[pid] = Task(room, pid)
    return task
