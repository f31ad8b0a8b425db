"""execve(): a new address space with a stack, and the program's name, environment and arguments on it (fs/exec.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.kernel.fork.dup cimport mm_init, mmput
from bootsim.linux.kernel.signal cimport SIGKILL, SIGSEGV
from bootsim.linux.mm.mmap.brk cimport insert_vm_struct
from bootsim.linux.mm.mmap.protection cimport vm_get_page_prot
from bootsim.linux.mm.mmap.stack cimport expand_stack
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport get_file, vm_area_alloc
from bootsim.linux.mm.mprotect cimport Prev, mprotect_fixup
from bootsim.linux.mm.util cimport arch_pick_mmap_layout

from bootsim.linux.kernel.fork.dup import do_exit

cdef enum:
    STK_LIM = 8 << 20
    ARG_MAX = 131072
    MAX_ARG_STRLEN = 32 << PAGE_SHIFT
    STACK_EXPAND = 131072
    VM_STACK_FLAGS = VM_GROWSDOWN | VM_DATA_FLAGS_NON_EXEC | VM_ACCOUNT


cdef class LinuxBinprm:
    """struct linux_binprm: what is known of a program while it is loaded."""


cdef int64_t copy_to_user(UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER:
    # Page by page from the last, as strings reach the stack.
    cdef uint32_t end = addr + <uint32_t>len(data)
    cdef uint32_t start
    cdef int64_t error
    while end > addr:
        start = max((end - 1) & PAGE_MASK, addr)
        error = mm.pages.access_process_vm(mm, start, data[start - addr:end - addr])
        if error:
            return error
        end = start
    return 0


cdef int64_t bprm_mm_init(LinuxBinprm bprm) except? NO_ANSWER:
    """An address space with one page of stack at the top. Source: fs/exec.c bprm_mm_init(), __bprm_mm_init()"""
    cdef UserMm mm = mm_init(bprm.task.processes, f"mm of {bprm.task.pid}", bprm.task)
    cdef VmAreaStruct vma
    if mm is None:
        return -ENOMEM
    bprm.mm = mm
    vma = bprm.vma = vm_area_alloc(mm)
    vma.vm_end = mm.task_size
    vma.vm_start = vma.vm_end - PAGE_SIZE
    vma.vm_flags = VM_STACK_FLAGS | VM_STACK_INCOMPLETE_SETUP
    if bprm.task.personality & READ_IMPLIES_EXEC:
        vma.vm_flags |= VM_EXEC
    vma.vm_page_prot = vm_get_page_prot(mm.processes, vma.vm_flags)
    mm.stack_vm = mm.total_vm = 1
    bprm.p = vma.vm_end - 4
    return insert_vm_struct(mm, vma)


cdef int64_t bprm_stack_limits(LinuxBinprm bprm) except? NO_ANSWER:
    # Source: fs/exec.c bprm_stack_limits()
    cdef uint32_t limit = min(<uint32_t>(STK_LIM // 4 * 3), rlimit(bprm.task, RLIMIT_STACK) // 4)
    cdef uint32_t pointers = <uint32_t>(max(len(bprm.argv), 1) + len(bprm.envp)) * 4
    limit = max(limit, <uint32_t>ARG_MAX)
    if limit <= pointers:
        return -E2BIG
    bprm.argmin = bprm.p - (limit - pointers)
    return 0


cdef int64_t copy_string(LinuxBinprm bprm, bytes text) except? NO_ANSWER:
    # Source: fs/exec.c copy_strings()
    if len(text) >= MAX_ARG_STRLEN or <uint32_t>(bprm.p - len(text) - 1) < bprm.argmin:
        return -E2BIG
    bprm.p -= <uint32_t>len(text) + 1
    return -EFAULT if copy_to_user(bprm.mm, bprm.p, text + b"\0") else 0


cdef int begin_new_exec(LinuxBinprm bprm) except -1:
    """The old address space goes, the new one is the task's. Source: fs/exec.c begin_new_exec(), exec_mmap()"""
    cdef UserMm old = bprm.task.mm
    bprm.task.mm = bprm.mm
    bprm.task.vfork_done = False
    bprm.mm.exe_file = bprm.file
    get_file(bprm.file)
    if old is not None:
        mmput(old)
    return 0


