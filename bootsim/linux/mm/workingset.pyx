"""Pages that come back: whether they were reclaimed too early (mm/workingset.c).

A reclaimed page leaves a shadow: how many pages had been reclaimed or activated by then. When it is read again, as many
have gone by as the inactive list was too short; if the active pages could have made way for it, it is active at once.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport PG_active, Page
from bootsim.linux.mm.swap cimport (
    LRU_ACTIVE_ANON, LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE, PG_workingset, LruVec, page_is_file_lru)

cdef enum:
    BITS_PER_XA_VALUE = 31
    MEM_CGROUP_ID_SHIFT = 16
    ROOT_MEM_CGROUP_ID = 1


cdef int workingset_init(LruVec lru, uint32_t totalram_pages, bint memcg) except -1:
    """How much of an age a shadow has room for: groups of memory (CONFIG_MEMCG) take 16 bits of it.

    Source: mm/workingset.c workingset_init(), EVICTION_SHIFT; the one node takes no bits
    """
    lru.costs.eviction_bits = BITS_PER_XA_VALUE - 1 - (MEM_CGROUP_ID_SHIFT if memcg else 0)
    lru.costs.bucket_order = max(int(totalram_pages - 1).bit_length() - <int>lru.costs.eviction_bits, 0)
    return 0


cdef uint32_t workingset_eviction(LruVec lru, const Page *page) noexcept:
    """The shadow of a page that is reclaimed: 31 bits.

    Source: mm/workingset.c workingset_eviction(), pack_shadow()
    Differs: all pages belong to the root group.
    """
    cdef uint32_t bits = lru.costs.eviction_bits
    cdef uint32_t shadow
    lru.costs.nonresident_age += 1
    shadow = lru.costs.nonresident_age >> lru.costs.bucket_order & ((<uint32_t>1 << bits) - 1)
    if bits < BITS_PER_XA_VALUE - 1:
        shadow = shadow << MEM_CGROUP_ID_SHIFT | ROOT_MEM_CGROUP_ID
    return shadow << 1 | ((page.flags & PG_workingset) != 0)


cdef void workingset_refault(LruVec lru, Page *page, uint32_t shadow, int64_t nr_swap_pages) noexcept:
    """A page with a shadow is back; `nr_swap_pages` slots are free.

    Source: mm/workingset.c workingset_refault(), unpack_shadow()
    """
    cdef bint file = page_is_file_lru(page)
    cdef uint32_t bits = lru.costs.eviction_bits
    cdef uint32_t eviction = shadow >> 1 + (BITS_PER_XA_VALUE - 1 - bits) << lru.costs.bucket_order
    cdef uint32_t distance = (lru.costs.nonresident_age - eviction) & ((<uint32_t>1 << bits) - 1)
    cdef int64_t workingset_size = lru.node[LRU_ACTIVE_FILE]
    lru.costs.workingset_refault[file] += 1
    if not file:
        workingset_size += lru.node[LRU_INACTIVE_FILE]
    if nr_swap_pages > 0:
        workingset_size += lru.node[LRU_ACTIVE_ANON]
        if file:
            workingset_size += lru.node[LRU_INACTIVE_ANON]
    if distance > workingset_size:
        return
    page.flags |= PG_active
    lru.costs.nonresident_age += 1
    lru.costs.workingset_activate[file] += 1
    if shadow & 1:
        page.flags |= PG_workingset
        lru.lru_note_cost(file, 1)
        lru.costs.workingset_restore[file] += 1
