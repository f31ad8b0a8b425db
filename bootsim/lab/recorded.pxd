# What a recording has told lately, for the replays of objects.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Pgdat
from bootsim.linux.mm.slab_common cimport PageSource

cdef enum:
    LATELY = 64                 # of one processor
    PROCESSORS = 32             # the most that CONFIG_NR_CPUS can be
    KEPT = LATELY * PROCESSORS
    NO_ORDER = 0xFFFFFFFFU      # of a page that is taken


cdef class Lately(PageSource):
    # pages that requests were answered with, and no slab has taken yet: the newest first
    cdef uint32_t gfp_mask[KEPT]
    cdef uint32_t order[KEPT]
    cdef uint32_t pfn[KEPT]
    cdef uint32_t nr_pages[PROCESSORS]
    # objects that were handed out, and no kmalloc() has returned yet
    cdef uint32_t cache[KEPT]
    cdef uint32_t object_[KEPT]
    cdef uint32_t nr_objects[PROCESSORS]
    cdef Pgdat *g
    cdef uint32_t page(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn) noexcept
    cdef uint32_t take_page(self, uint32_t order, uint32_t bits, uint32_t mask) noexcept
    cdef void handed_out(self, uint32_t cache_va, uint32_t va) noexcept
    cdef uint32_t take_object(self, uint32_t cache_va) noexcept
