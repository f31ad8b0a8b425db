"""Address spaces as a recording has them: a VMA that is put in as it is, not made by a system call."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.mmap.accounting cimport vm_stat_account
from bootsim.linux.mm.mmap.protection cimport vm_get_page_prot, vma_set_page_prot
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport Links, find_vma, find_vma_links, get_file, vm_area_alloc, vma_link
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_prepare
from bootsim.linux.mm.util cimport vm_acct_memory


def restore(Task task not None, uint32_t start, uint32_t end, uint32_t vm_flags, uint32_t pgoff, file=None,
            VmOperationsStruct vm_ops=None):
    """Put a VMA into an address space as it is, counted and promised as if mmap() had made it; 0 or -ENOMEM.

    Source: mm/mmap.c insert_vm_struct()
    """
    cdef UserMm mm = current_mm(task)
    cdef VmAreaStruct vma = vm_area_alloc(mm)
    cdef Links links
    if find_vma_links(mm, start, end, &links):
        return -ENOMEM
    vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_pgoff = start, end, vm_flags, pgoff
    vma.vm_page_prot = vm_get_page_prot(mm.processes, vm_flags)
    vma.vm_file, vma.vm_ops = file, vm_ops
    if file is not None:
        get_file(file)
    vma_link(mm, vma, &links)
    vma_set_page_prot(vma)
    vm_stat_account(mm, vm_flags, vma_pages(vma))
    if vm_flags & VM_ACCOUNT:
        vm_acct_memory(mm.processes, vma_pages(vma))
    if vm_flags & VM_LOCKED:
        mm.locked_vm += vma_pages(vma)
    return 0


def make_anon(Task task not None, uint32_t addr):
    """Give the VMA of an address its anon_vma, as the first anonymous page in it would.

    Source: mm/rmap.c __anon_vma_prepare()
    """
    cdef VmAreaStruct vma = find_vma(current_mm(task), addr)
    if vma is not None:
        anon_vma_prepare(vma)
