# The page allocator's data.
#
# Lists are doubly linked through 32-bit names instead of pointers. A name below `heads_base` is a page frame number, a
# name from there on is a list head; both index the same array, so that list operations need no branches:
#
#     map -> [pfn base] ... [pfn heads_base - 1] | [head 0] [head 1] ...
#
# A zero-filled Page is a page as __init_single_page() and __free_pages_core() leave it: unreserved, refcount 0,
# mapcount -1. Pages inside a big free block are never written, and hold no memory of the host.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from bootsim.page cimport *

cdef enum:
    MAX_ORDERS = 16         # the largest CONFIG_FORCE_MAX_ZONEORDER
    MAX_ZONES = 4
    MIGRATE_PCPTYPES = 3    # the types that have per-cpu lists
    MIGRATE_TYPES = 6       # of which a build may lack the last ones
    NR_FREE_PAGES = 0       # indices of vm_stat
    NR_FREE_CMA_PAGES = 1
    NR_STATS = 2
    WMARK_MIN = 0
    WMARK_LOW = 1
    WMARK_HIGH = 2
    FPI_NONE = 0
    FPI_SKIP_REPORT_NOTIFY = 1
    FPI_TO_TAIL = 2
    ALLOC_WMARK_MASK = 0x03     # how a request may take pages, beside the watermark it asks for
    ALLOC_NO_WATERMARKS = 0x04
    ALLOC_OOM = 0x08
    ALLOC_HARDER = 0x10
    ALLOC_HIGH = 0x20
    ALLOC_CPUSET = 0x40
    ALLOC_CMA = 0x80
    ALLOC_KSWAPD = 0x800
    PAGEBLOCK_BITS = 4
    PAGEBLOCKS_PER_WORD = 8
    MAX_BAD_PAGES = 64
    MAX_EVENTS = 32

cdef enum:  # page flags, by their bits
    PG_locked = 1 << 0
    PG_uptodate = 1 << 2
    PG_lru = 1 << 4
    PG_active = 1 << 5
    PG_slab = 1 << 9
    PG_reserved = 1 << 12
    PG_private = 1 << 13
    PG_private_2 = 1 << 14
    PG_writeback = 1 << 15
    PG_head = 1 << 16
    PG_unevictable = 1 << 20
    PG_mlocked = 1 << 21
    NR_PAGEFLAGS = 22
    PG_on_pcp = 1 << 24     # no flag of the kernel: a per-cpu list holds the page
    PG_poisoned = 1 << 25   # no flag either: PAGE_POISONING has filled the page
    PG_reported = 1 << 2    # PG_uptodate of a free page
    PG_buddy = 0x80         # of page_type

cdef enum:
    NO_PAGE = 0xFFFFFFFFU    # where the kernel has a NULL struct page *
    TAIL_MARK = 0x80000000U  # in `next`: a tail page of a compound page, the rest is the head's pfn
    TAIL_MAPPING = 0x400


cdef struct Page:           # struct page, 32 bytes
    uint32_t flags
    uint32_t next           # lru.next, or compound_head with TAIL_MARK
    uint32_t prev           # lru.prev; of the first tail page: compound_dtor << 8 | compound_order
    uint32_t mapping
    uint32_t index          # in a per-cpu list: its pageblock's migrate type
    uint32_t private_       # of a free block: its order
    int32_t refcount
    uint32_t page_type      # page_type and _mapcount, every bit inverted: 0 is a mapcount of -1


cdef struct PerCpuPages:    # struct per_cpu_pages, and what struct per_cpu_pageset adds
    int32_t count
    int32_t high
    int32_t batch
    int32_t stat_threshold
    int32_t vm_stat_diff[2]
    uint32_t lists          # head of the list of type 0; the others follow
    uint32_t unused         # to 32 bytes: an index is a shift


