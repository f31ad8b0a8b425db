from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist

cdef bint drop_reference(k, Pglist p, uint32_t pfn, uint32_t order) except -1
cdef int fill_freed(k, uint32_t pfn, uint32_t pages, bint poison=*) except -1
cdef uint32_t alloc_and_tell(k, Pglist p, uint32_t gfp_mask, uint32_t order) except? 1
