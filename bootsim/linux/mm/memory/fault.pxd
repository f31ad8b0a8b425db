# Faults of processes.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.filemap.cache cimport PageCache
from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, VmAreaStruct

cdef enum:
    MAX_FAULTS = 16             # for one page, until it is given up


cdef class ProcessPages(TablePages):
    cdef readonly object shmem_file
    cdef readonly uint32_t fault_around_bytes
    cdef bint tried                     # the fault under way waited for the disk (FAULT_FLAG_TRIED)

    cdef int64_t handle_mm_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef uint32_t page_of(self, VmAreaStruct vma, uint32_t pgoff, bint retry) except? 1
    cdef bint mmap_readahead(self, VmAreaStruct vma, PageCache cache, uint32_t pgoff, uint32_t pfn) except -1
    cdef bint clean_entries(self, list i_mmap, uint32_t index, uint32_t pfn) except -1
    cdef bint fault_around(self, VmAreaStruct vma, uint32_t addr) except -1
    cdef int copy_page(self, uint32_t new, uint32_t pfn) except -1
    cdef int follow_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte, uint32_t gup_flags) except -1
    cdef int64_t do_anonymous_page(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef int64_t do_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef int64_t do_swap_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte, bint write) except? NO_ANSWER
    cdef int64_t do_wp_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pte) except? NO_ANSWER
    cdef int map_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pfn, bint write) except -1
