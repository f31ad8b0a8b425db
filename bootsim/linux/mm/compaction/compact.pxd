from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport CompactControl, Pgdat, Zone

cdef int compact_zone(Pgdat *g, CompactControl *cc) noexcept nogil
cdef int try_to_compact_pages(Pgdat *g, uint32_t gfp_mask, uint32_t order, uint32_t alloc_flags, int prio,
                              uint32_t *capture) noexcept nogil
cdef int compact_node(Pgdat *g) noexcept nogil
cdef void wakeup_kcompactd(Pgdat *g, int order, uint32_t highest_zoneidx) noexcept nogil
cdef void kcompactd_do_work(Pgdat *g) noexcept nogil
cdef int fragmentation_index_of(const Pgdat *g, const Zone *zone, uint32_t order) noexcept nogil
cdef int __compaction_suitable(Pgdat *g, Zone *zone, int order, uint32_t alloc_flags, uint32_t highest_zoneidx,
                               int64_t wmark_target) noexcept nogil
cdef int compaction_suitable_of(Pgdat *g, Zone *zone, int order, uint32_t alloc_flags,
                                uint32_t highest_zoneidx) noexcept nogil
