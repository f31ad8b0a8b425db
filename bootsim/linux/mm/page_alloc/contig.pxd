from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef int isolate_pageblock(Pgdat *g, uint32_t pfn, uint32_t mt) noexcept nogil
cdef void unisolate_pageblock(Pgdat *g, uint32_t pfn, uint32_t mt) noexcept nogil
cdef uint32_t isolate_freepages_range(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil
cdef Zone *zone_of(Pgdat *g, uint32_t pfn) noexcept nogil
cdef uint32_t free_list_of(const Zone *zone, uint32_t order, uint32_t mt) noexcept nogil
cdef uint32_t get_pageblock(Pgdat *g, uint32_t pfn) noexcept nogil
cdef void move_block(Pgdat *g, uint32_t pfn, uint32_t mt, bint with_pages) noexcept nogil
cdef bint isolate_contig(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) noexcept nogil
cdef void put_free_block(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t mt, uint32_t fpi_flags) noexcept nogil
cdef void take_free_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
