"""Which pageblocks compaction is to pass by, as far as a recording tells.

A pageblock in which nothing was taken to be moved is passed by from then on, unless one of its pages was on an LRU list
and could not be taken (a dirty page of a file that cannot be moved): isolate_migratepages_block() then leaves the hint
as it was. No record tells of such pages.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport PageBuddy, PageCompound, PG_on_pcp, PG_reserved, PG_slab, page_zone
from bootsim.linux.mm.page_alloc cimport get_pageblock_skip, set_pageblock_skip


cdef class SkipHints:
    """Of one machine: `untold` hints rest on there being no such page, of which records showed `shown_wrong` false."""

    def __cinit__(self):
        self.guessed = set()

    cdef int found_nothing(self, uint32_t pfn) except -1:
        # the pageblock that begins at `pfn` has been marked; a page in use that is no slab's may be one of those
        cdef uint32_t i = pfn
        cdef uint32_t end = pfn + (<uint32_t>1 << self.g.pageblock_order)
        while i < end:
            if PageBuddy(&self.g.map[i]):
                i += <uint32_t>1 << self.g.map[i].private_
                continue
            if not (PageCompound(&self.g.map[i]) or self.g.map[i].flags & (PG_on_pcp | PG_reserved | PG_slab)):
                self.guessed.add(pfn >> self.g.pageblock_order)
                self.untold += 1
                break
            i += 1
        return 0

    cdef int found_a_page(self, uint32_t pfn) except -1:
        # the recorded kernel looked through the pageblock of `pfn`: it was not marked, or not any more
        cdef uint32_t block = pfn >> self.g.pageblock_order
        if block in self.guessed:
            self.guessed.discard(block)
            if get_pageblock_skip(self.g, page_zone(self.g, pfn), pfn):
                set_pageblock_skip(self.g, page_zone(self.g, pfn), pfn, False)
                self.shown_wrong += 1
        return 0
