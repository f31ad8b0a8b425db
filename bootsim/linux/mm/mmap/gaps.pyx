"""The search for room in an address space, through the gaps that the tree knows (mm/mmap.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.lib.rbtree cimport RB_LEFT, RB_RIGHT, RbNode
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.vma cimport vm_start_gap

cdef struct Gap:
    uint32_t start
    uint32_t end


cdef inline Gap gap_before(VmAreaStruct vma) noexcept:
    cdef Gap gap
    gap.start = vma.vm_prev.vm_end if vma.vm_prev is not None else 0
    gap.end = vm_start_gap(vma)
    return gap


cdef inline bint fits(const Gap *gap, uint32_t length) noexcept:
    return gap.end > gap.start and gap.end - gap.start >= length


cdef int64_t unmapped_area(UserMm mm, const VmUnmappedAreaInfo *info) noexcept:
    """The lowest room of a length between two limits, aligned; -ENOMEM. Source: mm/mmap.c unmapped_area()"""
    cdef uint32_t length = info.length + info.align_mask
    cdef uint32_t low_limit, high_limit, child, n
    cdef RbNode *nodes = mm.mm_rb.nodes
    cdef Gap gap
    cdef bint found = False
    if length < info.length or info.high_limit < length:
        return -ENOMEM
    high_limit = info.high_limit - length
    if info.low_limit > high_limit:
        return -ENOMEM
    low_limit = info.low_limit + length
    n = mm.mm_rb.root
    if n and nodes[n].most < length:
        n = 0
    while n:
        gap = gap_before(mm.at(n))
        child = nodes[n].child[RB_LEFT]
        if gap.end >= low_limit and child and nodes[child].most >= length:
            n = child
            continue
        while True:
            if gap.start > high_limit:
                return -ENOMEM
            if gap.end >= low_limit and fits(&gap, length):
                found = True
                break
            child = nodes[n].child[RB_RIGHT]
            if child and nodes[child].most >= length:
                n = child
                break
            child = n
            n = nodes[n].parent
            while n and nodes[n].child[RB_LEFT] != child:
                child, n = n, nodes[n].parent
            if not n:
                break
            gap = gap_before(mm.at(n))
        if found:
            break
    if not found:
        gap.start = mm.highest_vm_end
        if gap.start > high_limit:
            return -ENOMEM
    gap.start = max(gap.start, info.low_limit)
    return <uint32_t>(gap.start + ((info.align_offset - gap.start) & info.align_mask))


cdef int64_t unmapped_area_topdown(UserMm mm, const VmUnmappedAreaInfo *info) noexcept:
    """The highest room of a length between two limits, aligned; -ENOMEM. Source: mm/mmap.c unmapped_area_topdown()"""
    cdef uint32_t length = info.length + info.align_mask
    cdef uint32_t low_limit, high_limit, child, n
    cdef RbNode *nodes = mm.mm_rb.nodes
    cdef Gap gap
    if length < info.length or info.high_limit < length:
        return -ENOMEM
    high_limit = info.high_limit - length
    if info.low_limit > high_limit:
        return -ENOMEM
    low_limit = info.low_limit + length
    if mm.highest_vm_end <= high_limit:
        return aligned_below(info.high_limit, info)
    n = mm.mm_rb.root
    if not n or nodes[n].most < length:
        return -ENOMEM
    while True:
        gap = gap_before(mm.at(n))
        child = nodes[n].child[RB_RIGHT]
        if gap.start <= high_limit and child and nodes[child].most >= length:
            n = child
            continue
        while True:
            if gap.end < low_limit:
                return -ENOMEM
            if gap.start <= high_limit and fits(&gap, length):
                return aligned_below(min(gap.end, info.high_limit), info)
            child = nodes[n].child[RB_LEFT]
            if child and nodes[child].most >= length:
                n = child
                break
            child = n
            n = nodes[n].parent
            while n and nodes[n].child[RB_RIGHT] != child:
                child, n = n, nodes[n].parent
            if not n:
                return -ENOMEM
            gap = gap_before(mm.at(n))


cdef inline int64_t aligned_below(uint32_t end, const VmUnmappedAreaInfo *info) noexcept:
    end -= info.length
    return <uint32_t>(end - ((end - info.align_offset) & info.align_mask))


cdef int64_t vm_unmapped_area(UserMm mm, VmUnmappedAreaInfo *info) noexcept:
    return unmapped_area_topdown(mm, info) if info.topdown else unmapped_area(mm, info)
