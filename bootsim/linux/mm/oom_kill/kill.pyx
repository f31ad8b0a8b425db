"""Whom the OOM killer chooses, what it says, and who ends then (mm/oom_kill.c).

    a request finds nothing --> __alloc_pages_may_oom() --> out_of_memory(): the worst task is sent SIGKILL
                            <-- the request is tried again

Who is killed ends at once, but for the task that asks: it may use reserves, and ends when it leaves the kernel.
"""

cimport cython
from libc.stdint cimport uint32_t

from bootsim.linux.kernel.signal cimport SIGKILL
from bootsim.linux.mm.memory.tables cimport MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS
from bootsim.linux.mm.mmap.structs cimport Processes, Task, UserMm
from bootsim.linux.mm.oom_kill.reap cimport MMF_OOM_SKIP, MMF_OOM_VICTIM
from bootsim.linux.mm.page_alloc.core cimport count_vm_events, tell, tell_nobody_killed
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_FS
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.report cimport comm_of_current, tell_events_so_far
from bootsim.linux.mm.page_alloc.structs cimport OOM_WAITS
from bootsim.linux.mm.util cimport get_mm_rss
from bootsim.linux.mm.vmstat cimport OOM_KILL

from copy import deepcopy
from weakref import ProxyType, proxy

from bootsim.linux.kernel.fork.dup import do_exit
from bootsim.linux.kernel.panic import panic
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.mm.page_alloc.gfp import format_gfp_flags
from bootsim.linux.mm.page_alloc.report import show_mem
from bootsim.linux.mm.slab_common import dump_unreclaimable_slab
from bootsim.linux.mm.vmstat import node_page_state
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

LONG_MIN = -(1 << 31)
OOM_SCORE_ADJ_MIN, OOM_SCORE_ADJ_MAX = -1000, 1000


class OomControl:
    """struct oom_control: a request that found no memory, and whom it costs. `current` is the process that asks."""

    def __init__(self, gfp_mask, order, totalpages, current=None):
        self.gfp_mask, self.order, self.totalpages, self.current = gfp_mask, order, totalpages, current
        self.chosen, self.chosen_points = None, LONG_MIN


# ------------------------------------------------------------------ choosing

def oom_unkillable_task(Task task not None):
    """Whether a task is init, which nothing kills. Source: mm/oom_kill.c oom_unkillable_task()"""
    return task.pid == 1


def _in_vfork(Task task):
    # Source: include/linux/sched/mm.h in_vfork()
    cdef Task parent = task.processes.tasks.get(task.ppid)
    return task.vfork_done and parent is not None and parent.mm is task.mm


def totalpages(k):
    """The pages that badness is measured by: all of RAM and swap.

    Source: mm/oom_kill.c constrained_alloc(), of a machine with one node and no groups: CONSTRAINT_NONE
    """
    return k.mm.totalram_pages + k.processes.total_swap_pages


def oom_badness(Task task not None, totalpages):
    """How much a task's end would free, in pages, with what its oom_score_adj adds. LONG_MIN: it is not to be killed.

    Source: mm/oom_kill.c oom_badness()
    """
    cdef UserMm mm = task.mm
    if (oom_unkillable_task(task) or mm is None or task.oom_score_adj == OOM_SCORE_ADJ_MIN or mm.flags & MMF_OOM_SKIP
            or _in_vfork(task)):
        return LONG_MIN
    points = get_mm_rss(mm) + max(mm.rss[MM_SWAPENTS], 0) + mm.pgtables_bytes // PAGE_SIZE
    return points + task.oom_score_adj * (totalpages // 1000)


def select_bad_process(oc, tasks):
    """Choose the task with the most points; of equals, the last that was made.

    Source: mm/oom_kill.c select_bad_process(), oom_evaluate_task()
    """
    for task in tasks:
        points = oom_badness(task, oc.totalpages)
        if points != LONG_MIN and points >= oc.chosen_points:
            oc.chosen, oc.chosen_points = task, points


# ------------------------------------------------------------------ words

def _kib(pages):
    return pages << PAGE_SHIFT - 10


def dump_tasks(k):
    """Log the table of all tasks that can be killed.

    Source: mm/oom_kill.c dump_tasks(), dump_task()
    """
    cdef Task task
    printk(k, KERN_INFO, "Tasks state (memory values in pages):", func="dump_tasks")
    printk(k, KERN_INFO, "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
           func="dump_tasks")
    for task in k.processes.tasks.values():
        if oom_unkillable_task(task) or task.mm is None:
            continue
        printk(k, KERN_INFO, "[{pid:7}] {uid:5} {tgid:5} {total_vm:8} {rss:8} {pgtables:8} {swapents:8}         "
               "{adj:5} {comm}", func="dump_task", pid=task.pid, uid=task.uid, tgid=task.pid,
               total_vm=task.mm.total_vm, rss=get_mm_rss(task.mm), pgtables=task.mm.pgtables_bytes,
               swapents=max(task.mm.rss[MM_SWAPENTS], 0), adj=task.oom_score_adj, comm=task.comm)


def _is_dump_unreclaim_slabs(k):
    # Source: mm/oom_kill.c is_dump_unreclaim_slabs()
    pages = node_page_state(k)
    lru = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable")
    return pages["nr_slab_unreclaimable"] > sum(pages[f"nr_{name}"] for name in lru)


def dump_header(k, oc, Task victim):
    """Log who asks, the state of memory and of all tasks, and who is killed for it, if anybody.

    Source: mm/oom_kill.c dump_header(), dump_oom_summary()
    Differs: the stack is left out; no time passes, so that every kill is told in full, not ten in five seconds.
    """
    config, current = k.build.config, oc.current
    printk(k, KERN_WARNING, "{comm} invoked oom-killer: gfp_mask={gfp_mask:#x}({names}), order={order}, "
           "oom_score_adj={adj}", func="dump_header", comm=comm_of_current(k), gfp_mask=oc.gfp_mask,
           names=format_gfp_flags(oc.gfp_mask), order=oc.order, adj=0 if current is None else current.oom_score_adj)
    if not config.COMPACTION and oc.order:
        printk(k, KERN_WARNING, "COMPACTION is disabled!!!", func="dump_header")
    show_mem(k)
    if _is_dump_unreclaim_slabs(k):
        dump_unreclaimable_slab(k)
    if k.processes.sysctl_oom_dump_tasks:
        dump_tasks(k)
    if victim is not None:
        printk(k, KERN_INFO, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null){cpuset}{group},task={comm},pid={pid},"
               "uid={uid}", func="dump_oom_summary", cpuset=",cpuset=/,mems_allowed=0" if config.CPUSETS else "",
               group=",global_oom,task_memcg=/" if config.MEMCG else "", comm=victim.comm, pid=victim.pid,
               uid=victim.uid)


