from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport list_del
from bootsim.linux.mm.page_alloc.structs cimport *

cdef uint32_t get_page_from_freelist(Pgdat *g, uint32_t gfp_mask, uint32_t order,
                                     uint32_t alloc_flags) noexcept nogil
cdef bint zone_watermark_ok_of(Pgdat *g, const Zone *z, uint32_t order, int64_t mark, uint32_t highest_zoneidx,
                               uint32_t alloc_flags, int64_t free_pages) noexcept nogil
cdef uint32_t isolate_free_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil
cdef void prep_new_page(Pgdat *g, uint32_t pfn, uint32_t order, uint32_t gfp_flags, uint32_t alloc_flags) noexcept nogil


cdef inline int64_t __zone_watermark_unusable_free(Pgdat *g, const Zone *z, uint32_t order,
                                                   uint32_t alloc_flags) noexcept nogil:
    cdef int64_t unusable_free = (<int64_t>1 << order) - 1
    if not alloc_flags & (ALLOC_HARDER | ALLOC_OOM):
        unusable_free += z.nr_reserved_highatomic
    if g.cma and not alloc_flags & ALLOC_CMA:
        unusable_free += z.vm_stat[NR_FREE_CMA_PAGES]
    return unusable_free


cdef inline int64_t watermark_of(const Zone *z, uint32_t alloc_flags) noexcept nogil:
    return <int64_t>z.watermark[alloc_flags & ALLOC_WMARK_MASK] + z.watermark_boost


cdef inline bint enough_for_one(Pgdat *g, const Zone *z, uint32_t highest_zoneidx, uint32_t alloc_flags) noexcept nogil:
    # the shortcut of zone_watermark_fast()
    return (z.vm_stat[NR_FREE_PAGES] - __zone_watermark_unusable_free(g, z, 0, alloc_flags)
            > watermark_of(z, alloc_flags) + z.lowmem_reserve[highest_zoneidx])


cdef inline uint32_t take_first(Pgdat *g, PerCpuPages *pcp, uint32_t head) noexcept nogil:
    # of a per-cpu list that is not empty
    cdef uint32_t pfn = g.map[head].next
    list_del(g.map, pfn)
    g.map[pfn].flags &= ~<uint32_t>PG_on_pcp
    pcp.count -= 1
    return pfn


cdef inline void prep_single_page(Page *page, uint32_t alloc_flags) noexcept nogil:
    page.private_ = 0
    page.refcount = 1
    # page_is_pfmemalloc(): an index of -1
    page.index = 0xFFFFFFFFU if alloc_flags & ALLOC_NO_WATERMARKS else 0
