"""VMAs found, linked, split and merged (mm/mmap.c, __vma_link_list() and its kin of mm/util.c).

An address space has its VMAs twice: as a list in order of addresses, and as a tree in which every node knows the
largest gap before a VMA of its subtree.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.lib.rbtree cimport RB_LEFT, RB_RIGHT
from bootsim.linux.mm.interval_tree cimport interval_tree_insert, interval_tree_remove
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_clone, post_update_vma, pre_update_vma, unlink_anon_vmas

# ---------------------------------------------------------------- files


cdef int get_file(object file) except -1:
    file.f_count += 1
    return 0


cdef int fput(object file) except -1:
    # Source: fs/file_table.c __fput()
    file.f_count -= 1
    if not file.f_count:
        if file.f_mode & FMODE_WRITE:
            file.f_inode.i_writecount -= 1
        if file.f_op.release is not None:
            file.f_op.release(file)
    return 0


cdef int link_file(VmAreaStruct vma) except -1:
    # __vma_link_file()
    if vma.vm_file is None:
        return 0
    if vma.vm_flags & VM_DENYWRITE:
        vma.vm_file.f_inode.i_writecount -= 1
    if vma.vm_flags & VM_SHARED:
        vma.vm_file.f_mapping.i_mmap_writable += 1
    return interval_tree_insert(vma.vm_file.f_mapping.i_mmap, vma)


cdef int remove_shared_vm_struct(VmAreaStruct vma, object file) except -1:
    # __remove_shared_vm_struct()
    if vma.vm_flags & VM_DENYWRITE:
        file.f_inode.i_writecount += 1
    if vma.vm_flags & VM_SHARED:
        file.f_mapping.i_mmap_writable -= 1
    return interval_tree_remove(file.f_mapping.i_mmap, vma)


cdef int unlink_file_vma(VmAreaStruct vma) except -1:
    return 0 if vma.vm_file is None else remove_shared_vm_struct(vma, vma.vm_file)


# ---------------------------------------------------------------- gaps

cdef uint32_t vm_start_gap(VmAreaStruct vma) noexcept:
    # Where a VMA and the room that its growth keeps free begin; nothing grows up on ARM: vm_end_gap() is vm_end.
    cdef uint32_t gap
    if not vma.vm_flags & VM_GROWSDOWN:
        return vma.vm_start
    gap = vma.vm_mm.processes.stack_guard_gap
    return vma.vm_start - gap if vma.vm_start > gap else 0


cdef void vma_gap_update(VmAreaStruct vma) noexcept:
    # vma_compute_gap(), kept in the tree.
    cdef uint32_t gap = vm_start_gap(vma)
    cdef uint32_t before = vma.vm_prev.vm_end if vma.vm_prev is not None else 0
    vma.vm_mm.mm_rb.nodes[vma.node].size = gap - before if gap > before else 0
    vma.vm_mm.mm_rb.propagate(vma.node, 0)


# ---------------------------------------------------------------- finding

cdef VmAreaStruct find_vma(UserMm mm, uint32_t addr):
    """The first VMA that ends behind an address, None when none does.

    Source: mm/mmap.c find_vma()
    Differs: one VMA is remembered, not four of each task: who is found is the same.
    """
    cdef uint32_t n
    cdef VmAreaStruct vma = mm.vmacache
    cdef VmAreaStruct found = None
    if vma is not None and vma.vm_start <= addr < vma.vm_end:
        return vma
    n = mm.mm_rb.root
    while n:
        vma = <VmAreaStruct>mm.by_node[n]
        if vma.vm_end > addr:
            found = vma
            if vma.vm_start <= addr:
                break
            n = mm.mm_rb.nodes[n].child[RB_LEFT]
        else:
            n = mm.mm_rb.nodes[n].child[RB_RIGHT]
    if found is not None:
        mm.vmacache = found
    return found


cdef VmAreaStruct last_vma(UserMm mm):
    return mm.at(mm.mm_rb.rb_last())


cdef VmAreaStruct find_vma_intersection(UserMm mm, uint32_t start, uint32_t end):
    cdef VmAreaStruct vma = find_vma(mm, start)
    return vma if vma is not None and end > vma.vm_start else None


cdef int64_t find_vma_links(UserMm mm, uint32_t addr, uint32_t end, Links *links):
    """Where in the tree a VMA of [addr, end) belongs; -ENOMEM when one overlaps it.

    Source: mm/mmap.c find_vma_links()
    """
    cdef VmAreaStruct vma
    cdef uint32_t n = mm.mm_rb.root
    links.parent, links.side, links.prev = 0, RB_LEFT, 0
    while n:
        links.parent = n
        vma = <VmAreaStruct>mm.by_node[n]
        if vma.vm_end > addr:
            if vma.vm_start < end:
                return -ENOMEM
            links.side = RB_LEFT
        else:
            links.prev = n
            links.side = RB_RIGHT
        n = mm.mm_rb.nodes[n].child[links.side]
    return 0


# ---------------------------------------------------------------- linking

cdef void link_list(UserMm mm, VmAreaStruct vma, VmAreaStruct prev):
    # __vma_link_list()
    cdef VmAreaStruct next_
    vma.vm_prev = prev
    if prev is not None:
        next_ = prev.vm_next
        prev.vm_next = vma
    else:
        next_ = mm.mmap
        mm.mmap = vma
    vma.vm_next = next_
    if next_ is not None:
        next_.vm_prev = vma


cdef void unlink_list(UserMm mm, VmAreaStruct vma):
    # __vma_unlink_list()
    if vma.vm_prev is not None:
        vma.vm_prev.vm_next = vma.vm_next
    else:
        mm.mmap = vma.vm_next
    if vma.vm_next is not None:
        vma.vm_next.vm_prev = vma.vm_prev


cdef int link_rb(UserMm mm, VmAreaStruct vma, uint32_t parent, int side) except -1:
    # __vma_link_rb()
    if vma.vm_next is not None:
        vma_gap_update(vma.vm_next)
    else:
        mm.highest_vm_end = vma.vm_end
    mm.enter(vma)
    mm.mm_rb.rb_link_node(vma.node, parent, side)
    vma_gap_update(vma)
    mm.mm_rb.rb_insert_color(vma.node)
    return 0


cdef int vma_link(UserMm mm, VmAreaStruct vma, Links *links) except -1:
    """Make a VMA part of its address space and of its file. Source: mm/mmap.c vma_link()"""
    link_list(mm, vma, mm.at(links.prev))
    link_rb(mm, vma, links.parent, links.side)
    link_file(vma)
    mm.map_count += 1
    return 0


cdef int insert_vm_struct(UserMm mm, VmAreaStruct vma) except -1:
    # __insert_vm_struct(): its file knows it already
    cdef Links links
    if find_vma_links(mm, vma.vm_start, vma.vm_end, &links):
        raise AssertionError(f"{vma} overlaps another")
    link_list(mm, vma, mm.at(links.prev))
    link_rb(mm, vma, links.parent, links.side)
    mm.map_count += 1
    return 0


cdef VmAreaStruct vm_area_alloc(UserMm mm):
    cdef VmAreaStruct vma = VmAreaStruct.__new__(VmAreaStruct)
    vma.vm_mm = mm
    return vma


cdef VmAreaStruct vm_area_dup(VmAreaStruct orig):
    cdef VmAreaStruct new = vm_area_alloc(orig.vm_mm)
    new.vm_start, new.vm_end = orig.vm_start, orig.vm_end
    new.vm_flags, new.vm_pgoff, new.vm_page_prot = orig.vm_flags, orig.vm_pgoff, orig.vm_page_prot
    new.vm_ops, new.vm_file, new.vm_private_data = orig.vm_ops, orig.vm_file, orig.vm_private_data
    new.anon_vma, new.swap_readahead_info = orig.anon_vma, orig.swap_readahead_info
    return new


cdef int detach_vmas(UserMm mm, VmAreaStruct vma, VmAreaStruct prev, uint32_t end) except -1:
    """Take the VMAs from `vma` to `end` out of their address space; their list hangs together still.

    Source: mm/mmap.c detach_vmas_to_be_unmapped()
    """
    cdef VmAreaStruct tail = vma
    vma.vm_prev = None
    while vma is not None and vma.vm_start < end:
        mm.leave(vma)
        mm.map_count -= 1
        tail = vma
        vma = vma.vm_next
    if prev is not None:
        prev.vm_next = vma
    else:
        mm.mmap = vma
    if vma is not None:
        vma.vm_prev = prev
        vma_gap_update(vma)
    else:
        mm.highest_vm_end = prev.vm_end if prev is not None else 0
    tail.vm_next = None
    return 0


# ---------------------------------------------------------------- adjusting

cdef struct Change:
    int64_t adjust_next     # by how many bytes the start of the next VMA moves
    int remove_next         # 1: the next goes, 2: the two next do, 3: vma itself does, and the next grows


cdef int import_anon_vma(VmAreaStruct importer, VmAreaStruct exporter) except -1:
    # A VMA that grows over pages of another must be where those are looked for.
    if exporter is not None and exporter.anon_vma is not None and importer.anon_vma is None:
        importer.anon_vma = exporter.anon_vma
        anon_vma_clone(importer, exporter)
    return 0


cdef int move_bounds(VmAreaStruct vma, VmAreaStruct next_, uint32_t start, uint32_t end, uint32_t pgoff,
                     int64_t adjust_next) except -1:
    # The bounds of a VMA and perhaps of the next, out of all trees and into them again. As in the kernel, an anon_vma
    # that next_ has in common with vma is left and entered in the order vma, next_.
    cdef list tree = None if vma.vm_file is None else vma.vm_file.f_mapping.i_mmap
    cdef bint anon = vma.anon_vma is not None or (adjust_next != 0 and next_.anon_vma is not None)
    if anon:
        pre_update_vma(vma)
        if adjust_next:
            pre_update_vma(next_)
    if tree is not None:
        interval_tree_remove(tree, vma)
        if adjust_next:
            interval_tree_remove(tree, next_)
    vma.vm_start, vma.vm_end, vma.vm_pgoff = start, end, pgoff
    if adjust_next:
        next_.vm_start = <uint32_t>(next_.vm_start + adjust_next)
        next_.vm_pgoff = <uint32_t>(next_.vm_pgoff + (adjust_next >> PAGE_SHIFT))
    if tree is not None:
        if adjust_next:
            interval_tree_insert(tree, next_)
        interval_tree_insert(tree, vma)
    return anon


cdef int reenter_anon_vmas(VmAreaStruct vma, VmAreaStruct next_, bint adjust_next) except -1:
    post_update_vma(vma)
    if adjust_next:
        post_update_vma(next_)
    return 0


cdef int remove_vma_struct(UserMm mm, VmAreaStruct gone) except -1:
    # `gone` was merged into its neighbour: out of the lists, its file and its anon_vmas.
    mm.leave(gone)
    unlink_list(mm, gone)
    if gone.vm_file is not None:
        remove_shared_vm_struct(gone, gone.vm_file)
    return 0


cdef int64_t vma_adjust(VmAreaStruct vma, uint32_t start, uint32_t end, uint32_t pgoff, VmAreaStruct insert,
                        VmAreaStruct expand) except? NO_ANSWER:
    """Give a VMA other bounds; whoever is in the way shrinks or goes. `insert` is the other half of a split.

    `expand` is who grows in a merge: vma itself, or the next. Returns 0.
    Source: mm/mmap.c __vma_adjust()
    Differs: always finds memory; uprobes and huge pages are not there.
    """
    cdef UserMm mm = vma.vm_mm
    cdef VmAreaStruct next_ = vma.vm_next
    cdef Change change = plan(vma, next_, end, insert, expand)
    cdef bint start_changed, end_changed, anon
    if change.remove_next == 3:
        vma, next_ = next_, vma
    elif change.remove_next:
        end = min(end, next_.vm_end)  # the first of two passes stops there
    import_for(vma, next_, &change)
    while True:
        if insert is not None and vma.vm_file is not None:
            link_file(insert)
        start_changed, end_changed = start != vma.vm_start, end != vma.vm_end
        anon = move_bounds(vma, next_, start, end, pgoff, change.adjust_next)
        if change.remove_next:
            remove_vma_struct(mm, next_)
        elif insert is not None:
            insert_vm_struct(mm, insert)
        else:
            if start_changed:
                vma_gap_update(vma)
            if end_changed and next_ is None:
                mm.highest_vm_end = end
            elif end_changed and not change.adjust_next:
                vma_gap_update(next_)
        if anon:
            reenter_anon_vmas(vma, next_, change.adjust_next != 0)
        if not change.remove_next:
            return 0
        forget_merged(mm, next_)
        next_ = vma if change.remove_next == 3 else vma.vm_next
        if change.remove_next != 2:
            break
        change.remove_next = 1
        end = next_.vm_end
    if next_ is not None:
        vma_gap_update(next_)
    return 0


cdef Change plan(VmAreaStruct vma, VmAreaStruct next_, uint32_t end, VmAreaStruct insert, VmAreaStruct expand):
    # What new bounds mean for the next VMA: it is swallowed, or the boundary between the two moves.
    cdef Change change
    change.adjust_next, change.remove_next = 0, 0
    if next_ is None or insert is not None:
        return change
    if end >= next_.vm_end:
        if next_ is expand:
            change.remove_next = 3
        else:
            change.remove_next = 2 if end > next_.vm_end else 1
    elif end > next_.vm_start:
        change.adjust_next = <int64_t>end - next_.vm_start
    elif end < vma.vm_end:
        change.adjust_next = -(<int64_t>vma.vm_end - end)
    return change


cdef int import_for(VmAreaStruct vma, VmAreaStruct next_, Change *change) except -1:
    if change.remove_next == 2 and next_.anon_vma is None:
        import_anon_vma(vma, next_.vm_next)
    elif change.remove_next or change.adjust_next > 0:
        import_anon_vma(vma, next_)
    elif change.adjust_next < 0:
        import_anon_vma(next_, vma)
    return 0


cdef int forget_merged(UserMm mm, VmAreaStruct gone) except -1:
    # The rest of a merged VMA goes: file reference, anon_vma_merge().
    if gone.vm_file is not None:
        fput(gone.vm_file)
    if gone.anon_vma is not None:
        unlink_anon_vmas(gone)
    mm.map_count -= 1
    return 0


# ---------------------------------------------------------------- merging

cdef bint is_mergeable_vma(VmAreaStruct vma, object file, uint32_t vm_flags):
    return (vma.vm_flags == vm_flags and vma.vm_file is file
            and (vma.vm_ops is None or vma.vm_ops.close is None))


cdef bint is_mergeable_anon_vma(AnonVma one, AnonVma other, VmAreaStruct vma):
    if (one is None or other is None) and (vma is None or len(vma.anon_vma_chain) == 1):
        return True
    return one is other


cdef bint can_vma_merge_before(VmAreaStruct vma, uint32_t vm_flags, AnonVma anon_vma, object file, uint32_t pgoff):
    return (is_mergeable_vma(vma, file, vm_flags) and is_mergeable_anon_vma(anon_vma, vma.anon_vma, vma)
            and vma.vm_pgoff == pgoff)


cdef bint can_vma_merge_after(VmAreaStruct vma, uint32_t vm_flags, AnonVma anon_vma, object file, uint32_t pgoff):
    return (is_mergeable_vma(vma, file, vm_flags) and is_mergeable_anon_vma(anon_vma, vma.anon_vma, vma)
            and <uint32_t>(vma.vm_pgoff + vma_pages(vma)) == pgoff)


cdef VmAreaStruct vma_merge(UserMm mm, VmAreaStruct prev, uint32_t addr, uint32_t end, uint32_t vm_flags,
                            AnonVma anon_vma, object file, uint32_t pgoff):
    """Let the VMA before [addr, end) or the one behind it, or both, take the range in; None: neither can.

    The numbers of cases are those of the kernel's own drawing: the range is free, or part of one VMA.
    Source: mm/mmap.c vma_merge()
    """
    cdef VmAreaStruct next_ = prev.vm_next if prev is not None else mm.mmap
    cdef VmAreaStruct area = next_
    cdef uint32_t pglen = (end - addr) >> PAGE_SHIFT
    cdef bint before
    if vm_flags & VM_SPECIAL:
        return None
    if area is not None and area.vm_end == end:  # cases 6, 7, 8
        next_ = next_.vm_next
    before = (next_ is not None and end == next_.vm_start
              and can_vma_merge_before(next_, vm_flags, anon_vma, file, pgoff + pglen))
    if (prev is not None and prev.vm_end == addr
            and can_vma_merge_after(prev, vm_flags, anon_vma, file, pgoff)):
        if before and is_mergeable_anon_vma(prev.anon_vma, next_.anon_vma, None):  # cases 1, 6
            end = next_.vm_end
        vma_adjust(prev, prev.vm_start, end, prev.vm_pgoff, None, prev)  # and 2, 5, 7
        return prev
    if not before:
        return None
    if prev is not None and addr < prev.vm_end:  # case 4
        vma_adjust(prev, prev.vm_start, addr, prev.vm_pgoff, None, next_)
        return area
    vma_adjust(area, addr, next_.vm_end, next_.vm_pgoff - pglen, None, next_)  # cases 3, 8
    return next_


# ---------------------------------------------------------------- splitting

cdef int64_t __split_vma(UserMm mm, VmAreaStruct vma, uint32_t addr, bint new_below) except? NO_ANSWER:
    """Make two VMAs of one; the new one is the part below or above `addr`. Returns 0 or -errno.

    Source: mm/mmap.c __split_vma()
    """
    cdef VmAreaStruct new
    cdef int64_t err
    if vma.vm_ops is not None and vma.vm_ops.split is not None:
        err = vma.vm_ops.split(vma, addr)
        if err:
            return err
    new = vm_area_dup(vma)
    if new_below:
        new.vm_end = addr
    else:
        new.vm_start = addr
        new.vm_pgoff += (addr - vma.vm_start) >> PAGE_SHIFT
    anon_vma_clone(new, vma)
    if new.vm_file is not None:
        get_file(new.vm_file)
    if new.vm_ops is not None and new.vm_ops.open is not None:
        new.vm_ops.open(new)
    if new_below:
        return vma_adjust(vma, addr, vma.vm_end, vma.vm_pgoff + ((addr - new.vm_start) >> PAGE_SHIFT), new, None)
    return vma_adjust(vma, vma.vm_start, addr, vma.vm_pgoff, new, None)


cdef int64_t split_vma(UserMm mm, VmAreaStruct vma, uint32_t addr, bint new_below) except? NO_ANSWER:
    if mm.map_count >= mm.processes.sysctl_max_map_count:
        return -ENOMEM
    return __split_vma(mm, vma, addr, new_below)
