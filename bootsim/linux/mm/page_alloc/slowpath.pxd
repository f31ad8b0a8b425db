from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat

cdef enum:
    MAX_RECLAIM_RETRIES = 16

cdef uint32_t alloc_pages_nodemask(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil
cdef bint unreserve_highatomic_pageblock(Pgdat *g, uint32_t highest_zoneidx, uint32_t mt, bint force) noexcept nogil
