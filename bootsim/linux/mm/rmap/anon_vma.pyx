"""anon_vmas: which VMAs may map an anonymous page (mm/rmap.c).

A VMA is in the trees of all anon_vmas of its chain: its own, and those that its forebears' pages were made under. A
page keeps the anon_vma of the VMA that it was made in, so that after a fork it is found in parent and child alike.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.interval_tree cimport interval_tree_insert, interval_tree_remove
from bootsim.linux.mm.mmap.flags cimport *
from bootsim.linux.mm.mmap.structs cimport AnonVma, Processes, VmAreaStruct


cdef AnonVma anon_vma_alloc(Processes processes):
    cdef AnonVma anon_vma = AnonVma()
    processes.last_anon_vma += 4
    anon_vma.id = processes.last_anon_vma
    processes.anon_vmas[anon_vma.id] = anon_vma
    return anon_vma


cdef void get_anon_vma(AnonVma anon_vma):
    anon_vma.refcount += 1


cdef int put_anon_vma(Processes processes, AnonVma anon_vma) except -1:
    anon_vma.refcount -= 1
    if anon_vma.refcount == 0:
        del processes.anon_vmas[anon_vma.id]
        if anon_vma.root is not anon_vma:
            put_anon_vma(processes, anon_vma.root)
    return 0


cdef int anon_vma_chain_link(VmAreaStruct vma, AnonVma anon_vma) except -1:
    vma.anon_vma_chain.insert(0, anon_vma)
    return interval_tree_insert(anon_vma.rb_root, vma)


cdef bint anon_vma_compatible(VmAreaStruct a, VmAreaStruct b):
    # Source: mm/mmap.c anon_vma_compatible()
    return (a.vm_end == b.vm_start and a.vm_file is b.vm_file
            and not (a.vm_flags ^ b.vm_flags) & ~<uint32_t>VM_ACCESS_FLAGS
            and b.vm_pgoff == a.vm_pgoff + ((b.vm_start - a.vm_start) >> PAGE_SHIFT))


cdef AnonVma reusable_anon_vma(VmAreaStruct old, VmAreaStruct a, VmAreaStruct b):
    if anon_vma_compatible(a, b) and old.anon_vma is not None and len(old.anon_vma_chain) == 1:
        return old.anon_vma
    return None


cdef AnonVma find_mergeable_anon_vma(VmAreaStruct vma):
    # A neighbour's anon_vma, so that the two can be merged later. Source: mm/mmap.c find_mergeable_anon_vma()
    cdef AnonVma anon_vma = None
    if vma.vm_next is not None:
        anon_vma = reusable_anon_vma(vma.vm_next, vma, vma.vm_next)
        if anon_vma is not None:
            return anon_vma
    if vma.vm_prev is not None:
        anon_vma = reusable_anon_vma(vma.vm_prev, vma.vm_prev, vma)
    return anon_vma


cdef int anon_vma_prepare(VmAreaStruct vma) except -1:
    """See that a VMA has an anon_vma before its first anonymous page is made.

    Source: include/linux/rmap.h anon_vma_prepare(), mm/rmap.c __anon_vma_prepare()
    Differs: always finds memory.
    """
    cdef AnonVma anon_vma
    if vma.anon_vma is not None:
        return 0
    anon_vma = find_mergeable_anon_vma(vma)
    if anon_vma is None:
        anon_vma = anon_vma_alloc(vma.vm_mm.processes)
        anon_vma.num_children += 1  # its own parent
    vma.anon_vma = anon_vma
    anon_vma_chain_link(vma, anon_vma)
    anon_vma.num_active_vmas += 1
    return 0


cdef int anon_vma_clone(VmAreaStruct dst, VmAreaStruct src) except -1:
    """Put a VMA into the trees of all anon_vmas of another; a child may take over an anon_vma that nobody uses.

    Source: mm/rmap.c anon_vma_clone()
    Differs: always finds memory.
    """
    cdef AnonVma anon_vma
    for anon_vma in reversed(src.anon_vma_chain):
        anon_vma_chain_link(dst, anon_vma)
        if (dst.anon_vma is None and src.anon_vma is not None and anon_vma.num_children < 2
                and anon_vma.num_active_vmas == 0):
            dst.anon_vma = anon_vma
    if dst.anon_vma is not None:
        dst.anon_vma.num_active_vmas += 1
    return 0


cdef int anon_vma_fork(VmAreaStruct vma, VmAreaStruct pvma) except -1:
    """Give a child's VMA its place in the parent's trees, and an anon_vma of its own for the pages it will make.

    Source: mm/rmap.c anon_vma_fork()
    Differs: always finds memory.
    """
    cdef AnonVma anon_vma
    if pvma.anon_vma is None:
        return 0
    vma.anon_vma = None
    anon_vma_clone(vma, pvma)
    if vma.anon_vma is not None:
        return 0
    anon_vma = anon_vma_alloc(pvma.vm_mm.processes)
    anon_vma.num_active_vmas += 1
    anon_vma.root, anon_vma.parent = pvma.anon_vma.root, pvma.anon_vma
    get_anon_vma(anon_vma.root)
    vma.anon_vma = anon_vma
    anon_vma_chain_link(vma, anon_vma)
    anon_vma.parent.num_children += 1
    return 0


cdef int unlink_anon_vmas(VmAreaStruct vma) except -1:
    """Take a VMA out of all its trees; anon_vmas without VMAs go.

    Source: mm/rmap.c unlink_anon_vmas()
    """
    cdef AnonVma anon_vma
    cdef list empty = []
    for anon_vma in vma.anon_vma_chain:
        interval_tree_remove(anon_vma.rb_root, vma)
        if not anon_vma.rb_root:
            anon_vma.parent.num_children -= 1
            empty.append(anon_vma)
    if vma.anon_vma is not None:
        vma.anon_vma.num_active_vmas -= 1
    for anon_vma in empty:
        put_anon_vma(vma.vm_mm.processes, anon_vma)
    vma.anon_vma_chain.clear()
    return 0


cdef int pre_update_vma(VmAreaStruct vma) except -1:
    # Before a VMA's place changes. Source: mm/mmap.c anon_vma_interval_tree_pre_update_vma()
    cdef AnonVma anon_vma
    for anon_vma in vma.anon_vma_chain:
        interval_tree_remove(anon_vma.rb_root, vma)
    return 0


cdef int post_update_vma(VmAreaStruct vma) except -1:
    # Source: mm/mmap.c anon_vma_interval_tree_post_update_vma()
    cdef AnonVma anon_vma
    for anon_vma in vma.anon_vma_chain:
        interval_tree_insert(anon_vma.rb_root, vma)
    return 0
