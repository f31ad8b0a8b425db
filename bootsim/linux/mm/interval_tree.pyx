"""The VMAs that map a file, or may map a page of an anon_vma, by the pages they show (mm/interval_tree.c).

The kernel walks its tree in order of first pages, and where those are equal, in the order of coming. A list has that
order too: shapes of the tree are seen by nobody.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.mmap.structs cimport VmAreaStruct, vma_pages


cdef Py_ssize_t _first(list tree, uint32_t pgoff, bint beyond):
    # The first place at which a VMA shows pages from pgoff on; `beyond`: from behind pgoff on.
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = len(tree)
    cdef Py_ssize_t middle
    cdef uint32_t there
    while low < high:
        middle = (low + high) // 2
        there = (<VmAreaStruct>tree[middle]).vm_pgoff
        if there < pgoff or (beyond and there == pgoff):
            low = middle + 1
        else:
            high = middle
    return low


cdef Py_ssize_t _place(list tree, VmAreaStruct vma) except -1:
    cdef Py_ssize_t i
    for i in range(_first(tree, vma.vm_pgoff, False), len(tree)):
        if tree[i] is vma:
            return i
    raise LookupError(f"{vma} is not in this tree")


cdef int interval_tree_insert(list tree, VmAreaStruct vma) except -1:
    tree.insert(_first(tree, vma.vm_pgoff, True), vma)
    return 0


cdef int interval_tree_insert_after(list tree, VmAreaStruct vma, VmAreaStruct prev) except -1:
    tree.insert(_place(tree, prev) + 1, vma)
    return 0


cdef int interval_tree_remove(list tree, VmAreaStruct vma) except -1:
    del tree[_place(tree, vma)]
    return 0


def vma_interval_tree_foreach(list tree not None, uint32_t first, uint32_t last):
    """The VMAs of a tree that show any of the pages first to last, in the order in which the kernel visits them.

    Source: mm/interval_tree.c vma_interval_tree_iter_first(), anon_vma_interval_tree_iter_first()
    """
    cdef list found = []
    cdef VmAreaStruct vma
    for vma in tree:
        if vma.vm_pgoff > last:
            break
        if vma.vm_pgoff + vma_pages(vma) > first:
            found.append(vma)
    return found
