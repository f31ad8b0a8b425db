# The VMAs of a file or an anon_vma, in the order of the kernel's interval trees.
from bootsim.linux.mm.mmap.structs cimport VmAreaStruct

cdef int interval_tree_insert(list tree, VmAreaStruct vma) except -1
cdef int interval_tree_insert_after(list tree, VmAreaStruct vma, VmAreaStruct prev) except -1
cdef int interval_tree_remove(list tree, VmAreaStruct vma) except -1
