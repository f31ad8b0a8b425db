# How lately reclaimed pages were used.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Page
from bootsim.linux.mm.swap cimport LruVec

cdef int workingset_init(LruVec lru, uint32_t totalram_pages, bint memcg) except -1
cdef uint32_t workingset_eviction(LruVec lru, const Page *page) noexcept
cdef void workingset_refault(LruVec lru, Page *page, uint32_t shadow, int64_t nr_swap_pages) noexcept