cdef struct Zone:           # struct zone
    uint32_t index
    uint32_t start_pfn
    uint32_t spanned_pages
    uint32_t present_pages
    uint32_t managed_pages
    bint highmem
    bint initialized
    bint boosted_watermark  # ZONE_BOOSTED_WATERMARK of zone->flags
    uint32_t watermark[3]
    uint32_t watermark_boost
    uint32_t lowmem_reserve[4]
    uint32_t nr_reserved_highatomic
    uint32_t nr_isolate_pageblock
    int64_t percpu_drift_mark
    int64_t vm_stat[2]
    uint32_t nr_free[16]
    uint32_t free_list      # head of order 0, type 0; an order has MIGRATE_TYPES heads
    uint32_t *pageblock_flags   # four bits a pageblock, from the pageblock first_block on
    uint32_t first_block
    PerCpuPages *pageset    # one a cpu
    int64_t compact_cached_free_pfn     # where compaction's scanners go on
    int64_t compact_cached_migrate_pfn[2]   # of asynchronous and of synchronous compaction
    int64_t compact_init_migrate_pfn
    int64_t compact_init_free_pfn
    uint32_t compact_considered         # requests since compaction last failed
    uint32_t compact_defer_shift
    int compact_order_failed
    bint compact_blockskip_flush
    uint64_t unused         # to 256 bytes: an index is a shift


cdef struct BadPage:        # one "BUG: Bad page state", until Python can log it
    uint32_t pfn
    const char *reason      # NULL: none is known
    Page page
    uint32_t head_pfn       # of its compound page, or itself
    Page head


cdef enum:                  # what a request did beside taking pages, and what `a` and `b` of it are
    WOKE_KSWAPD             # zone, order
    DIRECT_RECLAIM          # order, pages that were reclaimed
    DIRECT_COMPACT          # order, COMPACT_*
    UNRESERVED              # zone, first page that moved
    OOM_DEADLOCK            # order: nobody can be killed, and the kernel would panic
    OOM_WAITS               # without __GFP_FS nobody is killed, and the kernel would try on for ever
    TOOK_RESERVES           # zone: __GFP_NOFAIL took what is kept for others
    NOFAIL_WAITS            # order: the kernel would try on for ever
    ATOMIC_AND_SLEEPS       # the two exclude each other
    NOFAIL_CANNOT_SLEEP     # nor do these go together
    NOFAIL_SEVERAL          # __GFP_NOFAIL for more than two pages
    NOFAIL_COSTLY           # and for more than eight
    LOST_IN_VECTOR          # page: it was given back while it waited for its LRU list


cdef struct AllocEvent:
    uint32_t what
    uint32_t a
    uint32_t b
    uint32_t times


cdef enum:                  # enum migrate_mode
    MIGRATE_ASYNC = 0
    MIGRATE_SYNC_LIGHT = 1
    MIGRATE_SYNC = 2
    COMPACT_SKIPPED = 1     # enum compact_result
    COMPACT_DEFERRED = 2
    COMPACT_CONTINUE = 4
    COMPACT_COMPLETE = 5
    COMPACT_PARTIAL_SKIPPED = 6
    COMPACT_CONTENDED = 7
    COMPACT_SUCCESS = 8
    NOT_MOVABLE = 0         # what PageOwners.movable() answers
    MOVABLE_LRU = 1         # a page of a process or a file
    MOVABLE_DRIVER = 2
    TOOK_FREE_BLOCK = 0     # what PageOwners.told() hears: pfn, order
    TURNED_LIST = 1         # pfn, whether it comes last, order
    STAYS_LAST = 2          # of TURNED_LIST in place of 1: the block is the list's last already, nothing changes
    FOUND_NOTHING = 2       # pfn of a pageblock that was marked as without movable pages
    MAX_COMPACTIONS = 2     # one may begin while another sleeps
    NR_LRU_HEADS = 5


cdef struct PageOwners:     # who maps or holds pages, and whether they may move: all that compaction knows of it
    void *self
    int (*movable)(void *self, uint32_t pfn, int mode, uint32_t gfp_mask) noexcept nogil
    bint (*isolate)(void *self, uint32_t pfn, int mode) noexcept nogil  # takes it off its owner's lists
    void (*putback)(void *self, uint32_t pfn) noexcept nogil
    int (*move)(void *self, uint32_t old, uint32_t new_, int mode) noexcept nogil   # 0, or -errno: -EAGAIN tries again
    void (*drain)(void *self, bint everywhere) noexcept nogil   # pages in LRU vectors come to their lists; may be NULL
    void (*told)(void *self, int what, uint32_t a, uint32_t b, uint32_t c) noexcept nogil
    bint frees              # what nobody holds any more is freed by compaction, not by whoever drives it
    bint stop               # the driver wants no more of it


