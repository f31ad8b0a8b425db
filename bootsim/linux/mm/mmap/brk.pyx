"""The heap, and mappings that the kernel itself makes: stack, sigpage, vdso (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport __mm_populate
from bootsim.linux.mm.mmap.accounting cimport may_expand_vm, mlock_future_check, vm_stat_account
from bootsim.linux.mm.mmap.map cimport get_unmapped_area, munmap_vma_range
from bootsim.linux.mm.mmap.protection cimport vm_get_page_prot
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport do_munmap
from bootsim.linux.mm.mmap.vma cimport (
    Links, find_vma, find_vma_links, vm_area_alloc, vm_start_gap, vma_link, vma_merge)
from bootsim.linux.mm.util cimport vm_enough_memory


cdef bint check_data_rlimit(UserMm mm, uint32_t new) noexcept:
    # Whether RLIMIT_DATA forbids a break. Source: include/linux/mm.h check_data_rlimit()
    cdef uint32_t limit = rlimit(mm.owner, RLIMIT_DATA)
    return limit < RLIM_INFINITY and <uint32_t>(new - mm.start_brk + mm.end_data - mm.start_data) > limit


def brk(Task task not None, uint32_t brk):
    """brk(): move the end of the heap. The break as it is then; nothing moves where it cannot.

    Source: mm/mmap.c SYSCALL_DEFINE1(brk)
    """
    cdef UserMm mm = current_mm(task)
    cdef uint32_t origbrk = mm.brk
    cdef uint32_t newbrk, oldbrk
    cdef VmAreaStruct next_
    cdef bint by_data = mm.processes.compat_brk and not task.brk_randomized
    if brk < (mm.end_data if by_data else mm.start_brk) or check_data_rlimit(mm, brk):
        return origbrk
    newbrk, oldbrk = page_align(brk), page_align(mm.brk)
    if oldbrk == newbrk:
        mm.brk = brk
        return brk
    if brk <= mm.brk:
        mm.brk = brk
        if do_munmap(mm, newbrk, oldbrk - newbrk) < 0:
            mm.brk = origbrk
        return mm.brk
    next_ = find_vma(mm, oldbrk)
    if next_ is not None and <uint32_t>(newbrk + PAGE_SIZE) > vm_start_gap(next_):
        return origbrk
    if do_brk_flags(mm, oldbrk, newbrk - oldbrk, 0) < 0:
        return origbrk
    mm.brk = brk
    if mm.def_flags & VM_LOCKED:
        __mm_populate(mm, oldbrk, newbrk - oldbrk, True)
    return brk


cdef int64_t do_brk_flags(UserMm mm, uint32_t addr, uint32_t length, uint32_t flags) except? NO_ANSWER:
    """Map anonymous memory at an address, in place of what is there; 0 or -errno.

    Source: mm/mmap.c do_brk_flags()
    """
    cdef Links links
    cdef VmAreaStruct vma
    cdef uint32_t pages = length >> PAGE_SHIFT
    cdef int64_t error
    if flags & ~<uint32_t>VM_EXEC:
        return -EINVAL
    flags |= VM_DATA_FLAGS_NON_EXEC | VM_ACCOUNT | mm.def_flags
    if mm.owner.personality & READ_IMPLIES_EXEC:
        flags |= VM_EXEC
    error = get_unmapped_area(mm, None, addr, length, 0, MAP_FIXED)
    if error < 0:
        return error
    error = mlock_future_check(mm, mm.def_flags, length)
    if error:
        return error
    if munmap_vma_range(mm, addr, length, &links) or not may_expand_vm(mm, flags, pages):
        return -ENOMEM
    if mm.map_count > mm.processes.sysctl_max_map_count or vm_enough_memory(mm, pages):
        return -ENOMEM
    vma = vma_merge(mm, mm.at(links.prev), addr, addr + length, flags, None, None, addr >> PAGE_SHIFT)
    if vma is None:
        vma = vm_area_alloc(mm)
        vma.vm_start, vma.vm_end, vma.vm_pgoff, vma.vm_flags = addr, addr + length, addr >> PAGE_SHIFT, flags
        vma.vm_page_prot = vm_get_page_prot(mm.processes, flags)
        vma_link(mm, vma, &links)
    mm.total_vm += pages
    mm.data_vm += pages
    if flags & VM_LOCKED:
        mm.locked_vm += pages
    return 0


cdef int64_t vm_brk_flags(UserMm mm, uint32_t addr, uint32_t request, uint32_t flags) except? NO_ANSWER:
    # Source: mm/mmap.c vm_brk_flags()
    cdef uint32_t length = page_align(request)
    cdef int64_t ret
    if length < request:
        return -ENOMEM
    if not length:
        return 0
    ret = do_brk_flags(mm, addr, length, flags)
    if mm.def_flags & VM_LOCKED and not ret:
        __mm_populate(mm, addr, length, True)
    return ret


cdef int64_t insert_vm_struct(UserMm mm, VmAreaStruct vma) except? NO_ANSWER:
    """Put a VMA where it belongs; 0 or -ENOMEM. Source: mm/mmap.c insert_vm_struct()"""
    cdef Links links
    if find_vma_links(mm, vma.vm_start, vma.vm_end, &links):
        return -ENOMEM
    if vma.vm_flags & VM_ACCOUNT and vm_enough_memory(mm, vma_pages(vma)):
        return -ENOMEM
    if vma_is_anonymous(vma):
        vma.vm_pgoff = vma.vm_start >> PAGE_SHIFT
    vma_link(mm, vma, &links)
    return 0


cdef int64_t install_special_mapping(UserMm mm, uint32_t addr, uint32_t length, uint32_t vm_flags, object spec,
                                     VmOperationsStruct ops) except? NO_ANSWER:
    """Map pages of the kernel's own into a process; 0 or -errno. Source: mm/mmap.c __install_special_mapping()"""
    cdef VmAreaStruct vma = vm_area_alloc(mm)
    cdef int64_t error
    vma.vm_start, vma.vm_end = addr, addr + length
    vma.vm_flags = vm_flags | mm.def_flags | VM_DONTEXPAND
    vma.vm_page_prot = vm_get_page_prot(mm.processes, vma.vm_flags)
    vma.vm_ops, vma.vm_private_data = ops, spec
    error = insert_vm_struct(mm, vma)
    if error:
        return error
    vm_stat_account(mm, vma.vm_flags, length >> PAGE_SHIFT)
    return 0
