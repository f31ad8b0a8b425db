# struct swap_info_struct: one swap area.
from libc.stdint cimport uint32_t, uint64_t

from bootsim.hw.memory cimport PhysicalMemory

cdef enum:
    SWP_USED = 1 << 0
    SWP_WRITEOK = 1 << 1
    SWP_SOLIDSTATE = 1 << 4
    SWP_CONTINUED = 1 << 5
    SWP_BLKDEV = 1 << 6
    SWP_STABLE_WRITES = 1 << 11
    SWP_SYNCHRONOUS_IO = 1 << 12
    SWP_VALID = 1 << 13
    SWAP_HAS_CACHE = 0x40       # in the byte of a slot in swap_map: the swap cache uses it
    COUNT_CONTINUED = 0x80      # the count goes on in another page
    SWAP_MAP_MAX = 0x3E
    SWAP_MAP_BAD = 0x3F
    SWAP_MAP_SHMEM = 0xBF
    SWAP_CONT_MAX = 0x7F        # in a byte of such a page
    SWAPFILE_CLUSTER = 256
    SWAP_BATCH = 64
    SWAP_ADDRESS_SPACE_SHIFT = 14
    CLUSTER_FLAG_FREE = 1
    CLUSTER_FLAG_NEXT_NULL = 2


cdef struct SwapClusterInfo:    # struct swap_cluster_info: of a free cluster `data` is the next, else how many are used
    uint32_t data
    uint32_t flags


cdef struct SwapClusterList:    # struct swap_cluster_list
    SwapClusterInfo head
    SwapClusterInfo tail


cdef struct PercpuCluster:      # struct percpu_cluster
    SwapClusterInfo index
    uint32_t next


cdef class SwapInfo:
    cdef readonly str path
    cdef readonly uint32_t flags
    cdef readonly int prio
    cdef readonly uint32_t type
    cdef readonly uint32_t max          # slots, with the header's
    cdef readonly uint32_t pages        # of which are of use
    cdef readonly uint32_t inuse_pages
    cdef readonly uint32_t lowest_bit
    cdef readonly uint32_t highest_bit
    cdef readonly uint32_t cluster_next
    cdef readonly uint32_t cluster_nr
    cdef readonly bint available        # on swap_avail_heads
    cdef public dict memory             # what its structures hold (va), by what it is
    cdef dict content                   # the bytes of a slot, by offset
    cdef dict cached                    # of the swap cache: pfn, or SHADOW and a shadow, by offset
    cdef PhysicalMemory ram
    cdef uint32_t nr_map_pages
    cdef uint32_t *map_pfns             # the pages of swap_map
    cdef uint32_t nr_clusters
    cdef SwapClusterInfo *cluster_info  # NULL: seeks are dear
    cdef SwapClusterList free_clusters
    cdef uint32_t nr_cpus
    cdef PercpuCluster *percpu_cluster
    cdef uint32_t *cluster_next_cpu

    cdef int setup(self, list map_pfns, uint32_t maxpages, bint ssd, uint32_t nr_cpus, uint32_t columns) except -1
    cdef void drop(self)
    cdef void cluster_list_add_tail(self, SwapClusterList *lst, uint32_t idx) noexcept
    cdef uint32_t cluster_list_del_first(self, SwapClusterList *lst) noexcept
    cdef void inc_cluster_info_page(self, uint32_t page_nr) noexcept
    cdef void dec_cluster_info_page(self, uint32_t page_nr) noexcept

    cdef inline unsigned char *slot(self, uint32_t offset) noexcept nogil:
        # &swap_map[offset]
        return self.ram.base + (<uint64_t>self.map_pfns[offset >> 12] << 12) + (offset & 0xFFF)
