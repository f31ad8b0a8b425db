from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport PG_lru, PG_slab, Page


cdef inline bint is_listed(const Page *page, uint32_t order) noexcept nogil:
    # a slab cache or an LRU list has it; one that only says so has no mapping, or is too large for LRU lists
    return page.mapping != 0 and (page.flags & PG_slab or not order and page.flags & PG_lru)


cdef bint drop_reference(k, Pglist p, uint32_t pfn, uint32_t order) except -1
cdef int fill_freed(k, uint32_t pfn, uint32_t pages, bint poison=*) except -1
cdef uint32_t alloc_and_tell(k, Pglist p, uint32_t gfp_mask, uint32_t order) except? 1
