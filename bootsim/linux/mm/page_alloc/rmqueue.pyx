"""Taking pages off the free lists (mm/page_alloc.c)."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.fallback cimport __rmqueue_fallback
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    COMPOUND_PAGE_DTOR = 1
    MAX_STEALS = 64


cdef inline void expand(Pgdat *g, Zone *zone, uint32_t pfn, uint32_t low, uint32_t high, uint32_t mt) noexcept nogil:
    while high > low:
        high -= 1
        add_to_free_list(g, pfn + (<uint32_t>1 << high), zone, high, mt)
        set_buddy_order(&g.map[pfn + (<uint32_t>1 << high)], high)


cdef inline uint32_t __rmqueue_smallest(Pgdat *g, Zone *zone, uint32_t order, uint32_t mt) noexcept nogil:
    cdef uint32_t current_order, pfn, head
    for current_order in range(order, g.max_order):
        head = free_list(zone, current_order, mt)
        pfn = g.map[head].next
        if pfn == head:
            continue
        del_page_from_free_list(g, pfn, zone, current_order)
        expand(g, zone, pfn, order, current_order, mt)
        g.map[pfn].index = mt
        return pfn
    return NO_PAGE


cdef inline uint32_t __rmqueue(Pgdat *g, Zone *zone, uint32_t order, uint32_t mt, uint32_t alloc_flags) noexcept nogil:
    cdef uint32_t pfn
    cdef int _tries
    # Movable requests take from CMA once more than half of the free memory is there.
    if alloc_flags & ALLOC_CMA and zone.vm_stat[NR_FREE_CMA_PAGES] > zone.vm_stat[NR_FREE_PAGES] // 2:
        pfn = __rmqueue_smallest(g, zone, order, MIGRATE_CMA)
        if pfn != NO_PAGE:
            return pfn
    # One round of stealing gives the page, unless a bad page lost its mark on the free list: there the kernel hangs.
    for _tries in range(MAX_STEALS):
        pfn = __rmqueue_smallest(g, zone, order, mt)
        if pfn == NO_PAGE and alloc_flags & ALLOC_CMA:
            pfn = __rmqueue_smallest(g, zone, order, MIGRATE_CMA)
        if pfn != NO_PAGE or not __rmqueue_fallback(g, zone, order, mt, alloc_flags):
            return pfn
    return NO_PAGE


cdef int32_t rmqueue_bulk(Pgdat *g, Zone *zone, int32_t count, uint32_t head, uint32_t mt,
                          uint32_t alloc_flags) noexcept nogil:
    # At order 0, the only one it is used for.
    cdef int32_t _i, alloced = 0, taken = 0
    cdef uint32_t pfn
    for _i in range(count):
        pfn = __rmqueue(g, zone, 0, mt, alloc_flags)
        if pfn == NO_PAGE:
            break
        taken += 1
        if g.checks_lists and check_new_page(g, pfn):
            continue
        list_add_tail(g.map, pfn, head)
        g.map[pfn].flags |= PG_on_pcp
        alloced += 1
        if g.map[pfn].index == MIGRATE_CMA:
            __mod_zone_page_state(g, zone, NR_FREE_CMA_PAGES, -1)
    __mod_zone_page_state(g, zone, NR_FREE_PAGES, -taken)
    return alloced


cdef bint check_new_pages(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        if check_new_page(g, i):
            return True
    return False


cdef uint32_t rmqueue_block(Pgdat *g, Zone *zone, uint32_t order, uint32_t alloc_flags, uint32_t mt) noexcept nogil:
    # rmqueue() of what no per-cpu list has
    cdef uint32_t pfn
    while True:
        pfn = NO_PAGE
        if order > 0 and alloc_flags & ALLOC_HARDER:
            pfn = __rmqueue_smallest(g, zone, order, MIGRATE_HIGHATOMIC)
        if pfn == NO_PAGE:
            pfn = __rmqueue(g, zone, order, mt, alloc_flags)
        if pfn == NO_PAGE:
            return NO_PAGE
        if not check_new_pages(g, pfn, order):
            break
    __mod_zone_freepage_state(g, zone, -(<int64_t>1 << order), g.map[pfn].index)
    count_vm_events(g, PGALLOC + zone.index, <int64_t>1 << order)
    return pfn


cdef void prep_compound_page(Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef uint32_t i
    g.map[pfn].flags |= PG_head
    for i in range(pfn + 1, pfn + (<uint32_t>1 << order)):
        g.map[i].refcount = 0
        g.map[i].mapping = TAIL_MAPPING
        g.map[i].next = TAIL_MARK | pfn
    g.map[pfn + 1].prev = COMPOUND_PAGE_DTOR << 8 | order
    g.map[pfn + 1].mapping = 0xFFFFFFFFU  # compound_mapcount, which begins at -1
    g.map[pfn + 1].index = <uint32_t>1 << order  # compound_nr
