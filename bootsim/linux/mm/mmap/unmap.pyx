"""Mappings taken away, one range or all of a process (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.accounting cimport vm_stat_account
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport __split_vma, detach_vmas, find_vma, fput, unlink_file_vma
from bootsim.linux.mm.oom_kill.reap cimport MMF_OOM_VICTIM, oom_reap_task_mm
from bootsim.linux.mm.rmap.anon_vma cimport unlink_anon_vmas
from bootsim.linux.mm.util cimport update_hiwater_rss, vm_unacct_memory


cdef int munlock_vma_pages_range(VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
    """Unlock pages of a VMA, which is no longer VM_LOCKED. Source: mm/mlock.c munlock_vma_pages_range()"""
    vma.vm_flags &= VM_LOCKED_CLEAR_MASK
    return vma.vm_mm.pages.munlock_pages(vma, start, end)


cdef int hide_vmas(VmAreaStruct vma) except -1:
    # Nobody finds a VMA through pages or files any more: what free_pgtables() begins with. Source: mm/memory.c
    while vma is not None:
        unlink_anon_vmas(vma)
        unlink_file_vma(vma)
        vma = vma.vm_next
    return 0


cdef int unmap_region(UserMm mm, VmAreaStruct vma, VmAreaStruct prev, uint32_t start, uint32_t end) except -1:
    """Empty and free the tables of VMAs that are out of the list, from `vma` on. Source: mm/mmap.c unmap_region()"""
    cdef VmAreaStruct next_ = prev.vm_next if prev is not None else mm.mmap
    mm.pages.lru_add_drain()
    update_hiwater_rss(mm)
    mm.pages.unmap_vmas(vma, start, end)
    hide_vmas(vma)
    return mm.pages.free_pgtables(vma, prev.vm_end if prev is not None else FIRST_USER_ADDRESS,
                                  next_.vm_start if next_ is not None else mm.task_size)


cdef VmAreaStruct remove_vma(VmAreaStruct vma):
    # Close a VMA; the next one of the list.
    if vma.vm_ops is not None and vma.vm_ops.close is not None:
        vma.vm_ops.close(vma)
    if vma.vm_file is not None:
        fput(vma.vm_file)
    return vma.vm_next


cdef int remove_vma_list(UserMm mm, VmAreaStruct vma) except -1:
    # Source: mm/mmap.c remove_vma_list()
    cdef int64_t nr_accounted = 0
    mm.hiwater_vm = max(mm.hiwater_vm, mm.total_vm)
    while vma is not None:
        if vma.vm_flags & VM_ACCOUNT:
            nr_accounted += vma_pages(vma)
        vm_stat_account(mm, vma.vm_flags, -<int64_t>vma_pages(vma))
        vma = remove_vma(vma)
    vm_unacct_memory(mm.processes, nr_accounted)
    return 0


cdef int64_t do_munmap(UserMm mm, uint32_t start, uint32_t length) except? NO_ANSWER:
    """Take whatever is mapped in a range away; mappings that reach beyond it are split. Returns 0 or -errno.

    Source: mm/mmap.c __do_munmap()
    """
    cdef VmAreaStruct vma, prev, last
    cdef uint32_t end
    cdef int64_t error
    if start & ~<uint32_t>PAGE_MASK or start > mm.task_size or length > mm.task_size - start:
        return -EINVAL
    length = page_align(length)
    if length == 0:
        return -EINVAL
    end = start + length
    vma = find_vma(mm, start)
    if vma is None or vma.vm_start >= end:
        return 0
    prev = vma.vm_prev
    if start > vma.vm_start:
        if end < vma.vm_end and mm.map_count >= mm.processes.sysctl_max_map_count:
            return -ENOMEM
        error = __split_vma(mm, vma, start, False)
        if error:
            return error
        prev = vma
    last = find_vma(mm, end)
    if last is not None and end > last.vm_start:
        error = __split_vma(mm, last, end, True)
        if error:
            return error
    vma = prev.vm_next if prev is not None else mm.mmap
    if mm.locked_vm:
        munlock_range(mm, vma, end)
    detach_vmas(mm, vma, prev, end)
    unmap_region(mm, vma, prev, start, end)
    remove_vma_list(mm, vma)
    return 0


cdef int munlock_range(UserMm mm, VmAreaStruct vma, uint32_t end) except -1:
    # What is locked of VMAs that are about to go.
    while vma is not None and vma.vm_start < end:
        if vma.vm_flags & VM_LOCKED:
            mm.locked_vm -= vma_pages(vma)
            munlock_vma_pages_range(vma, vma.vm_start, vma.vm_end)
        vma = vma.vm_next
    return 0


cdef int exit_mmap(UserMm mm) except -1:
    """Take all mappings of an address space away, in the kernel's order; the VMAs stay in its lists until the last.

    Source: mm/mmap.c exit_mmap()
    """
    cdef VmAreaStruct vma = mm.mmap
    cdef int64_t nr_accounted = 0
    if mm.flags & MMF_OOM_VICTIM:
        oom_reap_task_mm(mm)
    if mm.locked_vm:
        while vma is not None:
            if vma.vm_flags & VM_LOCKED:
                munlock_vma_pages_range(vma, vma.vm_start, vma.vm_end)
            vma = vma.vm_next
    vma = mm.mmap
    if vma is None:
        return 0
    mm.pages.lru_add_drain()
    mm.pages.unmap_vmas(vma, 0, 0xFFFFFFFFU)
    hide_vmas(vma)
    mm.pages.free_pgtables(vma, FIRST_USER_ADDRESS, mm.task_size)
    detach_vmas(mm, vma, None, 0xFFFFFFFFU)
    while vma is not None:
        if vma.vm_flags & VM_ACCOUNT:
            nr_accounted += vma_pages(vma)
        vma = remove_vma(vma)
    vm_unacct_memory(mm.processes, nr_accounted)
    return 0
