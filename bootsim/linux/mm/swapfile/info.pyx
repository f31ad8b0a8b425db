"""One swap area (struct swap_info_struct in mm/swapfile.c, include/linux/swap.h).

    swap_map (vmalloc)   [bad][0x40][0x41][ 0 ][ 0 ] ...     a byte a slot: users, and whether the swap cache is one
    slots of the device   header                             a page each; slot 0 is the header's
    clusters              |------ 256 slots ------|--- ...   of a device without seeks; the free ones are a list

The bytes of swap_map lie in the machine's RAM, where vzalloc() put them.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from copy import deepcopy


cdef class SwapInfo:
    """A swap area of the machine."""

    def __cinit__(self):
        self.memory, self.content, self.cached = {}, {}, {}

    def __dealloc__(self):
        self.drop()

    def __init__(self, ram, str path, uint32_t type):
        self.ram, self.path, self.type = ram, path, type

    def __repr__(self):
        return f"SwapInfo({self.type}: {self.path}, {self.inuse_pages} of {self.pages} pages in use)"

    def __deepcopy__(self, memo):
        cdef SwapInfo new = SwapInfo.__new__(SwapInfo)
        memo[id(self)] = new
        new.path, new.flags, new.prio, new.type, new.available = (
            self.path, self.flags, self.prio, self.type, self.available)
        new.max, new.pages, new.inuse_pages = self.max, self.pages, self.inuse_pages
        new.lowest_bit, new.highest_bit = self.lowest_bit, self.highest_bit
        new.cluster_next, new.cluster_nr, new.free_clusters = self.cluster_next, self.cluster_nr, self.free_clusters
        new.memory, new.content, new.cached = dict(self.memory), dict(self.content), dict(self.cached)
        new.ram = deepcopy(self.ram, memo)
        new.nr_map_pages, new.nr_clusters, new.nr_cpus = self.nr_map_pages, self.nr_clusters, self.nr_cpus
        new.map_pfns = <uint32_t *>copied(self.map_pfns, self.nr_map_pages, sizeof(uint32_t))
        new.cluster_info = <SwapClusterInfo *>copied(self.cluster_info, self.nr_clusters, sizeof(SwapClusterInfo))
        new.percpu_cluster = <PercpuCluster *>copied(self.percpu_cluster, self.nr_cpus, sizeof(PercpuCluster))
        new.cluster_next_cpu = <uint32_t *>copied(self.cluster_next_cpu, self.nr_cpus, sizeof(uint32_t))
        return new

    cdef void drop(self):
        # have no slots any more
        free(self.map_pfns)
        free(self.cluster_info)
        free(self.percpu_cluster)
        free(self.cluster_next_cpu)
        self.map_pfns = self.cluster_next_cpu = NULL
        self.cluster_info = NULL
        self.percpu_cluster = NULL
        self.max = self.pages = self.nr_map_pages = self.nr_clusters = 0

    cdef int setup(self, list map_pfns, uint32_t maxpages, bint ssd, uint32_t nr_cpus, uint32_t columns) except -1:
        """Make the map of an area whose slots are all free but the header's, and its clusters if seeks are cheap.

        Source: mm/swapfile.c read_swap_header(), setup_swap_map_and_extents()
        Differs: where the kernel takes random numbers for the first slot of each cpu on a device without seeks, here
            they are 0: slot 1. No page of the device is bad.
        """
        cdef uint32_t i, j, idx, cpu
        if not 1 < maxpages <= len(map_pfns) << 12 or any(not 0 <= pfn < 1 << 20 for pfn in map_pfns):
            raise ValueError(f"a map of {maxpages} slots has {len(map_pfns)} pages")
        self.lowest_bit = self.cluster_next = 1
        self.cluster_nr = 0
        self.highest_bit = maxpages - 1
        self.max, self.pages, self.inuse_pages = maxpages, maxpages - 1, 0
        self.nr_map_pages = <uint32_t>len(map_pfns)
        self.map_pfns = <uint32_t *>allocated(self.nr_map_pages, sizeof(uint32_t))
        for i in range(self.nr_map_pages):
            self.map_pfns[i] = map_pfns[i]
        self.slot(0)[0] = SWAP_MAP_BAD
        if not ssd:
            return 0
        self.nr_clusters, self.nr_cpus = (maxpages + SWAPFILE_CLUSTER - 1) // SWAPFILE_CLUSTER, nr_cpus
        self.cluster_info = <SwapClusterInfo *>allocated(self.nr_clusters, sizeof(SwapClusterInfo))
        self.percpu_cluster = <PercpuCluster *>allocated(nr_cpus, sizeof(PercpuCluster))
        self.cluster_next_cpu = <uint32_t *>allocated(nr_cpus, sizeof(uint32_t))
        for cpu in range(nr_cpus):
            self.cluster_next_cpu[cpu] = 1
            cluster_set_null(&self.percpu_cluster[cpu].index)
        cluster_set_null(&self.free_clusters.head)
        cluster_set_null(&self.free_clusters.tail)
        for i in range(maxpages, self.nr_clusters * SWAPFILE_CLUSTER):
            self.inc_cluster_info_page(i)
        self.inc_cluster_info_page(0)
        for j in range(columns):  # from the column of slot 1, the first
            for idx in range(j, self.nr_clusters, columns):
                if self.cluster_info[idx].data == 0:
                    self.cluster_info[idx].flags = CLUSTER_FLAG_FREE
                    self.cluster_list_add_tail(&self.free_clusters, idx)
        return 0

    # ---------------------------------------------------------------- clusters

    cdef void cluster_list_add_tail(self, SwapClusterList *lst, uint32_t idx) noexcept:
        # Source: mm/swapfile.c cluster_list_add_tail()
        if lst.head.flags & CLUSTER_FLAG_NEXT_NULL:
            lst.head.data, lst.head.flags = idx, 0
        else:
            self.cluster_info[lst.tail.data].data = idx
        lst.tail.data, lst.tail.flags = idx, 0

    cdef uint32_t cluster_list_del_first(self, SwapClusterList *lst) noexcept:
        # Source: mm/swapfile.c cluster_list_del_first()
        cdef uint32_t idx = lst.head.data
        if lst.tail.data == idx:
            cluster_set_null(&lst.head)
            cluster_set_null(&lst.tail)
        else:
            lst.head.data = self.cluster_info[idx].data
        return idx

    cdef void inc_cluster_info_page(self, uint32_t page_nr) noexcept:
        # Source: mm/swapfile.c inc_cluster_info_page(), alloc_cluster(): a free one that is used is the list's first
        cdef SwapClusterInfo *ci
        if self.cluster_info == NULL:
            return
        ci = &self.cluster_info[page_nr // SWAPFILE_CLUSTER]
        if ci.flags & CLUSTER_FLAG_FREE:
            self.cluster_list_del_first(&self.free_clusters)
            ci.data = ci.flags = 0
        ci.data += 1

    cdef void dec_cluster_info_page(self, uint32_t page_nr) noexcept:
        # Source: mm/swapfile.c dec_cluster_info_page(), free_cluster(), __free_cluster()
        cdef uint32_t idx = page_nr // SWAPFILE_CLUSTER
        if self.cluster_info == NULL:
            return
        self.cluster_info[idx].data -= 1
        if self.cluster_info[idx].data == 0:
            self.cluster_info[idx].flags = CLUSTER_FLAG_FREE
            self.cluster_list_add_tail(&self.free_clusters, idx)

    # ---------------------------------------------------------------- to look at

    def swap_map(self):
        """The bytes of swap_map, a slot each."""
        cdef uint32_t first
        cdef list pages = []
        for first in range(0, self.max, 4096):
            pages.append((<char *>self.slot(first))[:min(self.max - first, <uint32_t>4096)])
        return b"".join(pages)

    def clusters(self):
        """(in use, free) of each cluster, and the free ones in their order; ([], []) where seeks are dear."""
        cdef uint32_t i
        cdef list order = []
        cdef list each = []
        if self.cluster_info == NULL:
            return each, order
        for i in range(self.nr_clusters):
            is_free = bool(self.cluster_info[i].flags & CLUSTER_FLAG_FREE)
            each.append((0 if is_free else self.cluster_info[i].data, is_free))
        if not self.free_clusters.head.flags & CLUSTER_FLAG_NEXT_NULL:
            i = self.free_clusters.head.data
            order.append(i)
            while i != self.free_clusters.tail.data:
                i = self.cluster_info[i].data
                order.append(i)
        return each, order


cdef void cluster_set_null(SwapClusterInfo *info) noexcept nogil:
    info.flags, info.data = CLUSTER_FLAG_NEXT_NULL, 0


cdef void *allocated(size_t count, size_t size) except NULL:
    cdef void *found = calloc(count or 1, size)
    if found == NULL:
        raise MemoryError
    return found


cdef void *copied(const void *source, size_t count, size_t size) except? NULL:
    # another array like it; NULL of NULL
    cdef void *found
    if source == NULL:
        return NULL
    found = allocated(count, size)
    memcpy(found, source, count * size)
    return found
