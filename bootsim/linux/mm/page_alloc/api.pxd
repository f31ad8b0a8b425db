from libc.stdint cimport uint32_t

cdef int fill_freed(k, uint32_t pfn, uint32_t pages, bint poison=*) except -1