cdef struct OomHooks:       # the OOM killer of a machine with processes
    void *self
    # whether there is hope: somebody was killed and is gone, or the task that asks may use reserves; else it is in vain
    bint (*out_of_memory)(void *self, uint32_t gfp_mask, uint32_t order) noexcept nogil
    bint (*current_is_victim)(void *self) noexcept nogil     # tsk_is_oom_victim(current)


cdef struct ReclaimHooks:   # what a machine with processes reclaims for a request: how many pages
    void *self
    uint32_t (*try_to_free_pages)(void *self, uint32_t gfp_mask, uint32_t order) noexcept nogil
    int64_t (*zone_reclaimable_pages)(void *self, uint32_t zone) noexcept nogil


cdef struct CompactControl:  # struct compact_control
    Zone *zone
    uint32_t freepages      # heads of its lists
    uint32_t migratepages
    uint32_t nr_freepages
    uint32_t nr_migratepages
    int64_t total_migrate_scanned
    int64_t total_free_scanned
    int64_t free_pfn
    int64_t migrate_pfn
    int64_t fast_start_pfn
    int order               # -1: all of the zone is to be compacted
    int search_order
    int fast_search_fail
    uint32_t migratetype
    uint32_t gfp_mask
    uint32_t alloc_flags
    uint32_t highest_zoneidx
    int mode
    bint ignore_skip_hint
    bint no_set_skip_hint
    bint ignore_block_suitable
    bint direct_compaction
    bint whole_zone
    bint contended
    bint rescan
    bint alloc_contig


cdef struct Pgdat:          # struct pglist_data, and the variables of page_alloc.c
    Page *map               # indexed by pfn and by list head
    uint32_t base
    uint32_t end
    uint32_t heads_base
    uint32_t nr_heads
    uint32_t tmp_list       # head of a list that lives only inside one call
    uint32_t node_start_pfn
    uint32_t node_spanned_pages
    uint32_t node_present_pages
    uint32_t nr_zones       # MAX_NR_ZONES of the build
    Zone zones[4]
    uint32_t nr_spans       # zones with pages, by address: where each starts, which it is
    uint32_t span_start[4]
    uint32_t span_zone[4]
    uint32_t nr_zonelist    # the fallback zonelist: zone indices, highest first
    uint32_t zonelist[4]
    uint32_t zonelist_from[4]   # where in it the zones up to an index begin
    uint32_t gfp_zone[16]
    uint32_t max_order      # MAX_ORDER
    uint32_t pageblock_order
    uint32_t nr_cpus
    uint32_t cpu            # smp_processor_id()
    bint cma
    bint page_group_by_mobility_disabled
    bint debug_vm
    bint checks_pcp         # single pages are checked on their way to and from per-cpu lists,
    bint checks_lists       # and between these and the free lists
    uint32_t gfp_allowed_mask
    uint32_t watermark_boost_factor
    int64_t vm_events[80]   # mm/vmstat.pxd's items, of all processors together
    uint32_t freed_end      # no page from here on has ever been freed
    uint32_t nr_movable_seen    # what is known of movable pages from outside, for the blocks that are stolen next
    uint32_t movable_used
    uint32_t movable_seen[16]
    bint compaction         # CONFIG_COMPACTION
    PageOwners *owners      # NULL: no page may move
    OomHooks *oom           # NULL: there are no processes
    ReclaimHooks *reclaim   # NULL too
    bint pf_memalloc        # who asks for pages reclaims them (PF_MEMALLOC)
    uint32_t compact_lists  # heads of the lists of MAX_COMPACTIONS compactions
    uint32_t compactions    # how many are under way
    uint32_t lru_lists      # heads of the LRU lists, in the order of enum lru_list
    CompactControl *capturing   # direct compaction that takes a block of its order as soon as one is freed
    uint32_t captured
    uint32_t kswapd_failures    # runs of kswapd that reclaimed nothing: after 16 it is left asleep
    int kcompactd_max_order     # the order that kcompactd is asked for, and up to which zone
    uint32_t kcompactd_highest_zoneidx
    bint kcompactd_woken
    uint32_t nr_events
    AllocEvent events[32]
    uint32_t nr_bad
    BadPage bad[64]