# ------------------------------------------------------------------ killing

cdef bint task_will_free_mem(Task task) except -1:
    # It is dying, and so is whoever shares its memory. Source: mm/oom_kill.c task_will_free_mem()
    cdef Task other
    if task.mm is None or not task.fatal_signal_pending or task.mm.flags & MMF_OOM_SKIP:
        return False
    for other in task.processes.tasks.values():
        if other.mm is task.mm and not other.fatal_signal_pending:
            return False
    return True


cdef int mark_oom_victim(Task task) except -1:
    # From now on it may use reserves. Source: mm/oom_kill.c mark_oom_victim()
    task.oom_victim = True
    task.mm.flags |= MMF_OOM_VICTIM
    return 0


def _kill(k, Task victim, message):
    # Source: mm/oom_kill.c __oom_kill_process()
    cdef UserMm mm = victim.mm
    cdef Task other
    count_vm_events((<Pglist>k.mm.pgdat).g, OOM_KILL, 1)
    victim.fatal_signal_pending = True
    mark_oom_victim(victim)
    printk(k, KERN_ERR, "{message}: Killed process {pid} ({comm}) total-vm:{total_vm}kB, anon-rss:{anon}kB, "
           "file-rss:{file}kB, shmem-rss:{shmem}kB, UID:{uid} pgtables:{pgtables}kB oom_score_adj:{adj}",
           func="__oom_kill_process", message=message, pid=victim.pid, comm=victim.comm, total_vm=_kib(mm.total_vm),
           anon=_kib(max(mm.rss[MM_ANONPAGES], 0)), file=_kib(max(mm.rss[MM_FILEPAGES], 0)),
           shmem=_kib(max(mm.rss[MM_SHMEMPAGES], 0)), uid=victim.uid, pgtables=mm.pgtables_bytes >> 10,
           adj=victim.oom_score_adj)
    for other in k.processes.tasks.values():
        if other.mm is not mm or other is victim:
            continue
        if oom_unkillable_task(other):
            mm.flags |= MMF_OOM_SKIP
            printk(k, KERN_INFO, "oom killer {pid} ({comm}) has mm pinned by {other} ({other_comm})",
                   func="__oom_kill_process", pid=victim.pid, comm=victim.comm, other=other.pid, other_comm=other.comm)
            continue
        other.fatal_signal_pending = True


def _oom_kill_process(k, oc, Task victim, message):
    # Source: mm/oom_kill.c oom_kill_process()
    if task_will_free_mem(victim):
        mark_oom_victim(victim)
        return
    dump_header(k, oc, victim)
    _kill(k, victim, message)


def _those_killed_end(k, current):
    # do_exit() of all that were sent SIGKILL, but for who is in the kernel now; whether there were any
    killed = [task for task in k.processes.tasks.values()
              if task.fatal_signal_pending and task is not current and not task.in_kernel]
    for task in killed:
        step(k, "process {pid} ({comm}) ends by SIGKILL", func="do_exit", pid=task.pid, comm=task.comm)
        do_exit(task, SIGKILL)
    return bool(killed)


