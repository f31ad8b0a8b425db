"""mprotect() (mm/mprotect.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport populate_vma_page_range
from bootsim.linux.mm.mmap.accounting cimport may_expand_vm, vm_stat_account
from bootsim.linux.mm.mmap.protection cimport vma_set_page_prot, vma_wants_writenotify
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport find_vma, split_vma, vma_merge
from bootsim.linux.mm.util cimport vm_enough_memory, vm_unacct_memory


cdef class Prev:
    """The kernel's `struct vm_area_struct **pprev`: the VMA before the range that is worked on, or what it became."""
    def __init__(self, VmAreaStruct vma):
        self.vma = vma


cdef int64_t split_both(UserMm mm, VmAreaStruct vma, uint32_t start, uint32_t end) except? NO_ANSWER:
    """Make [start, end) of a VMA one of its own; 0 or -errno, and then one split may have been made."""
    cdef int64_t error = 0
    if start != vma.vm_start:
        error = split_vma(mm, vma, start, True)
    if not error and end != vma.vm_end:
        error = split_vma(mm, vma, end, False)
    return error


cdef int64_t mprotect_fixup(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end,
                            uint32_t newflags) except? NO_ANSWER:
    """Give a part of a VMA other flags; neighbours merge, or it splits. 0 or -errno.

    Source: mm/mprotect.c mprotect_fixup()
    """
    cdef UserMm mm = vma.vm_mm
    cdef uint32_t oldflags = vma.vm_flags
    cdef uint32_t nrpages = (end - start) >> PAGE_SHIFT
    cdef uint32_t charged = 0
    cdef VmAreaStruct merged
    cdef bint dirty_accountable
    cdef int64_t error
    if newflags == oldflags:
        prev.vma = vma
        return 0
    if newflags & VM_WRITE:
        if not may_expand_vm(mm, newflags, nrpages) and may_expand_vm(mm, oldflags, nrpages):
            return -ENOMEM
        if not oldflags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE):
            charged = nrpages
            if vm_enough_memory(mm, charged):
                return -ENOMEM
            newflags |= VM_ACCOUNT
    merged = vma_merge(mm, prev.vma, start, end, newflags, vma.anon_vma, vma.vm_file,
                       vma.vm_pgoff + ((start - vma.vm_start) >> PAGE_SHIFT))
    if merged is not None:
        prev.vma = vma = merged
    else:
        prev.vma = vma
        error = split_both(mm, vma, start, end)
        if error:
            vm_unacct_memory(mm.processes, charged)
            return error
    vma.vm_flags = newflags
    dirty_accountable = vma_wants_writenotify(vma, vma.vm_page_prot)
    vma_set_page_prot(vma)
    mm.pages.change_protection(vma, start, end, vma.vm_page_prot, MM_CP_DIRTY_ACCT if dirty_accountable else 0)
    if oldflags & (VM_WRITE | VM_SHARED | VM_LOCKED) == VM_LOCKED and newflags & VM_WRITE:
        populate_vma_page_range(vma, start, end)
    vm_stat_account(mm, oldflags, -<int64_t>nrpages)
    vm_stat_account(mm, newflags, nrpages)
    return 0


def mprotect(Task task not None, uint32_t start, uint32_t length, uint32_t prot):
    """mprotect(): 0 or -errno; what came before the error has changed.

    Source: mm/mprotect.c do_mprotect_pkey()
    """
    cdef UserMm mm = current_mm(task)
    cdef uint32_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    cdef uint32_t end
    cdef VmAreaStruct vma
    cdef Prev prev
    prot &= ~<uint32_t>(PROT_GROWSDOWN | PROT_GROWSUP)
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or start & ~<uint32_t>PAGE_MASK:
        return -EINVAL
    if not length:
        return 0
    length = page_align(length)
    end = start + length
    if end <= start:
        return -ENOMEM
    if prot & ~<uint32_t>(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM):
        return -EINVAL
    vma = find_vma(mm, start)
    if vma is None:
        return -ENOMEM
    prev = Prev(vma.vm_prev)
    if grows & PROT_GROWSDOWN:
        if vma.vm_start >= end:
            return -ENOMEM
        start = vma.vm_start
        if not vma.vm_flags & VM_GROWSDOWN:
            return -EINVAL
    else:
        if vma.vm_start > start:
            return -ENOMEM
        if grows & PROT_GROWSUP:
            return -EINVAL
    if start > vma.vm_start:
        prev.vma = vma
    return protect_range(mm, vma, prev, start, end, prot)


cdef int64_t protect_range(UserMm mm, VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end,
                           uint32_t reqprot) except? NO_ANSWER:
    # VMA by VMA. Source: mm/mprotect.c do_mprotect_pkey()
    cdef bint rier = mm.owner.personality & READ_IMPLIES_EXEC and reqprot & PROT_READ
    cdef uint32_t newflags, tmp
    cdef int64_t error
    while True:
        newflags = (reqprot & VM_ACCESS_FLAGS) | (vma.vm_flags & ~<uint32_t>VM_ACCESS_FLAGS)
        if rier and vma.vm_flags & VM_MAYEXEC:
            newflags |= VM_EXEC
        if newflags & ~(newflags >> 4) & VM_ACCESS_FLAGS:
            return -EACCES
        tmp = min(vma.vm_end, end)
        error = mprotect_fixup(vma, prev, start, tmp, newflags)
        if error:
            return error
        start = max(tmp, prev.vma.vm_end)
        if start >= end:
            return 0
        vma = prev.vma.vm_next
        if vma is None or vma.vm_start != start:
            return -ENOMEM
