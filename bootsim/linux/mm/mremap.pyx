"""mremap(): a mapping grows, shrinks or moves, its pages with it (mm/mremap.c; copy_vma() of mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.gup.populate cimport __mm_populate
from bootsim.linux.mm.mmap.accounting cimport may_expand_vm, vm_stat_account
from bootsim.linux.mm.mmap.map cimport get_unmapped_area
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport do_munmap
from bootsim.linux.mm.mmap.vma cimport (
    Links, find_vma, find_vma_links, get_file, vm_area_dup, vma_adjust, vma_link, vma_merge)
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_clone
from bootsim.linux.mm.util cimport vm_acct_memory, vm_enough_memory, vm_unacct_memory

from bootsim.linux.kernel.printk import KERN_WARNING, printk


cdef class Remap:
    """What one mremap() is about: the range as it is and as it will be, and what was promised and locked on the way."""

    cdef UserMm mm
    cdef VmAreaStruct vma
    cdef uint32_t addr
    cdef uint32_t old_len
    cdef uint32_t new_len
    cdef uint32_t new_addr
    cdef uint32_t flags
    cdef uint32_t charged
    cdef bint locked
    cdef bint need_rmap_locks


cdef VmAreaStruct copy_vma(Remap r, uint32_t pgoff):
    """The VMA at the new place: a neighbour there that takes the range in, or a copy. None: the place is taken.

    r.vma may become another VMA: one into which it was merged itself.
    Source: mm/mmap.c copy_vma()
    """
    cdef VmAreaStruct vma = r.vma
    cdef UserMm mm = r.mm
    cdef uint32_t vma_start = vma.vm_start
    cdef VmAreaStruct new
    cdef Links links
    if vma_is_anonymous(vma) and vma.anon_vma is None:
        pgoff = r.new_addr >> PAGE_SHIFT
    if find_vma_links(mm, r.new_addr, r.new_addr + r.new_len, &links):
        return None
    new = vma_merge(mm, mm.at(links.prev), r.new_addr, r.new_addr + r.new_len, vma.vm_flags, vma.anon_vma,
                    vma.vm_file, pgoff)
    if new is not None:
        if new.vm_start <= vma_start < new.vm_end:
            r.vma = vma = new
        r.need_rmap_locks = new.vm_pgoff <= vma.vm_pgoff
        return new
    new = vm_area_dup(vma)
    new.vm_start, new.vm_end, new.vm_pgoff = r.new_addr, r.new_addr + r.new_len, pgoff
    anon_vma_clone(new, vma)
    if new.vm_file is not None:
        get_file(new.vm_file)
    if new.vm_ops is not None and new.vm_ops.open is not None:
        new.vm_ops.open(new)
    vma_link(mm, new, &links)
    r.need_rmap_locks = False
    return new


cdef int64_t move_vma(Remap r) except? NO_ANSWER:
    """Move the range to r.new_addr; that address, or -errno.

    Source: mm/mremap.c move_vma()
    """
    cdef UserMm mm = r.mm
    cdef uint32_t vm_flags = r.vma.vm_flags
    cdef uint32_t old_addr = r.addr
    cdef uint32_t old_len = r.old_len
    cdef uint32_t hiwater_vm
    cdef int64_t moved, ret = r.new_addr
    cdef int64_t err = 0
    cdef VmAreaStruct vma, new
    if mm.map_count >= mm.processes.sysctl_max_map_count - 3:
        return -ENOMEM
    new = copy_vma(r, r.vma.vm_pgoff + ((old_addr - r.vma.vm_start) >> PAGE_SHIFT))
    vma = r.vma
    if new is None:
        return -ENOMEM
    moved = mm.pages.move_page_tables(vma, old_addr, new, r.new_addr, old_len, r.need_rmap_locks)
    if moved < old_len:
        err = -ENOMEM
    elif vma.vm_ops is not None and vma.vm_ops.mremap is not None:
        err = vma.vm_ops.mremap(new)
    if err:
        mm.pages.move_page_tables(new, r.new_addr, vma, old_addr, <uint32_t>moved, True)
        vma, old_len, old_addr, ret = new, r.new_len, r.new_addr, err
    hiwater_vm = mm.hiwater_vm
    leave_old_place(r, vma, new, old_addr, old_len, vm_flags, err)
    mm.hiwater_vm = hiwater_vm
    return ret


cdef int leave_old_place(Remap r, VmAreaStruct vma, VmAreaStruct new, uint32_t old_addr, uint32_t old_len,
                         uint32_t vm_flags, int64_t err) except -1:
    # The other half of move_vma(): what was there is unmapped, with MREMAP_DONTUNMAP emptied, and promises stay right.
    cdef UserMm mm = r.mm
    cdef uint32_t excess = 0
    cdef bint split = False
    if vm_flags & VM_ACCOUNT:
        vma.vm_flags &= ~<uint32_t>VM_ACCOUNT
        excess = vma.vm_end - vma.vm_start - old_len
        split = old_addr > vma.vm_start and old_addr + old_len < vma.vm_end
    vm_stat_account(mm, vma.vm_flags, r.new_len >> PAGE_SHIFT)
    if not err and r.flags & MREMAP_DONTUNMAP:
        if vm_flags & VM_ACCOUNT:
            vma.vm_flags |= VM_ACCOUNT
            vm_acct_memory(mm.processes, r.new_len >> PAGE_SHIFT)
        split = split and new is not vma
        vma.vm_flags &= VM_LOCKED_CLEAR_MASK
    else:
        if do_munmap(mm, old_addr, old_len) < 0:
            vm_unacct_memory(mm.processes, excess >> PAGE_SHIFT)
            excess = 0
        if vm_flags & VM_LOCKED:
            mm.locked_vm += r.new_len >> PAGE_SHIFT
            r.locked = True
    if excess:
        vma.vm_flags |= VM_ACCOUNT
        if split:
            vma.vm_next.vm_flags |= VM_ACCOUNT
    return 0


cdef int64_t vma_to_resize(Remap r) except? NO_ANSWER:
    """Find the VMA of the range in r.vma, and promise what it grows by; 0 or -errno.

    Source: mm/mremap.c vma_to_resize()
    """
    cdef UserMm mm = r.mm
    cdef VmAreaStruct vma = find_vma(mm, r.addr)
    cdef uint32_t pgoff
    cdef uint32_t more = r.new_len - r.old_len
    if vma is None or vma.vm_start > r.addr:
        return -EFAULT
    if not r.old_len and not vma.vm_flags & (VM_SHARED | VM_MAYSHARE):
        warn_of_duplicate(mm)
        return -EINVAL
    if r.flags & MREMAP_DONTUNMAP and (not vma_is_anonymous(vma) or vma.vm_flags & VM_SHARED):
        return -EINVAL
    if r.old_len > vma.vm_end - r.addr:
        return -EFAULT
    r.vma = vma
    if r.new_len == r.old_len:
        return 0
    pgoff = ((r.addr - vma.vm_start) >> PAGE_SHIFT) + vma.vm_pgoff
    if <uint32_t>(pgoff + (r.new_len >> PAGE_SHIFT)) < pgoff:
        return -EINVAL
    if vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP):
        return -EFAULT
    if vma.vm_flags & VM_LOCKED and not capable(mm.owner, CAP_IPC_LOCK):
        if <uint32_t>((mm.locked_vm << PAGE_SHIFT) + more) > rlimit(mm.owner, RLIMIT_MEMLOCK):
            return -EAGAIN
    if not may_expand_vm(mm, vma.vm_flags, more >> PAGE_SHIFT):
        return -ENOMEM
    if vma.vm_flags & VM_ACCOUNT:
        if vm_enough_memory(mm, more >> PAGE_SHIFT):
            return -ENOMEM
        r.charged = more >> PAGE_SHIFT
    return 0


cdef int warn_of_duplicate(UserMm mm) except -1:
    if "mremap" not in mm.processes.warned:
        mm.processes.warned.add("mremap")
        printk(mm.processes.k, KERN_WARNING, "{comm} ({pid}): attempted to duplicate a private mapping with mremap.  "
               "This is not supported.", comm=mm.owner.comm, pid=mm.owner.pid)
    return 0


cdef int64_t mremap_to(Remap r) except? NO_ANSWER:
    """MREMAP_FIXED and MREMAP_DONTUNMAP: move the range to a place of the caller's choice, or with the old one left.

    Source: mm/mremap.c mremap_to()
    """
    cdef UserMm mm = r.mm
    cdef uint32_t map_flags = 0
    cdef int64_t ret
    if r.new_addr & ~<uint32_t>PAGE_MASK or r.new_len > mm.task_size or r.new_addr > mm.task_size - r.new_len:
        return -EINVAL
    if <uint32_t>(r.addr + r.old_len) > r.new_addr and <uint32_t>(r.new_addr + r.new_len) > r.addr:
        return -EINVAL
    if mm.map_count + 2 >= mm.processes.sysctl_max_map_count - 3:
        return -ENOMEM
    if r.flags & MREMAP_FIXED:
        ret = do_munmap(mm, r.new_addr, r.new_len)
        if ret:
            return ret
        map_flags = MAP_FIXED
    if r.old_len >= r.new_len:
        ret = do_munmap(mm, r.addr + r.new_len, r.old_len - r.new_len)
        if ret and r.old_len != r.new_len:
            return ret
        r.old_len = r.new_len
    ret = vma_to_resize(r)
    if ret:
        return ret
    if r.flags & MREMAP_DONTUNMAP and not may_expand_vm(mm, r.vma.vm_flags, r.old_len >> PAGE_SHIFT):
        return -ENOMEM
    if r.vma.vm_flags & VM_MAYSHARE:
        map_flags |= MAP_SHARED
    ret = get_unmapped_area(mm, r.vma.vm_file, r.new_addr, r.new_len,
                            r.vma.vm_pgoff + ((r.addr - r.vma.vm_start) >> PAGE_SHIFT), map_flags)
    if ret >= 0:
        if not r.flags & MREMAP_FIXED:
            r.new_addr = <uint32_t>ret
        ret = move_vma(r)
    if ret < 0:
        vm_unacct_memory(mm.processes, r.charged)
    return ret


cdef bint vma_expandable(VmAreaStruct vma, uint32_t delta) except -1:
    # Source: mm/mremap.c vma_expandable()
    cdef uint32_t end = vma.vm_end + delta
    if end < vma.vm_end or (vma.vm_next is not None and vma.vm_next.vm_start < end):
        return False
    return get_unmapped_area(vma.vm_mm, None, vma.vm_start, end - vma.vm_start, 0, MAP_FIXED) >= 0


cdef int64_t grow(Remap r) except? NO_ANSWER:
    # The range grows where it is, or moves if it may.
    cdef UserMm mm = r.mm
    cdef uint32_t pages = (r.new_len - r.old_len) >> PAGE_SHIFT
    cdef int64_t ret = vma_to_resize(r)
    if ret:
        return ret
    if r.old_len == r.vma.vm_end - r.addr and vma_expandable(r.vma, r.new_len - r.old_len):
        vma_adjust(r.vma, r.vma.vm_start, r.addr + r.new_len, r.vma.vm_pgoff, None, None)
        vm_stat_account(mm, r.vma.vm_flags, pages)
        if r.vma.vm_flags & VM_LOCKED:
            mm.locked_vm += pages
            r.locked, r.new_addr = True, r.addr
        return r.addr
    if not r.flags & MREMAP_MAYMOVE:
        return -ENOMEM
    ret = get_unmapped_area(mm, r.vma.vm_file, 0, r.new_len,
                            r.vma.vm_pgoff + ((r.addr - r.vma.vm_start) >> PAGE_SHIFT),
                            MAP_SHARED if r.vma.vm_flags & VM_MAYSHARE else 0)
    if ret < 0:
        return ret
    r.new_addr = <uint32_t>ret
    return move_vma(r)


def mremap(Task task not None, uint32_t addr, uint32_t old_len, uint32_t new_len, uint32_t flags,
           uint32_t new_addr=0):
    """mremap(): the address of the mapping afterwards, or -errno.

    Source: mm/mremap.c SYSCALL_DEFINE5(mremap)
    """
    cdef UserMm mm = current_mm(task)
    cdef Remap r = Remap.__new__(Remap)
    cdef int64_t ret
    if flags & ~<uint32_t>(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP):
        return -EINVAL
    if flags & MREMAP_FIXED and not flags & MREMAP_MAYMOVE:
        return -EINVAL
    if flags & MREMAP_DONTUNMAP and (not flags & MREMAP_MAYMOVE or old_len != new_len):
        return -EINVAL
    r.mm, r.addr, r.old_len, r.new_len = mm, addr, page_align(old_len), page_align(new_len)
    r.flags, r.new_addr, r.charged, r.locked = flags, new_addr, 0, False
    if addr & ~<uint32_t>PAGE_MASK or not r.new_len:
        return -EINVAL
    old_len = r.old_len
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        ret = mremap_to(r)
    elif old_len >= r.new_len:
        ret = do_munmap(mm, addr + r.new_len, old_len - r.new_len)
        if ret >= 0 or old_len == r.new_len:
            ret = addr
    else:
        ret = grow(r)
        if ret < 0:
            vm_unacct_memory(mm.processes, r.charged)
    if ret >= 0 and r.locked and r.new_len > old_len:
        __mm_populate(mm, r.new_addr + old_len, r.new_len - old_len, True)
    return ret
