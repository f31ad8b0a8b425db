# Faults of processes.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, VmAreaStruct

cdef class PageCache:
    cdef ProcessPages pages
    cdef dict i_pages           # frames by index
    cdef readonly uint32_t id   # what page->mapping of its pages is
    cdef public uint64_t limit  # a disk has what lies below this index, and it is read in at first use
    cdef public set readahead   # indices of pages with PageReadahead, not made yet
    cdef public bint shmem
    cdef readonly bytes content  # what the disk has

    cdef set holes              # indices below the limit that nothing is at any more

    cdef uint32_t read(self, uint32_t index, uint64_t size) except? 1
    cdef uint32_t find(self, uint32_t index) except? 1
    cdef uint32_t make(self, uint32_t index, bint long_there=*) except? 1


cdef class ProcessPages(TablePages):
    cdef readonly object shmem_file
    cdef readonly uint32_t fault_around_bytes
    cdef uint32_t mappings      # how many files have pages

    cdef int64_t handle_mm_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef uint32_t page_of(self, VmAreaStruct vma, uint32_t pgoff) except? 1
    cdef int zap_file_page(self, VmAreaStruct vma, uint32_t addr) except -1
    cdef bint clean_entries(self, list i_mmap, uint32_t index, uint32_t pfn) except -1
    cdef bint fault_around(self, VmAreaStruct vma, uint32_t addr) except -1
    cdef int copy_page(self, uint32_t new, uint32_t pfn) except -1
    cdef int drain_for_mlock(self, VmAreaStruct vma, uint32_t addr) except -1
    cdef int64_t do_anonymous_page(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef int64_t do_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER
    cdef int64_t do_wp_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pte) except? NO_ANSWER
    cdef int map_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pfn, bint write) except -1
