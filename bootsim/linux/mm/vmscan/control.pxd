# struct scan_control and reclaim_stat: one reclaim, and what it has come to.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport Pgdat, Zone

cdef enum:
    SWAP_CLUSTER_MAX = 32
    DEF_PRIORITY = 12
    DEACTIVATE_ANON = 1
    DEACTIVATE_FILE = 2


cdef struct ScanControl:
    uint32_t nr_to_reclaim
    uint32_t gfp_mask
    uint32_t reclaim_idx    # the highest zone that is of use
    int order
    int priority            # the lists are looked at to a part of 2**-priority
    int may_deactivate
    bint kswapd             # current_is_kswapd()
    bint may_writepage
    bint may_unmap
    bint may_swap
    bint force_deactivate
    bint skipped_deactivate
    bint cache_trim_mode
    bint file_is_tiny
    bint compaction_ready
    uint32_t anon_cost
    uint32_t file_cost
    int64_t nr_scanned
    int64_t nr_reclaimed
    uint32_t unqueued_dirty  # sc->nr, of one walk over the lists
    uint32_t file_taken


cdef struct ReclaimStat:
    uint32_t nr_unqueued_dirty
    uint32_t nr_pageout
    uint32_t nr_activate[2]


cdef class Reclaimer:       # of a machine with processes: what shrink_node() and try_to_free_pages() are
    cdef readonly int64_t reclaimed     # pages, by kswapd and by requests
    cdef bint pgdat_dirty               # PGDAT_DIRTY: kswapd came to files' pages that were all dirty

    cdef int shrink_node(self, ScanControl *sc) except -1
    cdef int age_active_anon(self, ScanControl *sc) except -1
    cdef int snapshot_refaults(self) except -1
