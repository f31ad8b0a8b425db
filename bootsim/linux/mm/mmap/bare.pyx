"""Address spaces without pages, in which touching memory does to VMAs what it does in the kernel.

A stack grows, a VMA in which a page would be copied or made gets its anon_vma, and what lies beyond a file's end is
refused: so mappings merge and fail as they do with pages, and nothing is kept for a page.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport FOLL_MLOCK, FOLL_POPULATE, FOLL_WRITE
from bootsim.linux.mm.mmap.accounting cimport vm_stat_account
from bootsim.linux.mm.mmap.protection cimport vm_get_page_prot, vma_set_page_prot
from bootsim.linux.mm.mmap.stack cimport expand_stack, find_extend_vma
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport Links, find_vma, find_vma_links, get_file, vm_area_alloc, vma_link
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_prepare
from bootsim.linux.mm.util cimport vm_acct_memory, vm_enough_memory

SIGBUS, SIGSEGV = 7, 11


cdef bint inside_file(VmAreaStruct vma, uint32_t addr) except -1:
    return vma.vm_file is None or (<int64_t>linear_page_index(vma, addr) << PAGE_SHIFT) < vma.vm_file.f_inode.i_size


cdef int64_t handle_mm_fault(VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER:
    # What a fault does to a VMA: 0, or SIGBUS. Source: mm/memory.c do_cow_fault(), do_anonymous_page()
    if write and not vma.vm_flags & VM_SHARED:
        anon_vma_prepare(vma)
    return 0 if inside_file(vma, addr) else 7


cdef class BarePages(UserPages):
    """UserPages that keep no pages. `shmem_file(size, vm_flags)` makes the file behind a shared anonymous mapping."""

    def __init__(self, shmem_file=None):
        self.shmem_file = shmem_file

    cdef int64_t get_user_pages(self, VmAreaStruct vma, uint32_t start, uint32_t nr_pages,
                                uint32_t gup_flags) except? NO_ANSWER:
        cdef uint32_t i
        if gup_flags & (FOLL_POPULATE | FOLL_MLOCK) == FOLL_MLOCK:
            return nr_pages  # nothing is faulted in that is not there
        for i in range(nr_pages):
            if handle_mm_fault(vma, start + (i << PAGE_SHIFT), gup_flags & FOLL_WRITE):
                return <int64_t>i if i else -EFAULT
        return nr_pages

    cdef int64_t access_process_vm(self, UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER:
        cdef uint32_t at = addr & PAGE_MASK
        cdef VmAreaStruct vma
        while at < addr + len(data):
            vma = find_extend_vma(mm, at)
            if vma is None or handle_mm_fault(vma, at, True):
                return -EFAULT
            at += PAGE_SIZE
        return 0

    cdef int64_t shmem_zero_setup(self, VmAreaStruct vma) except? NO_ANSWER:
        if not vma.vm_flags & VM_NORESERVE and vm_enough_memory(vma.vm_mm, vma_pages(vma)):
            return -ENOMEM
        if self.shmem_file is not None:
            vma.vm_file = self.shmem_file(vma.vm_end - vma.vm_start, vma.vm_flags)
            vma.vm_ops = vma.vm_file.f_op.vm_ops
        return 0


def touch(Task task not None, uint32_t addr, bint write):
    """Access a byte as a user program: 0, or the number of the signal it gets. The stack grows before the check.

    Source: arch/arm/mm/fault.c __do_page_fault(), access_error()
    """
    cdef UserMm mm = current_mm(task)
    cdef VmAreaStruct vma = find_vma(mm, addr)
    if addr >= mm.task_size or vma is None:
        return SIGSEGV
    if vma.vm_start > addr:
        if not vma.vm_flags & VM_GROWSDOWN or addr < FIRST_USER_ADDRESS or expand_stack(vma, addr):
            return SIGSEGV
    if not vma.vm_flags & (VM_WRITE if write else VM_ACCESS_FLAGS):
        return SIGSEGV
    return handle_mm_fault(vma, addr, write)


def restore(Task task not None, uint32_t start, uint32_t end, uint32_t vm_flags, uint32_t pgoff, file=None,
            VmOperationsStruct vm_ops=None):
    """Put a VMA into an address space as it is, counted and promised as if mmap() had made it; 0 or -ENOMEM."""
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
    """Give the VMA of an address its anon_vma, as the first anonymous page in it would."""
    cdef VmAreaStruct vma = find_vma(current_mm(task), addr)
    if vma is not None:
        anon_vma_prepare(vma)
