"""The processors of a recording: a record (71) says whose those after it are; without one, all are of processor 0."""

from libc.stdint cimport uint32_t

from bootsim.lab.kinds cimport CPU
from bootsim.linux.mm.page_alloc cimport NR_FREE_CMA_PAGES, NR_FREE_PAGES, CompactControl, Pglist, Zone


cdef class Processors:
    """Of one machine; `most` is how many processors the recording names, and 1 at least."""

    def __init__(self, k, Pglist pgdat not None, const uint32_t[:, ::1] events):
        cdef Py_ssize_t i
        cdef uint32_t cpu = 0
        self.k, self.g, self.most, self.of = k, pgdat.g, 1, None
        if events is None:
            return
        of = bytearray(events.shape[0])
        for i in range(events.shape[0]):
            if events[i, 0] == CPU and events[i, 1] < self.g.nr_cpus:
                cpu = events[i, 1]
                self.most = max(self.most, cpu + 1)
            of[i] = cpu
        self.of = of if self.most > 1 else None

    cdef uint32_t of_record(self, Py_ssize_t i) noexcept:
        return 0 if self.of is None else self.of[i]

    cdef bint same(self, Py_ssize_t i, Py_ssize_t j) noexcept:
        # whether two records are of one processor
        return self.of is None or (0 <= min(i, j) and max(i, j) < self.of.shape[0] and self.of[i] == self.of[j])

    cdef int on(self, uint32_t cpu) except -1:
        # what comes next is this processor's, which so is known to run
        if cpu >= self.g.nr_cpus:
            raise ValueError(f"the recording is of processor {cpu}, which the machine has not: this build has "
                             f"{self.g.nr_cpus}")
        self.g.cpu = cpu
        self.captures(self.capturing, self.capturing_cpu)
        if self.k is not None and cpu >= <uint32_t>self.k.nr_online_cpus:
            self.k.nr_online_cpus = cpu + 1
        return 0

    cdef int at(self, Py_ssize_t i) except -1:
        # what comes next is done for this record
        return 0 if self.of is None else self.on(self.of[i])

    cdef void captures(self, CompactControl *cc, uint32_t cpu) noexcept:
        # What other processors free is not captured for the request that compacts on this one
        self.capturing, self.capturing_cpu = cc, cpu
        self.g.capturing = cc if cpu == self.g.cpu else NULL

    cdef int fold(self, Py_ssize_t i, uint32_t which, uint32_t[:, ::1] answers) except -1:
        # its part of a zone counter goes to the zone
        cdef int item = NR_FREE_CMA_PAGES if which & 0x100 else NR_FREE_PAGES
        cdef Zone *zone
        if which & 0xFF >= self.g.nr_zones:
            return 0
        zone = &self.g.zones[which & 0xFF]
        answers[i, 2] = <uint32_t>zone.pageset[self.g.cpu].vm_stat_diff[item]
        zone.vm_stat[item] += zone.pageset[self.g.cpu].vm_stat_diff[item]
        zone.pageset[self.g.cpu].vm_stat_diff[item] = 0
        answers[i, 3] = <uint32_t>zone.vm_stat[item]
        return 0
