# LRU lists, and the vectors in which pages wait for their place on them.
from libc.stdint cimport int32_t, int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Page, Pgdat, Zone

cdef enum:                  # page flags that only pages of processes and files have
    PG_referenced = 1 << 1
    PG_dirty = 1 << 3
    PG_workingset = 1 << 6
    PG_swapcache = 1 << 10  # PG_owner_priv_1
    PG_reclaim = 1 << 18
    PG_readahead = 1 << 18
    PG_swapbacked = 1 << 19
    PAGE_MAPPING_ANON = 1

cdef enum:                  # enum lru_list
    LRU_INACTIVE_ANON = 0
    LRU_ACTIVE_ANON = 1
    LRU_INACTIVE_FILE = 2
    LRU_ACTIVE_FILE = 3
    LRU_UNEVICTABLE = 4
    NR_LRU_LISTS = 5
    LRU_ACTIVE = 1
    LRU_FILE = 2

cdef enum:                  # vectors of a cpu, in the order in which they are emptied; that of files that are dropped
    LRU_ADD = 0             # has no pages here
    LRU_ROTATE = 1
    LRU_DEACTIVATE = 2
    LRU_LAZYFREE = 3
    ACTIVATE_PAGE = 4
    NR_PAGEVECS = 5
    PAGEVEC_SIZE = 15


cdef struct Pagevec:
    uint32_t nr
    uint32_t pages[PAGEVEC_SIZE]


cdef struct LruCounts:      # what a cpu has not added to the sums yet
    int32_t node[NR_LRU_LISTS]
    int32_t zone[4][NR_LRU_LISTS]


cdef struct LruCosts:       # what reclaim remembers of its work; of two values the second is for pages of files
    uint32_t nonresident_age
    uint32_t bucket_order   # how coarse a shadow is
    uint32_t eviction_bits
    uint32_t anon_cost
    uint32_t file_cost
    int64_t refaults[2]     # workingset_activate when reclaim last ended
    int64_t workingset_refault[2]
    int64_t workingset_activate[2]
    int64_t workingset_restore[2]


cdef class LruVec:
    cdef Pgdat *g
    cdef LruCosts costs
    cdef Pagevec *pagevecs          # NR_PAGEVECS a cpu
    cdef LruCounts *diffs           # one a cpu
    cdef int64_t node[NR_LRU_LISTS]
    cdef int64_t zone[4][NR_LRU_LISTS]
    cdef readonly int64_t nr_mlock

    cdef int allocate(self) except -1
    cdef uint32_t list_of(self, int lru) noexcept
    cdef int64_t lru_size(self, int lru, uint32_t zone_idx) noexcept
    cdef void update_lru_size(self, int lru, Zone *zone, int delta) noexcept
    cdef void add_page_to_lru_list(self, uint32_t pfn, int lru) noexcept
    cdef void del_page_from_lru_list(self, uint32_t pfn, int lru) noexcept
    cdef bint page_evictable(self, const Page *page) noexcept
    cdef void put_page(self, uint32_t pfn)
    cdef void release_pages(self, uint32_t *pages, uint32_t nr)
    cdef void move_vector(self, Pagevec *vector, int kind)
    cdef void add_to_vector(self, uint32_t pfn, int kind)
    cdef void lru_cache_add(self, uint32_t pfn)
    cdef void lru_cache_add_now(self, uint32_t pfn) noexcept
    cdef void mark_page_accessed(self, uint32_t pfn)
    cdef void deactivate_page(self, uint32_t pfn)
    cdef void mark_page_lazyfree(self, uint32_t pfn)
    cdef void rotate_reclaimable_page(self, uint32_t pfn)
    cdef void lru_note_cost(self, bint file, uint32_t nr_pages) noexcept
    cdef void lru_add_drain_cpu(self, uint32_t cpu)
    cdef void lru_add_drain(self)
    cdef void lru_add_drain_all(self)
    cdef bint isolate_lru_page(self, uint32_t pfn) noexcept
    cdef void putback_lru_page(self, uint32_t pfn)
    cdef void mlock_page(self, uint32_t pfn)
    cdef void clear_page_mlock(self, uint32_t pfn)


cdef LruVec lruvec_of(Pgdat *g)
cdef int page_lru(const Page *page) noexcept
cdef void leave(LruVec self, uint32_t pfn) noexcept


cdef inline bint page_is_file_lru(const Page *page) noexcept:
    return (page.flags & PG_swapbacked) == 0


cdef inline bint page_anon(const Page *page) noexcept:
    return (page.mapping & PAGE_MAPPING_ANON) != 0


cdef inline int page_mapcount(const Page *page) noexcept:
    return -<int>page.page_type     # kept inverted


cdef inline bint page_mapped(const Page *page) noexcept:
    return page.page_type != 0


cdef inline bint has_mapping(const Page *page) noexcept:
    # page_mapping(): that of a file, or of the swap cache
    return (page.flags & PG_swapcache) != 0 or page.mapping != 0 and not page_anon(page)
