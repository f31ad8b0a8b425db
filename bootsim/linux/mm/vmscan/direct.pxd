# Requests that reclaim for themselves.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.structs cimport ReclaimHooks, Zone
from bootsim.linux.mm.vmscan.control cimport ScanControl
from bootsim.linux.mm.vmscan.lists cimport ListReclaim


cdef class DirectReclaim(ListReclaim):
    cdef Pglist pglist
    cdef ReclaimHooks hooks

    cdef int register(self, pages, Pglist pglist) except -1
    cdef int64_t zone_reclaimable_pages(self, uint32_t zone) except -1
    cdef bint allow_direct_reclaim(self) except -1
    cdef bint throttle_direct_reclaim(self, uint32_t gfp_mask) except -1
    cdef bint compaction_ready(self, Zone *zone, ScanControl *sc) except -1
    cdef int shrink_zones(self, ScanControl *sc) except -1
    cdef uint32_t do_try_to_free_pages(self, ScanControl *sc) except? 0xFFFFFFFF
    cdef uint32_t try_to_free_pages(self, uint32_t gfp_mask, uint32_t order) except? 0xFFFFFFFF
