"""madvise(): advice that is kept in the flags of a VMA, and advice about its pages (mm/madvise.c)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport __split_vma, find_vma, last_vma, vma_merge
from bootsim.linux.mm.mprotect cimport Prev

cdef enum:
    VM_NO_KSM = (VM_SHARED | VM_MAYSHARE | VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_MIXEDMAP)


cdef bint can_madv_lru_vma(VmAreaStruct vma) noexcept:
    return not vma.vm_flags & (VM_LOCKED | VM_PFNMAP)


cdef int64_t ksm_flags(uint32_t flags, int behavior) noexcept:
    # Source: mm/ksm.c ksm_madvise(); nothing is ever merged here
    if flags & VM_NO_KSM:
        return flags
    return flags | VM_MERGEABLE if behavior == MADV_MERGEABLE else flags & ~<uint32_t>VM_MERGEABLE


cdef int64_t advised_flags(VmAreaStruct vma, int behavior) noexcept:
    """The flags of a VMA after advice, or -EINVAL. Source: mm/madvise.c madvise_behavior()"""
    cdef uint32_t flags = vma.vm_flags
    if behavior == MADV_NORMAL:
        return flags & ~<uint32_t>(VM_RAND_READ | VM_SEQ_READ)
    if behavior == MADV_SEQUENTIAL:
        return (flags & ~<uint32_t>VM_RAND_READ) | VM_SEQ_READ
    if behavior == MADV_RANDOM:
        return (flags & ~<uint32_t>VM_SEQ_READ) | VM_RAND_READ
    if behavior == MADV_DONTFORK:
        return flags | VM_DONTCOPY
    if behavior == MADV_DOFORK and not flags & VM_IO:
        return flags & ~<uint32_t>VM_DONTCOPY
    if behavior == MADV_WIPEONFORK and vma.vm_file is None and not flags & VM_SHARED:
        return flags | VM_WIPEONFORK
    if behavior == MADV_KEEPONFORK:
        return flags & ~<uint32_t>VM_WIPEONFORK
    if behavior == MADV_DONTDUMP:
        return flags | VM_DONTDUMP
    if behavior == MADV_DODUMP and not flags & VM_SPECIAL:
        return flags & ~<uint32_t>VM_DONTDUMP
    if behavior == MADV_MERGEABLE or behavior == MADV_UNMERGEABLE:
        return ksm_flags(flags, behavior)
    return -EINVAL


cdef int64_t split(UserMm mm, VmAreaStruct vma, uint32_t addr, bint new_below) except? NO_ANSWER:
    # Too many mappings are -ENOMEM; what a driver lacks for a split may be there the next time.
    cdef int64_t error
    if mm.map_count >= mm.processes.sysctl_max_map_count:
        return -ENOMEM
    error = __split_vma(mm, vma, addr, new_below)
    return -EAGAIN if error == -ENOMEM else error


cdef int64_t madvise_behavior(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end,
                              int behavior) except? NO_ANSWER:
    """Advice that changes flags: neighbours merge, or the VMA splits. 0 or -errno.

    Source: mm/madvise.c madvise_behavior()
    """
    cdef UserMm mm = vma.vm_mm
    cdef int64_t flags = advised_flags(vma, behavior)
    cdef int64_t error
    cdef VmAreaStruct merged
    if flags < 0:
        return flags
    if flags == vma.vm_flags:
        prev.vma = vma
        return 0
    merged = vma_merge(mm, prev.vma, start, end, <uint32_t>flags, vma.anon_vma, vma.vm_file,
                       vma.vm_pgoff + ((start - vma.vm_start) >> PAGE_SHIFT))
    if merged is not None:
        prev.vma = vma = merged
    else:
        prev.vma = vma
        error = 0 if start == vma.vm_start else split(mm, vma, start, True)
        if not error and end != vma.vm_end:
            error = split(mm, vma, end, False)
        if error:
            return error
    vma.vm_flags = <uint32_t>flags
    return 0


cdef int64_t madvise_remove(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end) except? NO_ANSWER:
    """Have the file punch a hole where a shared writable mapping shows it. Source: mm/madvise.c madvise_remove()"""
    cdef uint64_t offset = (start - vma.vm_start) + (<uint64_t>vma.vm_pgoff << PAGE_SHIFT)
    cdef object file = vma.vm_file
    prev.vma = None
    if vma.vm_flags & VM_LOCKED or file is None or file.f_mapping is None:
        return -EINVAL
    if vma.vm_flags & (VM_SHARED | VM_WRITE) != VM_SHARED | VM_WRITE:
        return -EACCES
    return -EOPNOTSUPP if file.f_op.fallocate is None else file.f_op.fallocate(file, offset, end - start)


cdef int64_t madvise_vma(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER:
    # Source: mm/madvise.c madvise_vma(), madvise_cold(), madvise_pageout(), madvise_dontneed_free(), madvise_willneed()
    if behavior == MADV_REMOVE:
        return madvise_remove(vma, prev, start, end)
    if behavior == MADV_WILLNEED:
        prev.vma = vma
        if vma.vm_file is None and not vma.vm_mm.processes.swap:
            return -EBADF
        return vma.vm_mm.pages.madvise_pages(vma, start, end, behavior)
    if behavior not in (MADV_COLD, MADV_PAGEOUT, MADV_FREE, MADV_DONTNEED):
        return madvise_behavior(vma, prev, start, end, behavior)
    prev.vma = vma
    if not can_madv_lru_vma(vma):
        return -EINVAL
    if behavior == MADV_DONTNEED:
        vma.vm_mm.pages.zap_page_range(vma, start, end - start)
        return 0
    if behavior == MADV_FREE and not vma_is_anonymous(vma):
        return -EINVAL
    if behavior == MADV_PAGEOUT and vma.vm_ops is not None and vma.vm_file is None:
        return 0
    return vma.vm_mm.pages.madvise_pages(vma, start, end, behavior)


cdef bint behavior_valid(Processes processes, uint32_t behavior) noexcept:
    # Source: mm/madvise.c madvise_behavior_valid()
    if behavior == MADV_MERGEABLE or behavior == MADV_UNMERGEABLE:
        return processes.ksm
    return (behavior <= MADV_DONTNEED or MADV_FREE <= behavior <= MADV_DOFORK
            or MADV_DONTDUMP <= behavior <= MADV_PAGEOUT)


def madvise(Task task not None, uint32_t start, uint32_t length, uint32_t behavior):
    """madvise(): 0 or -errno. Holes are passed over, and told by -ENOMEM at the end.

    Source: mm/madvise.c do_madvise()
    Differs: MADV_PAGEOUT asks for no right to write to a file. 32-bit ARM has no transparent huge pages without LPAE
    and no handling of memory failures: such advice is refused.
    """
    cdef UserMm mm = current_mm(task)
    cdef uint32_t end, tmp
    cdef uint32_t rounded = page_align(length)
    cdef int unmapped_error = 0
    cdef VmAreaStruct vma
    cdef Prev prev
    if not behavior_valid(mm.processes, behavior) or start & ~<uint32_t>PAGE_MASK or (length and not rounded):
        return -EINVAL
    end = start + rounded
    if end < start:
        return -EINVAL
    if end == start:
        return 0
    vma = find_vma(mm, start)
    prev = Prev(last_vma(mm) if vma is None else vma if start > vma.vm_start else vma.vm_prev)
    while True:
        if vma is None:
            return -ENOMEM
        if start < vma.vm_start:
            unmapped_error = -ENOMEM
            start = vma.vm_start
            if start >= end:
                return -ENOMEM
        tmp = min(vma.vm_end, end)
        error = madvise_vma(vma, prev, start, tmp, behavior)
        if error:
            return error
        start = tmp
        if prev.vma is not None and start < prev.vma.vm_end:
            start = prev.vma.vm_end
        if start >= end:
            return unmapped_error
        vma = prev.vma.vm_next if prev.vma is not None else find_vma(mm, start)
