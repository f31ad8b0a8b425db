"""mlock(), munlock() and their kin (mm/mlock.c); pages are locked and unlocked behind UserPages."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport __mm_populate
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport munlock_vma_pages_range
from bootsim.linux.mm.mmap.vma cimport find_vma, vma_merge
from bootsim.linux.mm.mprotect cimport Prev, split_both


cdef bint can_do_mlock(Task task) noexcept:
    return rlimit(task, RLIMIT_MEMLOCK) != 0 or capable(task, CAP_IPC_LOCK)


cdef int64_t mlock_fixup(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end,
                         uint32_t newflags) except? NO_ANSWER:
    """Lock or unlock a part of a VMA; VM_SPECIAL mappings are passed over. 0 or -errno.

    Source: mm/mlock.c mlock_fixup()
    """
    cdef UserMm mm = vma.vm_mm
    cdef uint32_t oldflags = vma.vm_flags
    cdef uint32_t nr_pages = (end - start) >> PAGE_SHIFT
    cdef VmAreaStruct merged
    cdef int64_t ret
    if newflags == oldflags or oldflags & VM_SPECIAL:
        prev.vma = vma
        return 0
    merged = vma_merge(mm, prev.vma, start, end, newflags, vma.anon_vma, vma.vm_file,
                       vma.vm_pgoff + ((start - vma.vm_start) >> PAGE_SHIFT))
    if merged is not None:
        vma = merged
    else:
        ret = split_both(mm, vma, start, end)
        if ret:
            prev.vma = vma
            return ret
    if not newflags & VM_LOCKED:
        mm.locked_vm -= nr_pages
        munlock_vma_pages_range(vma, start, end)
    else:
        if not oldflags & VM_LOCKED:
            mm.locked_vm += nr_pages
        vma.vm_flags = newflags
    prev.vma = vma
    return 0


cdef int64_t apply_vma_lock_flags(UserMm mm, uint32_t start, uint32_t length, uint32_t flags) except? NO_ANSWER:
    # Source: mm/mlock.c apply_vma_lock_flags()
    cdef uint32_t end = start + length
    cdef uint32_t tmp
    cdef VmAreaStruct vma
    cdef Prev prev
    cdef int64_t error
    if end < start:
        return -EINVAL
    if end == start:
        return 0
    vma = find_vma(mm, start)
    if vma is None or vma.vm_start > start:
        return -ENOMEM
    prev = Prev(vma if start > vma.vm_start else vma.vm_prev)
    while True:
        tmp = min(vma.vm_end, end)
        error = mlock_fixup(vma, prev, start, tmp, (vma.vm_flags & VM_LOCKED_CLEAR_MASK) | flags)
        if error:
            return error
        start = max(tmp, prev.vma.vm_end)
        if start >= end:
            return 0
        vma = prev.vma.vm_next
        if vma is None or vma.vm_start != start:
            return -ENOMEM


cdef uint32_t count_mm_mlocked_page_nr(UserMm mm, uint32_t start, uint32_t length):
    # How many pages of a range are locked already. Source: mm/mlock.c count_mm_mlocked_page_nr()
    cdef VmAreaStruct vma = find_vma(mm, start)
    cdef uint32_t count = 0
    while vma is not None and start + length > vma.vm_start:
        if vma.vm_flags & VM_LOCKED:
            if start > vma.vm_start:
                count -= start - vma.vm_start
            if start + length < vma.vm_end:
                count += start + length - vma.vm_start
                break
            count += vma.vm_end - vma.vm_start
        vma = vma.vm_next
    return count >> PAGE_SHIFT


cdef int64_t do_mlock(Task task, uint32_t start, uint32_t length, uint32_t flags) except? NO_ANSWER:
    # Source: mm/mlock.c do_mlock(), __mlock_posix_error_return()
    cdef UserMm mm = current_mm(task)
    cdef uint32_t limit = rlimit(task, RLIMIT_MEMLOCK) >> PAGE_SHIFT
    cdef uint32_t locked
    cdef int64_t error
    if not can_do_mlock(task):
        return -EPERM
    length = page_align(length + (start & ~<uint32_t>PAGE_MASK))
    start &= PAGE_MASK
    locked = (length >> PAGE_SHIFT) + mm.locked_vm
    if locked > limit and not capable(task, CAP_IPC_LOCK):
        locked -= count_mm_mlocked_page_nr(mm, start, length)
    if locked > limit and not capable(task, CAP_IPC_LOCK):
        return -ENOMEM
    error = apply_vma_lock_flags(mm, start, length, flags)
    if error:
        return error
    error = __mm_populate(mm, start, length, False)
    return -ENOMEM if error == -EFAULT else -EAGAIN if error == -ENOMEM else error


def mlock(Task task not None, uint32_t start, uint32_t length):
    """mlock(): lock mappings and fault their pages in; 0 or -errno. Source: mm/mlock.c SYSCALL_DEFINE2(mlock)"""
    return do_mlock(task, start, length, VM_LOCKED)


def mlock2(Task task not None, uint32_t start, uint32_t length, uint32_t flags):
    """mlock2(): with MLOCK_ONFAULT, pages are locked as they come. Source: mm/mlock.c SYSCALL_DEFINE3(mlock2)"""
    if flags & ~<uint32_t>MLOCK_ONFAULT:
        return -EINVAL
    return do_mlock(task, start, length, VM_LOCKED | VM_LOCKONFAULT if flags & MLOCK_ONFAULT else VM_LOCKED)


def munlock(Task task not None, uint32_t start, uint32_t length):
    """munlock(): 0 or -errno. Source: mm/mlock.c SYSCALL_DEFINE2(munlock)"""
    cdef UserMm mm = current_mm(task)
    length = page_align(length + (start & ~<uint32_t>PAGE_MASK))
    return apply_vma_lock_flags(mm, start & PAGE_MASK, length, 0)


cdef int apply_mlockall_flags(UserMm mm, uint32_t flags) except -1:
    # Source: mm/mlock.c apply_mlockall_flags(): errors are passed over
    cdef uint32_t locked = VM_LOCKED | VM_LOCKONFAULT if flags & MCL_ONFAULT else VM_LOCKED
    cdef VmAreaStruct vma = mm.mmap
    cdef Prev prev = Prev(None)
    mm.def_flags &= VM_LOCKED_CLEAR_MASK
    if flags & MCL_FUTURE:
        mm.def_flags |= locked
        if not flags & MCL_CURRENT:
            return 0
    if not flags & MCL_CURRENT:
        locked = 0
    while vma is not None:
        mlock_fixup(vma, prev, vma.vm_start, vma.vm_end, (vma.vm_flags & VM_LOCKED_CLEAR_MASK) | locked)
        vma = prev.vma.vm_next
    return 0


def mlockall(Task task not None, uint32_t flags):
    """mlockall(): lock what is mapped, what will be, or both; 0 or -errno.

    Source: mm/mlock.c SYSCALL_DEFINE1(mlockall)
    """
    cdef UserMm mm = current_mm(task)
    if not flags or flags & ~<uint32_t>(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        return -EINVAL
    if not can_do_mlock(task):
        return -EPERM
    if (flags & MCL_CURRENT and mm.total_vm > rlimit(task, RLIMIT_MEMLOCK) >> PAGE_SHIFT
            and not capable(task, CAP_IPC_LOCK)):
        return -ENOMEM
    apply_mlockall_flags(mm, flags)
    if flags & MCL_CURRENT:
        __mm_populate(mm, 0, mm.task_size, True)
    return 0


def munlockall(Task task not None):
    """munlockall(): 0. Source: mm/mlock.c SYSCALL_DEFINE0(munlockall)"""
    apply_mlockall_flags(current_mm(task), 0)
    return 0