cdef int64_t setup_arg_pages(LinuxBinprm bprm, int executable_stack) except? NO_ANSWER:
    """Give the stack its last flags, and 128 KiB to begin with; 0 or -errno.

    Source: fs/exec.c setup_new_exec(), setup_arg_pages()
    Differs: the stack is never moved, as in a process whose stack begins at no random place.
    """
    cdef UserMm mm = bprm.mm
    cdef VmAreaStruct vma = bprm.vma
    cdef Prev prev = Prev(None)
    cdef uint32_t flags = VM_STACK_FLAGS
    cdef uint32_t size, limit, base
    cdef int64_t error
    arch_pick_mmap_layout(mm)
    mm.arg_start = bprm.p
    if bprm.task.personality & READ_IMPLIES_EXEC:
        flags |= VM_EXEC
    if executable_stack == EXSTACK_ENABLE_X:
        flags |= VM_EXEC
    elif executable_stack == EXSTACK_DISABLE_X:
        flags &= ~<uint32_t>VM_EXEC
    flags |= mm.def_flags | VM_STACK_INCOMPLETE_SETUP
    error = mprotect_fixup(vma, prev, vma.vm_start, vma.vm_end, flags)
    if error:
        return error
    vma.vm_flags &= ~<uint32_t>VM_STACK_INCOMPLETE_SETUP
    size = vma.vm_end - vma.vm_start
    limit = rlimit(bprm.task, RLIMIT_STACK) & PAGE_MASK
    if <uint32_t>(size + STACK_EXPAND) > limit:
        base = vma.vm_end - limit
    else:
        base = vma.vm_start - STACK_EXPAND
    mm.start_stack = bprm.p
    return -EFAULT if expand_stack(vma, base) else 0


cdef int64_t prepare(LinuxBinprm bprm, bytes filename) except? NO_ANSWER:
    # An address space with the strings on its stack. Source: fs/exec.c do_execveat_common()
    cdef int64_t error = bprm_mm_init(bprm)
    if error:
        return error
    error = bprm_stack_limits(bprm)
    if error:
        return error
    error = copy_string(bprm, filename)
    bprm.exec_va = bprm.p
    for text in [*reversed(bprm.envp), *reversed(bprm.argv)]:
        error = error or copy_string(bprm, text)
    return error


def bprm_execve(Task task not None, file not None, load_binary not None, list argv not None, list envp not None,
                open_exec=None):
    """Load a program: `load_binary(bprm)` does, if it knows its kind. 0, or -errno: then the old program goes on,
    unless it was too late for that, and the process is ended by SIGSEGV.

    Source: fs/exec.c do_execveat_common(), bprm_execve()
    """
    cdef LinuxBinprm bprm = LinuxBinprm.__new__(LinuxBinprm)
    cdef int64_t error
    bprm.task, bprm.file, bprm.open_exec = task, file, open_exec
    bprm.argv, bprm.envp = argv or [b""], envp
    task.processes.current = task
    if file.f_inode.i_writecount > 0:
        return -ETXTBSY
    file.f_inode.i_writecount -= 1
    try:
        error = prepare(bprm, file.path.encode())
        if not error:
            error = load_binary(bprm)
    finally:
        file.f_inode.i_writecount += 1
    if error and bprm.mm is not None and task.mm is not bprm.mm:
        mmput(bprm.mm)
    elif error and bprm.mm is not None:
        do_exit(task, SIGKILL if task.fatal_signal_pending else SIGSEGV)
    if not error:
        task.comm = file.path.rpartition("/")[2][:15]
    return error
