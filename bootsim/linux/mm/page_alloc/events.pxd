# Bad pages, and what a request did beside taking pages: kept until Python can log it.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport *

cdef enum:
    # Flags that a page being freed must not have.
    PAGE_FLAGS_CHECK_AT_FREE = (PG_lru | PG_locked | PG_private | PG_private_2 | PG_writeback | PG_reserved | PG_slab
                                | PG_active | PG_unevictable | PG_mlocked)
    # Flags that a page being handed out must not have; freeing clears them.
    PAGE_FLAGS_CHECK_AT_PREP = (1 << NR_PAGEFLAGS) - 1


cdef void look_at(const Pgdat *g, uint32_t pfn, BadPage *seen) noexcept nogil
cdef void bad_page(Pgdat *g, uint32_t pfn, const char *reason) noexcept nogil
cdef void bad_page_with(Pgdat *g, uint32_t pfn, uint32_t flags) noexcept nogil
cdef void tell_nobody_killed(Pgdat *g, uint32_t gfp_mask, uint32_t order) noexcept nogil
cdef void tell(Pgdat *g, uint32_t what, uint32_t a, uint32_t b) noexcept nogil
