"""Memory promised to processes, and the base of their mappings (mm/util.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport *


cdef void vm_acct_memory(Processes processes, int64_t pages) noexcept:
    processes.vm_committed_as += pages


cdef void vm_unacct_memory(Processes processes, int64_t pages) noexcept:
    processes.vm_committed_as -= pages


cpdef int64_t vm_commit_limit(Processes processes) except? NO_ANSWER:
    """How many pages may be promised when memory must not be overcommitted. Source: mm/util.c vm_commit_limit()"""
    cdef int64_t allowed
    if processes.sysctl_overcommit_kbytes:
        allowed = processes.sysctl_overcommit_kbytes >> (PAGE_SHIFT - 10)
    else:
        allowed = <int64_t>processes.k.mm.totalram_pages * processes.sysctl_overcommit_ratio // 100
    return allowed + processes.total_swap_pages


cdef int64_t vm_enough_memory(UserMm mm, int64_t pages) except? NO_ANSWER:
    """Promise so many pages to an address space: 0, or -ENOMEM and nothing is promised.

    Source: mm/util.c __vm_enough_memory(), security/security.c security_vm_enough_memory_mm()
    Differs: what is promised is known exactly; the kernel's counter is behind by up to a batch on each processor, which
    matters to overcommit_memory=2 alone.
    """
    cdef Processes processes = mm.processes
    cdef int64_t allowed
    vm_acct_memory(processes, pages)
    if processes.sysctl_overcommit_memory == OVERCOMMIT_ALWAYS:
        return 0
    if processes.sysctl_overcommit_memory == OVERCOMMIT_GUESS:
        if pages <= <int64_t>processes.k.mm.totalram_pages + processes.total_swap_pages:
            return 0
    else:
        allowed = vm_commit_limit(processes)
        if not capable(mm.owner, CAP_SYS_ADMIN):
            allowed -= processes.sysctl_admin_reserve_kbytes >> (PAGE_SHIFT - 10)
        allowed -= min(mm.total_vm // 32, processes.sysctl_user_reserve_kbytes >> (PAGE_SHIFT - 10))
        if max(processes.vm_committed_as, 0) < allowed:
            return 0
    vm_unacct_memory(processes, pages)
    return -ENOMEM


cdef uint32_t mmap_base(UserMm mm) noexcept:
    # Source: mm/util.c mmap_base()
    cdef uint32_t gap = rlimit(mm.owner, RLIMIT_STACK)
    cdef uint32_t pad = mm.processes.stack_guard_gap
    cdef uint32_t most = mm.task_size // 6 * 5
    if <uint32_t>(gap + pad) > gap:
        gap += pad
    gap = min(max(gap, <uint32_t>(128 << 20)), most)
    return page_align(mm.task_size - gap)


cdef int arch_pick_mmap_layout(UserMm mm) except -1:
    """Choose where mappings are looked for: from below the stack downwards, or from a third of the space upwards.

    Source: mm/util.c arch_pick_mmap_layout(), mmap_is_legacy()
    Differs: nothing is random: as with norandmaps.
    """
    mm.topdown = not (mm.owner.personality & ADDR_COMPAT_LAYOUT or rlimit(mm.owner, RLIMIT_STACK) == RLIM_INFINITY
                      or mm.processes.sysctl_legacy_va_layout)
    mm.mmap_base = mmap_base(mm) if mm.topdown else mm.processes.task_unmapped_base
    return 0


cdef uint32_t get_mm_rss(UserMm mm) except? 0:
    """Pages of files, anonymous and shared ones that an address space has. Source: include/linux/mm.h get_mm_rss()"""
    return max(mm.rss[0], 0) + max(mm.rss[1], 0) + max(mm.rss[3], 0)


cdef int update_hiwater_rss(UserMm mm) except -1:
    """Remember how many there were at most, before some go. Source: include/linux/mm.h update_hiwater_rss()"""
    mm.hiwater_rss = max(mm.hiwater_rss, get_mm_rss(mm))
    return 0
