"""What the OOM killer's victim has for itself goes before all else of it (mm/oom_kill.c)."""

from bootsim.linux.mm.mmap.structs cimport VM_LOCKED, VM_PFNMAP, VM_SHARED, UserMm, VmAreaStruct, vma_is_anonymous


cdef int oom_reap_task_mm(UserMm mm) except -1:
    """Empty the private mappings of an address space whose last user has gone.

    Source: mm/oom_kill.c __oom_reap_task_mm()
    Differs: the thread oom_reaper has nothing to do. The kernel has it come two seconds after a kill, for a victim
        that is still there; here victims end at once, as they do there unless something holds them up.
    """
    cdef VmAreaStruct vma = mm.mmap
    while vma is not None:
        if not vma.vm_flags & (VM_LOCKED | VM_PFNMAP) and (vma_is_anonymous(vma) or not vma.vm_flags & VM_SHARED):
            mm.pages.zap_page_range(vma, vma.vm_start, vma.vm_end - vma.vm_start)
        vma = vma.vm_next
    mm.flags |= MMF_OOM_SKIP
    return 0
