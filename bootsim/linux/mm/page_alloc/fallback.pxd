from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef uint32_t move_freepages_block(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t mt,
                                   uint32_t *num_movable) noexcept nogil
cdef int find_suitable_fallback(Pgdat *g, const Zone *zone, uint32_t order, uint32_t mt, bint only_stealable,
                                bint *can_steal) noexcept nogil
cdef bint __rmqueue_fallback(Pgdat *g, Zone *zone, uint32_t order, uint32_t start_mt,
                             uint32_t alloc_flags) noexcept nogil
cdef void reserve_highatomic_pageblock(Pgdat *g, uint32_t pfn, Zone *zone) noexcept nogil
