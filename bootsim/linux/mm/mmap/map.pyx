"""mmap(): an address is found, what is asked for is checked, a VMA is made or an old one grows (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.arch.arm.mm.mmap cimport arch_get_unmapped_area, arch_mmap_check
from bootsim.linux.mm.gup.populate cimport __mm_populate
from bootsim.linux.mm.mmap.accounting cimport may_expand_vm, mlock_future_check, vm_stat_account
from bootsim.linux.mm.mmap.protection cimport vm_get_page_prot, vma_set_page_prot
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport do_munmap, unmap_region
from bootsim.linux.mm.mmap.vma cimport (
    Links, find_vma, find_vma_intersection, find_vma_links, fput, get_file, vm_area_alloc, vma_link, vma_merge)
from bootsim.linux.mm.util cimport vm_enough_memory, vm_unacct_memory

dummy_vm_ops = VmOperationsStruct("dummy_vm_ops")

# ---------------------------------------------------------------- the address


cdef int64_t get_unmapped_area(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t pgoff,
                               uint32_t flags) except? NO_ANSWER:
    """The address of a new mapping, or -errno.

    Source: mm/mmap.c get_unmapped_area(), security/commoncap.c cap_mmap_addr()
    """
    cdef int64_t found = arch_mmap_check(addr, flags)
    if found:
        return found
    if length > mm.task_size:
        return -ENOMEM
    if file is not None and file.f_op.get_unmapped_area is not None:
        found = file.f_op.get_unmapped_area(file, addr, length, pgoff, flags)
    else:
        if file is None and flags & MAP_SHARED:
            pgoff = 0
        found = arch_get_unmapped_area(mm, file is not None, addr, length, pgoff, flags)
    if found < 0:
        return found
    if found > mm.task_size - length:
        return -ENOMEM
    if found & ~<uint32_t>PAGE_MASK:
        return -EINVAL
    if found < mm.processes.dac_mmap_min_addr and not capable(mm.owner, CAP_SYS_RAWIO):
        return -EPERM
    return found


cdef uint32_t round_hint_to_min(UserMm mm, uint32_t hint) noexcept:
    hint &= PAGE_MASK
    return page_align(mm.processes.mmap_min_addr) if hint and hint < mm.processes.mmap_min_addr else hint


# ---------------------------------------------------------------- what is asked for

cdef uint32_t calc_vm_bits(uint32_t prot, uint32_t flags) noexcept:
    # calc_vm_prot_bits(), calc_vm_flag_bits()
    cdef uint32_t bits = prot & (PROT_READ | PROT_WRITE | PROT_EXEC)
    bits |= flags & (MAP_GROWSDOWN | MAP_DENYWRITE | MAP_LOCKED)
    return bits | VM_SYNC if flags & MAP_SYNC else bits


cdef bint file_mmap_ok(object file, uint32_t pgoff, uint32_t length) except -1:
    # Source: mm/mmap.c file_mmap_ok(), file_mmap_size_max()
    cdef uint32_t kind = file.f_inode.i_mode & S_IFMT
    cdef uint64_t most = 0xFFFFFFFFU
    if kind == S_IFREG or kind == S_IFBLK or kind == S_IFSOCK:
        most <<= PAGE_SHIFT
    elif file.f_mode & FMODE_UNSIGNED_OFFSET:
        most = 0
    if most and length > most:
        return False
    return pgoff <= (most - length) >> PAGE_SHIFT


cdef int64_t file_flags(object file, uint32_t length, uint32_t prot, uint32_t flags, uint32_t pgoff,
                        uint32_t vm_flags) except? NO_ANSWER:
    """vm_flags of a mapping of a file, or -errno: what do_mmap() checks of files.

    Source: mm/mmap.c do_mmap()
    Differs: no file is append-only, mandatorily locked, a swap file or on a file system mounted noexec.
    """
    cdef uint32_t kind = flags & MAP_TYPE
    if not file_mmap_ok(file, pgoff, length):
        return -EOVERFLOW
    if kind == MAP_SHARED or kind == MAP_SHARED_VALIDATE:
        if kind == MAP_SHARED_VALIDATE and flags & ~<uint32_t>(LEGACY_MAP_MASK | MAP_SHARED_VALIDATE):
            return -EOPNOTSUPP
        if prot & PROT_WRITE and not file.f_mode & FMODE_WRITE:
            return -EACCES
        vm_flags |= VM_SHARED | VM_MAYSHARE
        if not file.f_mode & FMODE_WRITE:
            vm_flags &= ~<uint32_t>(VM_MAYWRITE | VM_SHARED)
    elif kind != MAP_PRIVATE:
        return -EINVAL
    if not file.f_mode & FMODE_READ:
        return -EACCES
    if file.f_op.mmap is None:
        return -ENODEV
    if vm_flags & VM_GROWSDOWN:
        return -EINVAL
    return vm_flags


cdef int64_t do_mmap(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t prot, uint32_t flags,
                     uint32_t pgoff, uint32_t *populate) except? NO_ANSWER:
    """Make a mapping; its address, or -errno. `populate`: how many bytes are to be faulted in then.

    Source: mm/mmap.c do_mmap()
    """
    cdef uint32_t vm_flags
    cdef int64_t found
    cdef VmAreaStruct vma
    populate[0] = 0
    if not length:
        return -EINVAL
    if prot & PROT_READ and mm.owner.personality & READ_IMPLIES_EXEC:
        prot |= PROT_EXEC
    if flags & MAP_FIXED_NOREPLACE:
        flags |= MAP_FIXED
    if not flags & MAP_FIXED:
        addr = round_hint_to_min(mm, addr)
    length = page_align(length)
    if not length:
        return -ENOMEM
    if <uint32_t>(pgoff + (length >> PAGE_SHIFT)) < pgoff:
        return -EOVERFLOW
    if mm.map_count > mm.processes.sysctl_max_map_count:
        return -ENOMEM
    found = get_unmapped_area(mm, file, addr, length, pgoff, flags)
    if found < 0:
        return found
    addr = <uint32_t>found
    if flags & MAP_FIXED_NOREPLACE:
        vma = find_vma(mm, addr)
        if vma is not None and vma.vm_start < addr + length:
            return -EEXIST
    vm_flags = calc_vm_bits(prot, flags) | mm.def_flags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    if flags & MAP_LOCKED and rlimit(mm.owner, RLIMIT_MEMLOCK) == 0 and not capable(mm.owner, CAP_IPC_LOCK):
        return -EPERM
    if mlock_future_check(mm, vm_flags, length):
        return -EAGAIN
    if file is not None:
        found = file_flags(file, length, prot, flags, pgoff, vm_flags)
        if found < 0:
            return found
        vm_flags = <uint32_t>found
    elif flags & MAP_TYPE == MAP_SHARED:
        if vm_flags & VM_GROWSDOWN:
            return -EINVAL
        pgoff = 0
        vm_flags |= VM_SHARED | VM_MAYSHARE
    elif flags & MAP_TYPE == MAP_PRIVATE:
        pgoff = addr >> PAGE_SHIFT
    else:
        return -EINVAL
    if flags & MAP_NORESERVE and mm.processes.sysctl_overcommit_memory != OVERCOMMIT_NEVER:
        vm_flags |= VM_NORESERVE
    found = mmap_region(mm, file, addr, length, vm_flags, pgoff)
    if found >= 0 and (vm_flags & VM_LOCKED or flags & (MAP_POPULATE | MAP_NONBLOCK) == MAP_POPULATE):
        populate[0] = length
    return found


# ---------------------------------------------------------------- the mapping

cdef uint32_t count_vma_pages_range(UserMm mm, uint32_t addr, uint32_t end):
    # How many pages of a range are mapped. Source: mm/mmap.c count_vma_pages_range()
    cdef VmAreaStruct vma = find_vma_intersection(mm, addr, end)
    cdef uint32_t pages = 0
    while vma is not None and vma.vm_start <= end:
        pages += (min(end, vma.vm_end) - max(addr, vma.vm_start)) >> PAGE_SHIFT
        vma = vma.vm_next
    return pages


cdef int64_t munmap_vma_range(UserMm mm, uint32_t start, uint32_t length, Links *links) except? NO_ANSWER:
    # Source: mm/mmap.c munmap_vma_range()
    while find_vma_links(mm, start, start + length, links):
        if do_munmap(mm, start, length):
            return -ENOMEM
    return 0


cdef int64_t mmap_region(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t vm_flags,
                         uint32_t pgoff) except? NO_ANSWER:
    """Make the VMA of a checked mapping, or let a neighbour grow; what was there before is gone, even when this fails.

    Source: mm/mmap.c mmap_region()
    """
    cdef Links links
    cdef VmAreaStruct vma, prev
    cdef uint32_t pages = length >> PAGE_SHIFT
    cdef uint32_t charged = 0
    cdef int64_t error
    if not may_expand_vm(mm, vm_flags, pages):
        if not may_expand_vm(mm, vm_flags, pages - count_vma_pages_range(mm, addr, addr + length)):
            return -ENOMEM
    if munmap_vma_range(mm, addr, length, &links):
        return -ENOMEM
    if vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE) == VM_WRITE:  # accountable_mapping()
        charged = pages
        if vm_enough_memory(mm, charged):
            return -ENOMEM
        vm_flags |= VM_ACCOUNT
    prev = mm.at(links.prev)
    vma = vma_merge(mm, prev, addr, addr + length, vm_flags, None, file, pgoff)
    if vma is None:
        vma = vm_area_alloc(mm)
        vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_pgoff = addr, addr + length, vm_flags, pgoff
        vma.vm_page_prot = vm_get_page_prot(mm.processes, vm_flags)
        if file is not None or vm_flags & VM_SHARED:
            vma.vm_ops = dummy_vm_ops  # not anonymous, until somebody gives it operations of its own
        if file is not None:
            error = call_mmap(mm, file, vma, prev)
        elif vm_flags & VM_SHARED:
            error = mm.pages.shmem_zero_setup(vma)
        else:
            error = 0
        if error:
            vm_unacct_memory(mm.processes, charged)
            return error
        addr = vma.vm_start
        vma = enter(mm, file, vma, prev, vm_flags, &links)
        vm_flags = vma.vm_flags
    vm_stat_account(mm, vm_flags, pages)
    if vm_flags & VM_LOCKED:
        if vm_flags & VM_SPECIAL:
            vma.vm_flags &= VM_LOCKED_CLEAR_MASK
        else:
            mm.locked_vm += pages
    vma_set_page_prot(vma)
    return addr


cdef int64_t call_mmap(UserMm mm, object file, VmAreaStruct vma, VmAreaStruct prev) except? NO_ANSWER:
    """Let the file make the mapping; when it will not, what it has mapped already goes. Returns 0 or -errno.

    Until the VMA is linked, the file holds what its flags will: writers denied, a writable mapping.
    Source: mm/mmap.c mmap_region()
    """
    cdef uint32_t vm_flags = vma.vm_flags
    cdef object inode = file.f_inode
    cdef object mapping = file.f_mapping
    cdef int64_t error
    if vm_flags & VM_DENYWRITE:
        if inode.i_writecount > 0:
            return -ETXTBSY
        inode.i_writecount -= 1
    if vm_flags & VM_SHARED:
        mapping.i_mmap_writable += 1
    vma.vm_file = file
    get_file(file)
    error = file.f_op.mmap(file, vma)
    if not error:
        return 0
    vma.vm_file = None
    fput(file)
    unmap_region(mm, vma, prev, vma.vm_start, vma.vm_end)
    release_file(file, vm_flags)
    return error


cdef int release_file(object file, uint32_t vm_flags) except -1:
    if vm_flags & VM_SHARED:
        file.f_mapping.i_mmap_writable -= 1
    if vm_flags & VM_DENYWRITE:
        file.f_inode.i_writecount += 1
    return 0


cdef VmAreaStruct enter(UserMm mm, object file, VmAreaStruct vma, VmAreaStruct prev, uint32_t vm_flags, Links *links):
    """Link a VMA that its file has seen; where the file changed its flags, a neighbour may take it in after all.

    Source: mm/mmap.c mmap_region()
    """
    cdef VmAreaStruct merge = None
    if file is not None and vm_flags != vma.vm_flags and prev is not None:
        merge = vma_merge(mm, prev, vma.vm_start, vma.vm_end, vma.vm_flags, None, vma.vm_file, vma.vm_pgoff)
    if merge is not None:
        fput(vma.vm_file)
        vma = merge
    else:
        vma_link(mm, vma, links)
    if file is not None:
        release_file(file, vma.vm_flags)
    return vma


# ---------------------------------------------------------------- system calls

cdef int64_t vm_mmap_pgoff(UserMm mm, object file, uint32_t addr, uint32_t length, uint32_t prot, uint32_t flags,
                           uint32_t pgoff) except? NO_ANSWER:
    # Source: mm/util.c vm_mmap_pgoff()
    cdef uint32_t populate
    cdef int64_t ret = do_mmap(mm, file, addr, length, prot, flags, pgoff, &populate)
    if populate:
        __mm_populate(mm, <uint32_t>ret, populate, True)
    return ret


def mmap_pgoff(Task task not None, uint32_t addr, uint32_t length, uint32_t prot, uint32_t flags, int fd,
               uint32_t pgoff):
    """mmap2(): map anonymous memory or a file from its page `pgoff` on. The address, or -errno.

    Source: mm/mmap.c ksys_mmap_pgoff()
    Differs: there are no huge pages: MAP_HUGETLB is refused as by a kernel without them.
    """
    cdef UserMm mm = current_mm(task)
    cdef object file = None
    if not flags & MAP_ANONYMOUS:
        file = task.files.get(fd)
        if file is None:
            return -EBADF
    if flags & MAP_HUGETLB:
        return -EINVAL
    return vm_mmap_pgoff(mm, file, addr, length, prot, flags & ~<uint32_t>(MAP_EXECUTABLE | MAP_DENYWRITE), pgoff)


def munmap(Task task not None, uint32_t addr, uint32_t length):
    """munmap(): 0 or -errno. Source: mm/mmap.c __vm_munmap()"""
    return do_munmap(current_mm(task), addr, length)
