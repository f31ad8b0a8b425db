# What a recording has told lately, for the replays of SLAB and SLOB.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.slab_common cimport PageSource

cdef enum:
    LATELY = 64


cdef class Lately(PageSource):
    # pages that requests were answered with, and no slab has taken yet: the newest first
    cdef uint32_t gfp_mask[LATELY]
    cdef uint32_t order[LATELY]
    cdef uint32_t pfn[LATELY]
    cdef uint32_t nr_pages
    # objects that were handed out, and no kmalloc() has returned yet
    cdef uint32_t cache[LATELY]
    cdef uint32_t object_[LATELY]
    cdef uint32_t nr_objects
    cdef void page(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn) noexcept
    cdef uint32_t take_page(self, uint32_t order, uint32_t bits, uint32_t mask) noexcept
    cdef void handed_out(self, uint32_t cache_va, uint32_t va) noexcept
    cdef uint32_t take_object(self, uint32_t cache_va) noexcept
