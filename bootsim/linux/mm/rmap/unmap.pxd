# Everybody who maps a page, told that it goes, or that it has come elsewhere.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.memory.tables cimport TablePages

cpdef list mapping_vmas(TablePages pages, uint32_t pfn)
cdef bint in_locked_vma(TablePages pages, uint32_t pfn) except -1
cdef int page_referenced(TablePages pages, uint32_t pfn, uint32_t *vm_flags) except -1
cdef bint try_to_unmap(TablePages pages, uint32_t pfn) except -1
cdef bint try_to_migrate(TablePages pages, uint32_t pfn) except -1
cdef int remove_migration_ptes(TablePages pages, uint32_t old, uint32_t new) except -1
