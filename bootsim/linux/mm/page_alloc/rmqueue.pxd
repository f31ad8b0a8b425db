from libc.stdint cimport int32_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef int32_t rmqueue_bulk(Pgdat *g, Zone *zone, int32_t count, uint32_t head, uint32_t mt,
                          uint32_t alloc_flags) noexcept nogil
cdef uint32_t rmqueue_block(Pgdat *g, Zone *zone, uint32_t order, uint32_t alloc_flags, uint32_t mt) noexcept nogil
cdef void prep_compound_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
