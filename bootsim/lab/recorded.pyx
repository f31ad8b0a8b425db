"""What a recording has told lately: pages and objects that were handed out as parts of something not yet told.

The records of what happens inside an operation come before its own; so a slab's page, a slab's free list, and the
object that kmalloc() returns are the newest of their kind that nobody has taken.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport NO_PAGE, Pglist

cdef enum:
    TAKEN = 1  # neither the address of a cache, nor 0, which SLOB's kmalloc() has in its place


cdef class Lately(PageSource):
    """The last pages and objects of a replay. As a page source: a slab's page is the one asked for last, just so.

    Those of the processor that asks come before those of others, from which its task may have come.
    """

    def __init__(self, k):
        PageSource.__init__(self, k)
        cdef Pglist pgdat = k.mm.pgdat
        self.g = pgdat.g

    cdef uint32_t page(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn) noexcept:
        # the place where it is kept
        cdef uint32_t cpu = self.g.cpu % PROCESSORS
        cdef uint32_t i = cpu * LATELY + self.nr_pages[cpu] % LATELY
        self.gfp_mask[i], self.order[i], self.pfn[i] = gfp_mask, order, pfn
        self.nr_pages[cpu] += 1
        return i

    cdef uint32_t take_page(self, uint32_t order, uint32_t bits, uint32_t mask) noexcept:
        # the newest of this order whose mask has these bits where `mask` has any; NO_PAGE when there is none
        cdef uint32_t p, k, i, cpu, pfn
        for p in range(PROCESSORS):
            cpu = (self.g.cpu + p) % PROCESSORS
            for k in range(1, min(self.nr_pages[cpu], LATELY) + 1):
                i = cpu * LATELY + (self.nr_pages[cpu] - k) % LATELY
                if self.order[i] == order and self.gfp_mask[i] & mask == bits:
                    pfn = self.pfn[i]
                    self.order[i] = NO_ORDER
                    return pfn
        return NO_PAGE

    cdef void handed_out(self, uint32_t cache_va, uint32_t va) noexcept:
        cdef uint32_t cpu = self.g.cpu % PROCESSORS
        cdef uint32_t i = cpu * LATELY + self.nr_objects[cpu] % LATELY
        self.cache[i], self.object_[i] = cache_va, va
        self.nr_objects[cpu] += 1

    cdef uint32_t take_object(self, uint32_t cache_va) noexcept:
        # the newest of this cache, or 0: there is none, or it was not to be had
        cdef uint32_t p, k, i, cpu
        for p in range(PROCESSORS):
            cpu = (self.g.cpu + p) % PROCESSORS
            for k in range(1, min(self.nr_objects[cpu], LATELY) + 1):
                i = cpu * LATELY + (self.nr_objects[cpu] - k) % LATELY
                if self.cache[i] == cache_va:
                    self.cache[i] = TAKEN
                    return self.object_[i]
        return 0

    cdef uint32_t alloc(self, uint32_t gfp_mask, uint32_t order) except? 0:
        return self.take_page(order, gfp_mask, 0xFFFFFFFFU)

    cdef int free(self, uint32_t pfn, uint32_t order, bint by_rcu) except -1:
        return 0  # the page's own record frees it; before this, as a rule, or once RCU lets it
