"""What the allocator's C core met, until Python can log it: bad pages, kswapd woken, reclaim, reserves."""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.core cimport compound_head
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_FS
from bootsim.linux.mm.page_alloc.structs cimport *

cdef const char *page_bad_reason(const Page *page, uint32_t flags) noexcept nogil:
    # As in the kernel, the last matching reason wins.
    cdef const char *reason = NULL
    if page.page_type:
        reason = b"nonzero mapcount"
    if page.mapping:
        reason = b"non-NULL mapping"
    if page.refcount:
        reason = b"nonzero _refcount"
    if page.flags & flags:
        if flags == PAGE_FLAGS_CHECK_AT_PREP:
            reason = b"PAGE_FLAGS_CHECK_AT_PREP flag(s) set"
        else:
            reason = b"PAGE_FLAGS_CHECK_AT_FREE flag(s) set"
    return reason


cdef void look_at(const Pgdat *g, uint32_t pfn, BadPage *seen) noexcept nogil:
    cdef uint32_t head_pfn = compound_head(g, pfn)
    seen.pfn, seen.page = pfn, g.map[pfn]
    seen.head_pfn, seen.head = head_pfn, g.map[head_pfn]


cdef void bad_page(Pgdat *g, uint32_t pfn, const char *reason) noexcept nogil:
    # What does not fit is counted.
    if g.nr_bad < MAX_BAD_PAGES:
        look_at(g, pfn, &g.bad[g.nr_bad])
        g.bad[g.nr_bad].reason = reason
    g.nr_bad += 1
    g.map[pfn].page_type = 0


cdef void bad_page_with(Pgdat *g, uint32_t pfn, uint32_t flags) noexcept nogil:
    # of a page that should have none of the flags, and be nobody's
    bad_page(g, pfn, page_bad_reason(&g.map[pfn], flags))


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


cdef void tell_nobody_killed(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil:
    # out_of_memory() of a machine without processes
    if gfp_mask & __GFP_FS:
        tell(g, OOM_DEADLOCK, order, 0)
    else:
        tell(g, OOM_WAITS, 0, 0)
