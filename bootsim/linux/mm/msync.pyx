"""msync() (mm/msync.c)."""

from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport find_vma


def msync(Task task not None, uint32_t start, uint32_t length, uint32_t flags):
    """msync(): have the files of shared mappings written back; 0 or -errno. Holes are passed over, and told.

    Source: mm/msync.c SYSCALL_DEFINE3(msync)
    """
    cdef UserMm mm = current_mm(task)
    cdef VmAreaStruct vma
    cdef uint32_t end
    cdef uint64_t fstart, fend
    cdef int unmapped_error = 0
    if flags & ~<uint32_t>(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or start & ~<uint32_t>PAGE_MASK:
        return -EINVAL
    if flags & MS_ASYNC and flags & MS_SYNC:
        return -EINVAL
    end = start + page_align(length)
    if end < start:
        return -ENOMEM
    if end == start:
        return 0
    vma = find_vma(mm, start)
    while True:
        if vma is None:
            return -ENOMEM
        if start < vma.vm_start:
            start = vma.vm_start
            if start >= end:
                return -ENOMEM
            unmapped_error = -ENOMEM
        if flags & MS_INVALIDATE and vma.vm_flags & VM_LOCKED:
            return -EBUSY
        fstart = (start - vma.vm_start) + (<uint64_t>vma.vm_pgoff << PAGE_SHIFT)
        fend = fstart + (min(end, vma.vm_end) - start) - 1
        start = vma.vm_end
        if flags & MS_SYNC and vma.vm_file is not None and vma.vm_flags & VM_SHARED:
            error = vma.vm_file.f_op.fsync(vma.vm_file, fstart, fend, 1) if vma.vm_file.f_op.fsync else -EINVAL
            if error or start >= end:
                return error or unmapped_error
        elif start >= end:
            return unmapped_error
        vma = vma.vm_next
