"""Page protection of a mapping (mm/mmap.c protection_map[], include/linux/pgtable.h pgprot_modify())."""

from libc.stdint cimport uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport (
    L_PTE_DIRTY, L_PTE_MT_BUFFERABLE, L_PTE_MT_DEV_SHARED, L_PTE_MT_MASK, L_PTE_SHARED, L_PTE_XN)
from bootsim.linux.mm.mmap.structs cimport *


cpdef inline uint32_t pgprot_noncached(uint32_t prot) noexcept:
    """The protection of a mapping, for registers: uncached, in order. Source: arch/arm/include/asm/pgtable.h"""
    return prot & ~<uint32_t>L_PTE_MT_MASK


cpdef inline uint32_t pgprot_writecombine(uint32_t prot) noexcept:
    """The protection of a mapping, for a frame buffer: uncached, buffered. Source: arch/arm/include/asm/pgtable.h"""
    return (prot & ~<uint32_t>L_PTE_MT_MASK) | L_PTE_MT_BUFFERABLE


cpdef inline uint32_t pgprot_device(uint32_t prot) noexcept:
    """The protection of a mapping, as a device's memory. Source: arch/arm/include/asm/pgtable.h"""
    return (prot & ~<uint32_t>L_PTE_MT_MASK) | L_PTE_MT_DEV_SHARED | L_PTE_SHARED | L_PTE_DIRTY | L_PTE_XN


cdef uint32_t vm_get_page_prot(Processes processes, uint32_t vm_flags) noexcept:
    return processes.protection_map[vm_flags & (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED)]


cdef uint32_t pgprot_modify(uint32_t oldprot, uint32_t newprot) noexcept:
    # A driver's choice of memory type outlives mprotect().
    if oldprot == pgprot_noncached(oldprot):
        newprot = pgprot_noncached(newprot)
    if oldprot == pgprot_writecombine(oldprot):
        newprot = pgprot_writecombine(newprot)
    if oldprot == pgprot_device(oldprot):
        newprot = pgprot_device(newprot)
    return newprot


cdef inline uint32_t vm_pgprot_modify(VmAreaStruct vma, uint32_t oldprot, uint32_t vm_flags) noexcept:
    return pgprot_modify(oldprot, vm_get_page_prot(vma.vm_mm.processes, vm_flags))


cdef bint vma_wants_writenotify(VmAreaStruct vma, uint32_t vm_page_prot) except -1:
    """Whether the first write to a page of a shared mapping must fault, so that somebody hears of it.

    Source: mm/mmap.c vma_wants_writenotify()
    """
    cdef VmOperationsStruct ops = vma.vm_ops
    if vma.vm_flags & (VM_WRITE | VM_SHARED) != VM_WRITE | VM_SHARED:
        return False
    if ops is not None and (ops.page_mkwrite is not None or ops.pfn_mkwrite is not None):
        return True
    if vm_page_prot != vm_pgprot_modify(vma, vm_page_prot, vma.vm_flags) or vma.vm_flags & VM_PFNMAP:
        return False
    return vma.vm_file is not None and vma.vm_file.f_mapping.can_writeback


cdef int vma_set_page_prot(VmAreaStruct vma) except -1:
    """Make vm_page_prot that of vm_flags. Source: mm/mmap.c vma_set_page_prot()"""
    cdef uint32_t prot = vm_pgprot_modify(vma, vma.vm_page_prot, vma.vm_flags)
    if vma_wants_writenotify(vma, prot):
        prot = vm_pgprot_modify(vma, prot, vma.vm_flags & ~<uint32_t>VM_SHARED)
    vma.vm_page_prot = prot
    return 0
