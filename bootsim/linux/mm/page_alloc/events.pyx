"""What the allocator's C core met, until Python can log it: bad pages, kswapd woken, reclaim, reserves."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport *

cdef inline int page_bad_reason(const Page *page, uint32_t flags) noexcept nogil:
    # An index of BAD_REASONS. As in the kernel, the last matching reason wins.
    cdef int reason = 0
    if page.page_type:
        reason = 1
    if page.mapping:
        reason = 2
    if page.refcount:
        reason = 3
    if page.flags & flags:
        reason = 5 if flags == PAGE_FLAGS_CHECK_AT_PREP else 4
    return reason


cdef void look_at(const Pgdat *g, uint32_t pfn, BadPage *seen) noexcept nogil:
    cdef uint32_t head_pfn = g.map[pfn].next & ~<uint32_t>TAIL_MARK if g.map[pfn].next & TAIL_MARK else pfn
    seen.pfn, seen.page = pfn, g.map[pfn]
    seen.head_pfn, seen.head = head_pfn, g.map[head_pfn]


cdef void bad_page(Pgdat *g, uint32_t pfn, uint32_t flags, int reason) noexcept nogil:
    # `flags`: those it must not have; `reason`: another one. What does not fit is counted.
    if g.nr_bad < MAX_BAD_PAGES:
        look_at(g, pfn, &g.bad[g.nr_bad])
        g.bad[g.nr_bad].reason = reason if reason else page_bad_reason(&g.map[pfn], flags)
    g.nr_bad += 1
    g.map[pfn].page_type = 0


cdef void tell(Pgdat *g, uint32_t what, uint32_t a, uint32_t b) noexcept nogil:
    # One that is told already is counted.
    cdef uint32_t i
    for i in range(g.nr_events):
        if g.events[i].what == what and g.events[i].a == a and g.events[i].b == b:
            g.events[i].times += 1
            return
    if g.nr_events < MAX_EVENTS:
        g.events[g.nr_events].what = what
        g.events[g.nr_events].a = a
        g.events[g.nr_events].b = b
        g.events[g.nr_events].times = 1
        g.nr_events += 1
