from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef enum:
    MAX_RECLAIM_RETRIES = 16

cdef int64_t zone_free_pages_snapshot(const Pgdat *g, const Zone *zone) noexcept nogil
cdef uint32_t alloc_pages_nodemask(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil
cdef bint unreserve_highatomic_pageblock(Pgdat *g, uint32_t highest_zoneidx, uint32_t mt, bint force) noexcept nogil
# Out of line of alloc_pages_nodemask(), which seldom needs it.
cdef uint32_t __alloc_pages_slowpath(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil
# Out of line of alloc_pages_nodemask(), whose short way seldom needs it.
cdef uint32_t alloc_pages_further(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil
