# The pages of a file that are in memory.
from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.memory.tables cimport TablePages

cdef enum:
    NO_MEMORY = 0xFFFFFFFDU     # where a frame is asked for, and there is no memory for one


cdef class PageCache:
    cdef TablePages pages
    cdef readonly object mapping    # AddressSpace
    cdef dict i_pages           # frames by index
    cdef readonly uint32_t id   # what page->mapping of its pages is
    cdef public uint64_t limit  # a disk has what lies below this index, and it is in memory from the first use on
    cdef public set readahead   # indices of pages with PageReadahead, not made yet
    cdef public bint shmem
    cdef readonly bytes content  # what the disk had at first
    cdef dict written           # and its pages that are not as they were, by index
    cdef set holes              # indices below the limit that nothing is at any more
    cdef dict shadows           # of pages that were reclaimed, by index
    cdef dict swapped           # swap entries in the place of pages of tmpfs, by index

    cdef bint has(self, uint32_t index) noexcept
    cdef uint32_t find(self, uint32_t index) except? 1
    cdef uint32_t make(self, uint32_t index, bint long_there=*, uint32_t gfp=*) except? 1
    cdef bytes on_disk(self, uint32_t index)
    cdef int swap_out(self, uint32_t index, uint32_t entry) except -1
    cdef uint32_t swap_in(self, uint32_t index, bint fault) except? 1
    cdef int free_swap(self, uint32_t index) except -1
    cdef int unuse(self, uint32_t type_) except 1
    cdef int __delete_from_page_cache(self, uint32_t pfn, uint32_t shadow) except -1
