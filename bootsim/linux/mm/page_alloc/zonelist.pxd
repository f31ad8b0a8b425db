from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef uint32_t get_page_from_freelist(Pgdat *g, uint32_t gfp_mask, uint32_t order,
                                     uint32_t alloc_flags) noexcept nogil
cdef bint zone_watermark_ok_of(Pgdat *g, const Zone *z, uint32_t order, int64_t mark, uint32_t highest_zoneidx,
                               uint32_t alloc_flags, int64_t free_pages) noexcept nogil
cdef uint32_t isolate_free_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef void prep_new_page(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t gfp_flags, uint32_t alloc_flags) noexcept nogil
# Out of line of get_page_from_freelist(), whose short way seldom needs it.
cdef uint32_t walk_zonelist(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags) noexcept nogil
