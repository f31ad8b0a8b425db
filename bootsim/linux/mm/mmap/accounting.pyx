"""Sizes of address spaces and their limits (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport *

from bootsim.linux.kernel.printk import KERN_WARNING, printk


cdef inline bint is_data_mapping(uint32_t flags) noexcept:
    return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE


cdef bint may_expand_vm(UserMm mm, uint32_t flags, uint32_t npages) except -1:
    """Whether limits let an address space grow by so many pages.

    Source: mm/mmap.c may_expand_vm()
    """
    cdef Processes processes = mm.processes
    cdef Task current = mm.owner
    if <uint32_t>(mm.total_vm + npages) > rlimit(current, RLIMIT_AS) >> PAGE_SHIFT:
        return False
    if is_data_mapping(flags) and <uint32_t>(mm.data_vm + npages) > rlimit(current, RLIMIT_DATA) >> PAGE_SHIFT:
        if (rlimit(current, RLIMIT_DATA) == 0
                and <uint32_t>(mm.data_vm + npages) <= current.rlim_max[RLIMIT_DATA] >> PAGE_SHIFT):
            return True
        if "data" not in processes.warned:
            processes.warned.add("data")
            printk(processes.k, KERN_WARNING, "mmap: {comm} ({pid}): VmData {data} exceed data ulimit {limit}. "
                   "Update limits{how}.", comm=current.comm, pid=current.pid,
                   data=<uint32_t>((mm.data_vm + npages) << PAGE_SHIFT), limit=rlimit(current, RLIMIT_DATA),
                   how="" if processes.ignore_rlimit_data else " or use boot option ignore_rlimit_data")
        if not processes.ignore_rlimit_data:
            return False
    return True


cdef void vm_stat_account(UserMm mm, uint32_t flags, int64_t npages) noexcept:
    """Count pages of a mapping; fewer than none to take them off.

    Source: mm/mmap.c vm_stat_account()
    """
    mm.total_vm += <uint32_t>npages
    if (flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) == VM_EXEC:
        mm.exec_vm += <uint32_t>npages
    elif flags & VM_GROWSDOWN:
        mm.stack_vm += <uint32_t>npages
    elif is_data_mapping(flags):
        mm.data_vm += <uint32_t>npages


cdef int64_t mlock_future_check(UserMm mm, uint32_t flags, uint32_t length) noexcept:
    # Source: mm/mmap.c mlock_future_check()
    if flags & VM_LOCKED and not capable(mm.owner, CAP_IPC_LOCK):
        if (length >> PAGE_SHIFT) + mm.locked_vm > rlimit(mm.owner, RLIMIT_MEMLOCK) >> PAGE_SHIFT:
            return -EAGAIN
    return 0
