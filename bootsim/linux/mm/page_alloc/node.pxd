from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef class Pglist:
    cdef Pgdat *g
    cdef size_t map_bytes
    cdef unsigned char *map_memory
    cdef object __weakref__
    cdef readonly list zone_names
    cdef readonly list bank_pfns
    cdef readonly list valid_pfns
    cdef uint32_t *section_flags    # SPARSEMEM: the pageblock flags that all zones share
    cdef readonly int nr_migrate_types
    cdef bint clears_allocated     # init_on_alloc, init_on_free, page_poison: as they were when the node was made
    cdef bint fills_freed
    cdef public object mem_map_pa
    cdef public object mem_map_bytes
    cdef public int nr_bad_shown
    cdef public object lru          # swap.LruVec, once there are processes
    cdef public object holders      # who holds movable pages: migrate.PageHolders, or None
    cdef set warned                 # places of WARN_ON_ONCE() that have warned
    cdef public object death        # why the kernel died in a request that is under way
    cdef public int min_free_kbytes
    cdef public int user_min_free_kbytes
    cdef public int watermark_scale_factor
    cdef public int totalreserve_pages
    cdef public list sysctl_lowmem_reserve_ratio

    cdef int map_pages(self, uint32_t base, uint32_t end) except -1
    cdef int reserve_map(self) except -1
    cdef int raise_death(self) except -1
    cdef int copy_from(self, Pglist other) except -1


cdef size_t usemap_size(const Pgdat *g, const Zone *zone) noexcept nogil
cdef size_t section_flags_words(const Pgdat *g) noexcept nogil
cdef int check_pfn(Pgdat *g, uint32_t pfn, uint32_t order) except -1
cdef int check_pfn_range(Pgdat *g, uint64_t start_pfn, uint64_t end_pfn) except -1
cdef int check_migratetype(Pglist p, uint32_t migratetype) except -1
cdef int check_pageblocks(Pglist p, uint64_t start_pfn, uint64_t end_pfn, uint32_t migratetype) except -1
cdef int check_not_free(Pgdat *g, uint32_t pfn, uint32_t order=*) except -1
cdef int check_untouched(Pgdat *g, uint32_t start_pfn, uint32_t end_pfn) except -1
cdef int check_gfp(uint32_t gfp_mask) except -1
cdef migratetypes(Pglist p)
cdef list zone_fact_names(k, what)
cdef smp_cache_bytes(k)
cdef clamp(value, low, high)
cdef round_up(value, unit)
