"""Pages faulted in for mlock() and MAP_POPULATE (mm/gup.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport find_vma


cdef int64_t check_vma_flags(VmAreaStruct vma, uint32_t gup_flags) noexcept:
    # Source: mm/gup.c check_vma_flags(): nobody asks on behalf of another process here
    cdef uint32_t flags = vma.vm_flags
    if flags & (VM_IO | VM_PFNMAP):
        return -EFAULT
    if gup_flags & FOLL_WRITE:
        if not flags & VM_WRITE and (not gup_flags & FOLL_FORCE or flags & (VM_SHARED | VM_MAYWRITE) != VM_MAYWRITE):
            return -EFAULT
    elif not flags & VM_READ and not (gup_flags & FOLL_FORCE and flags & VM_MAYREAD):
        return -EFAULT
    return 0


cdef int64_t populate_vma_page_range(VmAreaStruct vma, uint32_t start, uint32_t end) except? NO_ANSWER:
    """Fault the pages of a part of a VMA in, and lock them where it is VM_LOCKED; how many were done, or -errno.

    Source: mm/gup.c populate_vma_page_range()
    """
    cdef uint32_t gup_flags = FOLL_TOUCH | FOLL_MLOCK
    cdef int64_t error
    if not vma.vm_flags & VM_LOCKONFAULT:
        gup_flags |= FOLL_POPULATE
    if vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE:
        gup_flags |= FOLL_WRITE
    if vma_is_accessible(vma):
        gup_flags |= FOLL_FORCE
    error = check_vma_flags(vma, gup_flags)
    if error:
        return error
    return vma.vm_mm.pages.get_user_pages(vma, start, (end - start) >> PAGE_SHIFT, gup_flags)


cdef int64_t __mm_populate(UserMm mm, uint32_t start, uint32_t length, bint ignore_errors) except? NO_ANSWER:
    """Fault in what is mapped of a range; VM_IO and VM_PFNMAP are passed over. Returns 0 or -errno.

    Source: mm/gup.c __mm_populate()
    """
    cdef uint32_t end = start + length
    cdef uint32_t nstart = start
    cdef uint32_t nend
    cdef int64_t ret
    cdef VmAreaStruct vma = find_vma(mm, start)
    while nstart < end:
        if vma is not None and nstart >= vma.vm_end:
            vma = vma.vm_next
        if vma is None or vma.vm_start >= end:
            break
        nend = min(end, vma.vm_end)
        if vma.vm_flags & (VM_IO | VM_PFNMAP):
            nstart = nend
            continue
        nstart = max(nstart, vma.vm_start)
        ret = populate_vma_page_range(vma, nstart, nend)
        if ret < 0:
            if not ignore_errors:
                return ret
            nstart = nend
            continue
        nstart += <uint32_t>ret << PAGE_SHIFT
    return 0
