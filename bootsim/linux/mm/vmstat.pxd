from libc.stdint cimport uint32_t

from bootsim.page cimport PAGE_SHIFT

# What /proc/vmstat counts of events, in its order (include/linux/vm_event_item.h). Every zone that a build may have has
# its place, by its index; items of builds that are refused, and those of code that 32-bit ARM has not, are left out.
cdef enum:
    PGPGIN
    PGPGOUT
    PSWPIN
    PSWPOUT
    PGALLOC                 # of the zone of index 0; four places, as the next two
    ALLOCSTALL = 8
    PGSCAN_SKIP = 12
    PGFREE = 16
    PGACTIVATE
    PGDEACTIVATE
    PGLAZYFREE
    PGFAULT
    PGMAJFAULT
    PGLAZYFREED
    PGREFILL
    PGREUSE
    PGSTEAL_KSWAPD
    PGSTEAL_DIRECT
    PGSCAN_KSWAPD
    PGSCAN_DIRECT
    PGSCAN_DIRECT_THROTTLE
    PGSCAN_ANON
    PGSCAN_FILE
    PGSTEAL_ANON
    PGSTEAL_FILE
    PGINODESTEAL
    SLABS_SCANNED
    KSWAPD_INODESTEAL
    KSWAPD_LOW_WMARK_HIT_QUICKLY
    KSWAPD_HIGH_WMARK_HIT_QUICKLY
    PAGEOUTRUN
    PGROTATED
    DROP_PAGECACHE
    DROP_SLAB
    OOM_KILL
    PGMIGRATE_SUCCESS
    PGMIGRATE_FAIL
    THP_MIGRATION_SUCCESS
    THP_MIGRATION_FAIL
    THP_MIGRATION_SPLIT
    COMPACTMIGRATE_SCANNED
    COMPACTFREE_SCANNED
    COMPACTISOLATED
    COMPACTSTALL
    COMPACTFAIL
    COMPACTSUCCESS
    KCOMPACTD_WAKE
    KCOMPACTD_MIGRATE_SCANNED
    KCOMPACTD_FREE_SCANNED
    UNEVICTABLE_PGCULLED
    UNEVICTABLE_PGSCANNED
    UNEVICTABLE_PGRESCUED
    UNEVICTABLE_PGMLOCKED
    UNEVICTABLE_PGMUNLOCKED
    UNEVICTABLE_PGCLEARED
    UNEVICTABLE_PGSTRANDED
    BALLOON_INFLATE
    BALLOON_DEFLATE
    BALLOON_MIGRATE
    VMACACHE_FIND_CALLS
    VMACACHE_FIND_HITS
    SWAP_RA
    SWAP_RA_HIT
    NR_VM_EVENT_ITEMS       # at most 80: Pgdat.vm_events


cdef inline uint32_t fls(uint32_t x) noexcept nogil:
    # the number of the highest bit, from 1 on
    cdef uint32_t number = 0
    while x:
        number += 1
        x >>= 1
    return number


cdef inline uint32_t normal_threshold(uint32_t managed_pages, uint32_t online_cpus) noexcept nogil:
    # calculate_normal_threshold()
    return min(<uint32_t>125, 2 * fls(online_cpus) * (1 + fls(managed_pages >> (27 - PAGE_SHIFT))))
