"""What is known of records, and of a block of pages that one names: after a wrong answer it may be any."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.compaction.skip cimport turn_list
from bootsim.linux.mm.page_alloc cimport (
    MIGRATE_MOVABLE, NO_PAGE, PG_on_pcp, PG_slab, PageBuddy, Pgdat, block_of, free_list_of, zone_of)


cdef int check_records(const uint32_t[:, ::1] events, const uint32_t[:, ::1] answers, Py_ssize_t start,
                       Py_ssize_t stop) except -1:
    # some records are handled with those that come after `stop`, and answered
    if events.shape[1] != 4 or answers.shape[1] != 4 or events.shape[0] != answers.shape[0]:
        raise ValueError("expected records of four words, and a row for the answer to each")
    if stop > events.shape[0] or start < 0:
        raise ValueError("more records asked for than there are")
    return 0


cdef bint holds(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # whether the machine has it
    return order < g.max_order and g.span_start[0] <= pfn and <int64_t>pfn + (<int64_t>1 << order) <= g.end


cdef bint in_use(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # whether no page of it lies in a list of free ones
    cdef uint32_t i
    if not holds(g, pfn, order) or block_of(g, pfn) != NO_PAGE:
        return False
    for i in range(pfn, pfn + (<uint32_t>1 << order)):
        if PageBuddy(&g.map[i]) or g.map[i].flags & PG_on_pcp:
            return False
    return True


cdef bint has_slab(const Pgdat *g, uint32_t pfn, uint32_t order) noexcept nogil:
    # whether a page of it is a slab's first
    cdef uint32_t i
    if holds(g, pfn, order):
        for i in range(pfn, pfn + (<uint32_t>1 << order)):
            if g.map[i].flags & PG_slab:
                return True
    return False


cdef int turn(Pgdat *g, uint32_t pfn, uint32_t tail, uint32_t order) except -1:
    # move_freelist_head(), move_freelist_tail(): the list begins, or ends, with this block, if it is its own
    cdef uint32_t head, at
    if not holds(g, pfn, 0) or order >= g.max_order:
        return 0
    head = free_list_of(zone_of(g, pfn), order, MIGRATE_MOVABLE)
    at = g.map[head].next
    while at not in (head, pfn):
        at = g.map[at].next
    if at == pfn and tail:
        at = g.map[pfn].next
    if at != head:
        turn_list(g, head, at)
    return 0
