"""Growth of stacks, and of whatever else is VM_GROWSDOWN (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport populate_vma_page_range
from bootsim.linux.mm.mmap.accounting cimport may_expand_vm, vm_stat_account
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport find_vma, vma_gap_update
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_prepare, post_update_vma, pre_update_vma
from bootsim.linux.mm.util cimport vm_enough_memory


cdef int64_t acct_stack_growth(VmAreaStruct vma, uint32_t size, uint32_t grow) except? NO_ANSWER:
    """Whether limits let a stack have `size` bytes, `grow` pages more than it has; 0 or -ENOMEM.

    Source: mm/mmap.c acct_stack_growth()
    """
    cdef UserMm mm = vma.vm_mm
    if not may_expand_vm(mm, vma.vm_flags, grow) or size > rlimit(mm.owner, RLIMIT_STACK):
        return -ENOMEM
    if vma.vm_flags & VM_LOCKED and not capable(mm.owner, CAP_IPC_LOCK):
        if mm.locked_vm + grow > rlimit(mm.owner, RLIMIT_MEMLOCK) >> PAGE_SHIFT:
            return -ENOMEM
    return vm_enough_memory(mm, grow)


cdef int64_t expand_stack(VmAreaStruct vma, uint32_t address) except? NO_ANSWER:
    """Let a VMA that grows downwards begin at `address`'s page; 0, or -errno and nothing has grown.

    The gap that must stay free below counts neighbours that can be accessed only. Whoever calls has seen VM_GROWSDOWN.
    Source: mm/mmap.c expand_downwards()
    """
    cdef UserMm mm = vma.vm_mm
    cdef VmAreaStruct prev = vma.vm_prev
    cdef uint32_t grow
    cdef int64_t error
    address &= PAGE_MASK
    if address < mm.processes.mmap_min_addr:
        return -EPERM
    if prev is not None and not prev.vm_flags & VM_GROWSDOWN and vma_is_accessible(prev):
        if <uint32_t>(address - prev.vm_end) < mm.processes.stack_guard_gap:
            return -ENOMEM
    anon_vma_prepare(vma)
    if address >= vma.vm_start:
        return 0
    grow = (vma.vm_start - address) >> PAGE_SHIFT
    if grow > vma.vm_pgoff:
        return -ENOMEM
    error = acct_stack_growth(vma, vma.vm_end - address, grow)
    if error:
        return error
    if vma.vm_flags & VM_LOCKED:
        mm.locked_vm += grow
    vm_stat_account(mm, vma.vm_flags, grow)
    pre_update_vma(vma)
    vma.vm_start = address
    vma.vm_pgoff -= grow
    post_update_vma(vma)
    vma_gap_update(vma)
    return 0


cdef VmAreaStruct find_extend_vma(UserMm mm, uint32_t addr):
    """The VMA of an address; one that grows downwards grows to it. None: there is none.

    Source: mm/mmap.c find_extend_vma()
    """
    cdef VmAreaStruct vma
    cdef uint32_t start
    addr &= PAGE_MASK
    vma = find_vma(mm, addr)
    if vma is None or vma.vm_start <= addr:
        return vma
    if not vma.vm_flags & VM_GROWSDOWN:
        return None
    start = vma.vm_start
    if expand_stack(vma, addr):
        return None
    if vma.vm_flags & VM_LOCKED:
        populate_vma_page_range(vma, addr, start)
    return vma
