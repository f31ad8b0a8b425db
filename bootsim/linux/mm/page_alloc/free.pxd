from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef void free_pages_by_refcount(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef void free_unref_page_of(Pgdat *g, uint32_t pfn) noexcept nogil
cdef void free_pages_ok(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t fpi_flags) noexcept nogil
cdef void drain_pages_zone_of(Pgdat *g, uint32_t cpu, Zone *zone) noexcept nogil
cdef void drain_all_pages_of(Pgdat *g, int zone) noexcept nogil
cdef void __free_pages_core(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef void free_untouched_pages(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef void free_untouched_highmem(Pgdat *g, uint32_t pfn, uint32_t end_pfn) noexcept nogil
# Out of line of free_pages_by_refcount(), which seldom needs it.
cdef void free_rest_of_block(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