def _skip_those_in_the_kernel(k, current):
    # Victims that cannot end now, since they wait for what this request is a part of.
    # Source: mm/oom_kill.c oom_reap_task(), of a process that holds its mmap_lock for writing
    cdef Task task
    for task in k.processes.tasks.values():
        if task.oom_victim and task is not current and not task.mm.flags & MMF_OOM_SKIP:
            task.mm.flags |= MMF_OOM_SKIP
            printk(k, KERN_INFO, "oom_reaper: unable to reap pid:{pid} ({comm})", func="oom_reap_task", pid=task.pid,
                   comm=task.comm)


def out_of_memory(k, oc):
    """Kill somebody so that a request may find memory; whether it is worth trying again. Raises KernelPanic.

    Source: mm/oom_kill.c out_of_memory()
    Differs: who is killed has ended when this returns, unless it is who asks; the kernel tries on until then.
        Where nobody may be killed, without __GFP_FS, the kernel tries on until somebody frees memory; nobody does here.
    """
    cdef Processes room = k.processes
    cdef Task current = oc.current
    if current is not None and task_will_free_mem(current):
        mark_oom_victim(current)
        return True
    if _those_killed_end(k, current):
        return True
    _skip_those_in_the_kernel(k, current)
    if not oc.gfp_mask & __GFP_FS:
        tell((<Pglist>k.mm.pgdat).g, OOM_WAITS, 0, 0)
        return False
    if room.sysctl_panic_on_oom:
        dump_header(k, oc, None)
        kind = "compulsory" if room.sysctl_panic_on_oom == 2 else "system-wide"
        panic(k, f"Out of memory: {kind} panic_on_oom is enabled", "vm.panic_on_oom is set")
    if (room.sysctl_oom_kill_allocating_task and current is not None and current.mm is not None
            and not oom_unkillable_task(current) and current.oom_score_adj != OOM_SCORE_ADJ_MIN):
        _oom_kill_process(k, oc, current, "Out of memory (oom_kill_allocating_task)")
    else:
        select_bad_process(oc, room.tasks.values())
        if oc.chosen is None:
            dump_header(k, oc, None)
            printk(k, KERN_WARNING, "Out of memory and no killable processes...", func="out_of_memory")
            panic(k, "System is deadlocked on memory", "nobody is left who may be killed: not init, which is process "
                   "1, nobody with an oom_score_adj of -1000, no child in the midst of vfork()")
        _oom_kill_process(k, oc, oc.chosen, "Out of memory")
    _those_killed_end(k, current)
    return True


def pagefault_out_of_memory(k):
    """Tell that a fault failed without memory, though nobody was killed for it.

    Source: mm/oom_kill.c pagefault_out_of_memory()
    Differs: the process would fault again and again; it ends here, since nobody frees memory meanwhile.
    """
    printk(k, KERN_WARNING, "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF",
           func="pagefault_out_of_memory")
    step(k, "nobody frees memory here: the process would fault for ever, and is ended", func="pagefault_out_of_memory",
         level=KERN_WARNING)


# ------------------------------------------------------------------ what the page allocator calls

@cython.no_gc_clear
cdef class OomKiller:
    """The OOM killer of the machine `k`, which its page allocator calls from now on."""

    def __init__(self, k):
        self.register(k if isinstance(k, ProxyType) else proxy(k), k.mm.pgdat)

    cdef int register(self, k, Pglist pglist) except -1:
        self.k, self.pglist = k, pglist
        self.hooks.self = <void *>self
        self.hooks.out_of_memory = &_out_of_memory
        self.hooks.current_is_victim = &_current_is_victim
        pglist.g.oom = &self.hooks
        return 0

    def __dealloc__(self):
        if self.pglist is not None and self.pglist.g.oom == &self.hooks:
            self.pglist.g.oom = NULL

    def __deepcopy__(self, memo):
        cdef OomKiller new = OomKiller.__new__(OomKiller)
        memo[id(self)] = new
        new.register(deepcopy(self.k, memo), deepcopy(self.pglist, memo))
        return new

    def act(self, uint32_t gfp_mask, uint32_t order):
        """Kill somebody for a request; whether to try again. Raises KernelPanic."""
        if not self.k.processes.tasks:
            tell_nobody_killed(self.pglist.g, gfp_mask, order)
            return False
        tell_events_so_far(self.k, self.pglist)
        if self.swapoff:
            step(self.k, "memory is at an end: the kernel kills the program that called swapoff() first of all "
                 "(oom_flag_origin)", func="out_of_memory", level=KERN_WARNING)
            return False
        return out_of_memory(self.k, OomControl(gfp_mask, order, totalpages(self.k), self.k.processes.current))


cdef bint _out_of_memory(void *self, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    with gil:
        killer = <OomKiller>self
        try:
            return killer.act(gfp_mask, order)
        except BaseException as error:
            killer.pglist.death = error
            return False


cdef bint _current_is_victim(void *self) noexcept nogil:
    with gil:
        current = (<OomKiller>self).k.processes.current
        return current is not None and (<Task>current).oom_victim
