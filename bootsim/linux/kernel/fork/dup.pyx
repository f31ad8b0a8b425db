"""The address space of a child (kernel/fork.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.lib.rbtree cimport RB_RIGHT
from bootsim.linux.mm.interval_tree cimport interval_tree_insert_after
from bootsim.linux.mm.mmap.accounting cimport vm_stat_account
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport exit_mmap
from bootsim.linux.mm.mmap.vma cimport fput, get_file, link_list, link_rb, vm_area_dup
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_fork
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.util cimport get_mm_rss, vm_enough_memory

from bootsim.linux.mm.mmap.structs import ProcessError

cdef tuple _COPIED = (
    "mmap_base", "task_size", "topdown", "start_code", "end_code", "start_data", "end_data", "start_brk", "brk",
    "start_stack", "arg_start", "arg_end", "env_start", "env_end", "sigpage", "vdso",
)


cdef UserMm mm_init(Processes processes, str name, Task current):
    """A new address space with its first-level table; None: there is no memory. Source: kernel/fork.c mm_init()"""
    cdef UserMm mm = UserMm(processes, name)
    mm.owner = current
    if current.mm is not None:
        mm.def_flags = current.mm.def_flags & VM_NOHUGEPAGE
    return None if mm.pages.mm_alloc_pgd(mm) else mm


cdef int share_file(VmAreaStruct tmp, VmAreaStruct mpnt) except -1:
    # A child's VMA in its file's tree, right behind the parent's.
    cdef object file = tmp.vm_file
    if file is None:
        return 0
    get_file(file)
    if tmp.vm_flags & VM_DENYWRITE:
        file.f_inode.i_writecount -= 1
    if tmp.vm_flags & VM_SHARED:
        file.f_mapping.i_mmap_writable += 1
    return interval_tree_insert_after(file.f_mapping.i_mmap, tmp, mpnt)


cdef int64_t dup_mmap(UserMm mm, UserMm oldmm) except? NO_ANSWER:
    """Copy VMAs and tables into a child: not what is VM_DONTCOPY, no pages of what is VM_WIPEONFORK, and no locks.

    Returns 0, -ENOMEM, or -EINTR for who is being killed; then the child has what was copied until then.
    Source: kernel/fork.c dup_mmap()
    """
    cdef VmAreaStruct mpnt = oldmm.mmap
    cdef VmAreaStruct prev = None
    cdef VmAreaStruct tmp
    cdef int64_t retval = 0
    mm.exe_file = oldmm.exe_file
    mm.total_vm, mm.data_vm, mm.exec_vm, mm.stack_vm = oldmm.total_vm, oldmm.data_vm, oldmm.exec_vm, oldmm.stack_vm
    while mpnt is not None:
        if mpnt.vm_flags & VM_DONTCOPY:
            vm_stat_account(mm, mpnt.vm_flags, -<int64_t>vma_pages(mpnt))
            mpnt = mpnt.vm_next
            continue
        if oldmm.owner.fatal_signal_pending:
            retval = -EINTR
            break
        if mpnt.vm_flags & VM_ACCOUNT and vm_enough_memory(oldmm, vma_pages(mpnt)):
            retval = -ENOMEM
            break
        tmp = vm_area_dup(mpnt)
        tmp.vm_mm = mm
        if tmp.vm_flags & VM_WIPEONFORK:
            tmp.anon_vma = None
        else:
            anon_vma_fork(tmp, mpnt)
        tmp.vm_flags &= VM_LOCKED_CLEAR_MASK
        share_file(tmp, mpnt)
        link_list(mm, tmp, prev)
        link_rb(mm, tmp, prev.node if prev is not None else 0, RB_RIGHT)
        mm.map_count += 1
        prev = tmp
        if not tmp.vm_flags & VM_WIPEONFORK:
            retval = mm.pages.copy_page_range(tmp, mpnt)
        if tmp.vm_ops is not None and tmp.vm_ops.open is not None:
            tmp.vm_ops.open(tmp)
        if retval:
            break
        mpnt = mpnt.vm_next
    mm.pages.flush_tlb_mm(oldmm)
    return retval


cdef UserMm dup_mm(Task task, Task current):
    """A copy of `current`'s memory for its child `task`; None: there is no room. Source: kernel/fork.c dup_mm()"""
    cdef UserMm oldmm = current.mm
    cdef UserMm mm = mm_init(oldmm.processes, f"mm of {task.pid}", current)
    if mm is None:
        return None
    for name in _COPIED:
        setattr(mm, name, getattr(oldmm, name))
    mm.saved_auxv = list(oldmm.saved_auxv)
    if dup_mmap(mm, oldmm):
        mm.exe_file = None
        mmput(mm)
        return None
    mm.hiwater_rss, mm.hiwater_vm = get_mm_rss(mm), mm.total_vm
    mm.owner = task
    if mm.exe_file is not None:
        get_file(mm.exe_file)
    return mm


cdef int mmput(UserMm mm) except -1:
    """Let an address space go; with its last user all of it does. Source: kernel/fork.c mmput()"""
    mm.mm_users -= 1
    if mm.mm_users == 0:
        exit_mmap(mm)
        if mm.processes.swapspace is not None:  # a Processes made by hand has none
            (<SwapSpace>mm.processes.swapspace).leave_mmlist(mm)
        if mm.exe_file is not None:
            fput(mm.exe_file)
            mm.exe_file = None
        mm.pages.mm_free_pgd(mm)
    return 0


cpdef uint32_t alloc_pid(Processes processes, uint32_t pid=0) except 0:
    """A process's number: `pid`, 0 for the next one that is free. Raises ProcessError when it is taken.

    Source: kernel/pid.c alloc_pid()
    """
    if not pid:
        pid = processes.last_pid + 1
        while pid in processes.tasks:
            pid += 1
    if pid in processes.tasks:
        raise ProcessError(f"process {pid} is there already")
    processes.last_pid = pid
    return pid


def copy_process(Task parent not None, bint share_mm=False, uint32_t pid=0):
    """fork(), or vfork() with `share_mm`: the child, or -ENOMEM, -EINTR. `pid` is its number, 0 for the next one.

    Source: kernel/fork.c copy_process(), copy_mm()
    Differs: memory and files alone. A vfork()'s parent is not stopped.
    """
    cdef UserMm oldmm = current_mm(parent)
    cdef Processes processes = parent.processes
    cdef Task child = Task(processes, alloc_pid(processes, pid))
    child.inherit(parent)
    if share_mm:
        child.mm = oldmm
        oldmm.mm_users += 1
        child.vfork_done = True
    else:
        child.mm = dup_mm(child, parent)
        if child.mm is None:
            return -ENOMEM
    if parent.fatal_signal_pending:
        mmput(child.mm)
        return -EINTR
    for file in child.files.values():
        get_file(file)
    processes.tasks[child.pid] = child
    return child


def do_exit(Task task not None, object signal=None):
    """End a process: its address space goes with its last user, its files are closed. `signal`: what killed it.

    Source: kernel/exit.c do_exit(), exit_mm(), exit_files()
    Differs: nothing is left for a parent to wait for.
    """
    cdef UserMm mm = task.mm
    if mm is None:
        raise ProcessError(f"process {task.pid} is gone")
    mm.owner = task
    task.mm = None
    task.exit_signal = signal
    mmput(mm)
    for file in task.files.values():
        fput(file)
    task.files = {}
    del task.processes.tasks[task.pid]
    task.processes.ended[task.pid] = signal
    if task.processes.current is task:
        task.processes.current = None
