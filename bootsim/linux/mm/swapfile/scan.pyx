"""Free slots of swap areas (mm/swapfile.c).

get_swap_pages() asks the area of the highest priority, each of equal ones in turn. In it scan_swap_map_slots() goes on
behind the slot that was taken last: through runs of 256 free slots on a disk, on a device without seeks through
clusters, of which each processor has one; and then takes whatever is free.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.swapfile.info cimport *
from bootsim.linux.mm.swapfile.swapops cimport swp_entry

cdef enum:
    LATENCY_LIMIT = 256
    CHECKS = 0                  # labels of scan_swap_map_slots()
    SCAN = 1
    DONE = 2
    NO_PAGE_LEFT = 3


cdef class SwapScan:
    """What is free in the areas of a machine."""

    cdef bint vm_swap_full(self) noexcept:
        # Source: include/linux/swap.h vm_swap_full()
        return self.nr_swap_pages * 2 < self.total_swap_pages

    cdef int try_to_reclaim_swap(self, SwapInfo si, uint32_t offset, int flags) except -1:
        return 0

    # ---------------------------------------------------------------- areas with free slots

    cdef int add_to_avail_list(self, SwapInfo si) except -1:
        si.available = True
        return plist_add(self.avail, si)

    cdef int del_from_avail_list(self, SwapInfo si) except -1:
        if si.available:
            si.available = False
            self.avail.remove(si)
        return 0

    cdef int swap_range_alloc(self, SwapInfo si, uint32_t offset) except -1:
        # Source: mm/swapfile.c swap_range_alloc(), of one slot
        if offset == si.lowest_bit:
            si.lowest_bit += 1
        if offset == si.highest_bit:
            si.highest_bit -= 1
        si.inuse_pages += 1
        if si.inuse_pages == si.pages:
            si.lowest_bit, si.highest_bit = si.max, 0
            self.del_from_avail_list(si)
        return 0

    cdef int swap_range_free(self, SwapInfo si, uint32_t offset) except -1:
        # Source: mm/swapfile.c swap_range_free(), clear_shadow_from_swap_cache(), of one slot
        cdef bint was_full
        if offset < si.lowest_bit:
            si.lowest_bit = offset
        if offset > si.highest_bit:
            was_full = si.highest_bit == 0
            si.highest_bit = offset
            if was_full and si.flags & SWP_WRITEOK:
                self.add_to_avail_list(si)
        self.nr_swap_pages += 1
        si.inuse_pages -= 1
        si.content.pop(offset, None)
        si.cached.pop(offset, None)
        return 0

    # ---------------------------------------------------------------- slots

    cdef int get_swap_pages(self, int n_goal, uint32_t *entries) except -1:
        """Take up to n_goal slots of one area for the swap cache; how many.

        Source: mm/swapfile.c get_swap_pages(), lib/plist.c plist_requeue()
        """
        cdef SwapInfo si, following
        cdef int taken = 0
        cdef bint again = True
        if self.nr_swap_pages <= 0:
            return 0
        n_goal = <int>min(<int64_t>min(n_goal, SWAP_BATCH), self.nr_swap_pages)
        self.nr_swap_pages -= n_goal
        while again and not taken:
            again = False
            si = self.avail[0] if self.avail else None
            while si is not None and not taken:
                following = self.after(si)
                if following is not None and following.prio == si.prio:  # behind those of equal priority
                    self.avail.remove(si)
                    plist_add(self.avail, si)
                if si.highest_bit == 0 or not si.flags & SWP_WRITEOK:
                    self.del_from_avail_list(si)
                else:
                    taken = self.scan_swap_map_slots(si, SWAP_HAS_CACHE, n_goal, entries)
                if not taken and (not following.available if following is not None else not self.avail):
                    again = bool(self.avail)
                    break
                si = following
        self.nr_swap_pages += n_goal - taken
        return taken

    cdef SwapInfo after(self, SwapInfo si):
        cdef Py_ssize_t at = self.avail.index(si) + 1
        return self.avail[at] if at < len(self.avail) else None

    cdef int scan_swap_map_slots(self, SwapInfo si, unsigned char usage, int nr, uint32_t *slots) except -1:
        """Take up to `nr` free slots of an area, each with `usage` in its byte; how many.

        Source: mm/swapfile.c scan_swap_map_slots()
        """
        cdef Search at
        cdef int n_ret = 0
        cdef int label = CHECKS
        at.latency, at.scanned_many = LATENCY_LIMIT, False
        at.offset = at.scan_base = si.cluster_next_cpu[self.g.cpu] if si.flags & SWP_SOLIDSTATE else si.cluster_next
        if si.cluster_info != NULL:
            label = CHECKS if self.try_ssd_cluster(si, &at) else SCAN
        elif si.cluster_nr == 0:
            find_cluster(si, &at)
        else:
            si.cluster_nr -= 1
        while True:
            if label == CHECKS:
                label = self.check_slot(si, &at, n_ret)
                if label == CHECKS:
                    si.slot(at.offset)[0] = usage
                    si.inc_cluster_info_page(at.offset)
                    self.swap_range_alloc(si, at.offset)
                    slots[n_ret] = swp_entry(si.type, at.offset)
                    n_ret += 1
                    label = DONE if n_ret == nr or at.offset >= si.highest_bit else self.next_slot(si, &at)
            elif label == SCAN:
                label = self.scan(si, &at)
            elif label == DONE:
                self.set_cluster_next(si, at.offset + 1)
                return n_ret
            else:
                return n_ret

    cdef int check_slot(self, SwapInfo si, Search *at, int n_ret) except -1:
        # `checks:`, until a slot is taken: CHECKS
        while True:
            if si.cluster_info != NULL:
                while self.ssd_cluster_conflict(si, at.offset):
                    if n_ret:
                        return DONE
                    if not self.try_ssd_cluster(si, at):
                        return SCAN
            if not si.flags & SWP_WRITEOK or si.highest_bit == 0:
                return NO_PAGE_LEFT
            if at.offset > si.highest_bit:
                at.scan_base = at.offset = si.lowest_bit
            if not (self.vm_swap_full() and si.slot(at.offset)[0] == SWAP_HAS_CACHE):
                break
            if not self.try_to_reclaim_swap(si, at.offset, TTRS_ANYWAY):
                return SCAN
        if si.slot(at.offset)[0]:
            return DONE if n_ret else SCAN
        return CHECKS

    cdef int next_slot(self, SwapInfo si, Search *at) except -1:
        # the part behind a slot that was taken: another one of this cluster, or near by
        cdef uint32_t limit
        at.latency -= 1
        if at.latency < 0:
            return DONE
        if si.cluster_info != NULL:
            if self.try_ssd_cluster(si, at):
                return CHECKS
        elif si.cluster_nr:
            at.offset += 1
            if not si.slot(at.offset)[0]:
                si.cluster_nr -= 1
                return CHECKS
        if not at.scanned_many:
            limit = at.scan_base if at.offset < at.scan_base else si.highest_bit
            while at.offset <= limit:
                at.latency -= 1
                if at.latency <= 0:
                    break
                if not si.slot(at.offset)[0]:
                    return CHECKS
                at.offset += 1
        return DONE

    cdef int scan(self, SwapInfo si, Search *at) except -1:
        # `scan:`, to the end and once more from the beginning
        at.offset += 1
        while at.offset <= si.highest_bit:
            if self.of_use(si, at):
                return CHECKS
            at.offset += 1
        at.offset = si.lowest_bit
        while at.offset < at.scan_base:
            if self.of_use(si, at):
                return CHECKS
            at.offset += 1
        return NO_PAGE_LEFT

    cdef bint of_use(self, SwapInfo si, Search *at) noexcept:
        cdef unsigned char used = si.slot(at.offset)[0]
        if not used or (used == SWAP_HAS_CACHE and self.vm_swap_full()):
            return True
        at.latency -= 1
        if at.latency < 0:
            at.latency, at.scanned_many = LATENCY_LIMIT, True
        return False

    cdef bint ssd_cluster_conflict(self, SwapInfo si, uint32_t offset) noexcept:
        # Source: mm/swapfile.c scan_swap_map_ssd_cluster_conflict()
        cdef uint32_t idx = offset // SWAPFILE_CLUSTER
        if (si.free_clusters.head.flags & CLUSTER_FLAG_NEXT_NULL or idx == si.free_clusters.head.data
                or not si.cluster_info[idx].flags & CLUSTER_FLAG_FREE):
            return False
        si.percpu_cluster[self.g.cpu].index.flags = CLUSTER_FLAG_NEXT_NULL
        si.percpu_cluster[self.g.cpu].index.data = 0
        return True

    cdef bint try_ssd_cluster(self, SwapInfo si, Search *at) noexcept:
        # Source: mm/swapfile.c scan_swap_map_try_ssd_cluster()
        cdef PercpuCluster *cluster = &si.percpu_cluster[self.g.cpu]
        cdef uint32_t slot, end
        while True:
            if cluster.index.flags & CLUSTER_FLAG_NEXT_NULL:
                if si.free_clusters.head.flags & CLUSTER_FLAG_NEXT_NULL:
                    return False
                cluster.index = si.free_clusters.head
                cluster.next = cluster.index.data * SWAPFILE_CLUSTER
            slot, end = cluster.next, min(si.max, (cluster.index.data + 1) * SWAPFILE_CLUSTER)
            while slot < end and si.slot(slot)[0]:
                slot += 1
            if slot < end:
                break
            cluster.index.flags, cluster.index.data = CLUSTER_FLAG_NEXT_NULL, 0
        cluster.next = slot + 1
        at.offset = at.scan_base = slot
        return True

    cdef void set_cluster_next(self, SwapInfo si, uint32_t following) noexcept:
        # Source: mm/swapfile.c set_cluster_next(): beyond an address space of 16384 slots a random one, here the first
        if not si.flags & SWP_SOLIDSTATE:
            si.cluster_next = following
            return
        if si.cluster_next_cpu[self.g.cpu] >> SWAP_ADDRESS_SPACE_SHIFT != following >> SWAP_ADDRESS_SPACE_SHIFT:
            if si.highest_bit <= si.lowest_bit:
                return
            following = si.lowest_bit
        si.cluster_next_cpu[self.g.cpu] = following


cdef void find_cluster(SwapInfo si, Search *at) noexcept:
    # A run of 256 free slots, from the lowest free one on; without one the search goes on there.
    # Source: mm/swapfile.c scan_swap_map_slots(), of a disk
    cdef uint32_t offset, last
    si.cluster_nr = SWAPFILE_CLUSTER - 1
    if si.pages - si.inuse_pages < SWAPFILE_CLUSTER:
        return
    at.scan_base = at.offset = offset = si.lowest_bit
    last = offset + SWAPFILE_CLUSTER - 1
    while last <= si.highest_bit:
        if si.slot(offset)[0]:
            last = offset + SWAPFILE_CLUSTER
        elif offset == last:
            at.offset = si.cluster_next = offset - (SWAPFILE_CLUSTER - 1)
            return
        at.latency -= 1
        if at.latency < 0:
            at.latency = LATENCY_LIMIT
        offset += 1


cdef int plist_add(list head, SwapInfo si) except -1:
    # behind those of equal priority. Source: lib/plist.c plist_add()
    cdef Py_ssize_t at = 0
    while at < len(head) and (<SwapInfo>head[at]).prio >= si.prio:
        at += 1
    head.insert(at, si)
    return 0
