"""alloc_contig_range(), replayed: what of one that is under way its records show."""

from libc.stdint cimport uint32_t

from bootsim.errno cimport EAGAIN, EBUSY
from bootsim.lab.blocks cimport holds
from bootsim.linux.mm.page_alloc cimport Pgdat, isolate_contig, page_zone, set_pageblock_skip


cdef (uint32_t, uint32_t) isolated_for(const Pgdat *g, uint32_t start, uint32_t end) noexcept nogil:
    # pfn_max_align_down(), pfn_max_align_up(): the pageblocks that alloc_contig_range() isolates
    cdef uint32_t mask = (<uint32_t>1 << max(g.max_order - 1, g.pageblock_order)) - 1
    return start & ~mask, (end + mask) & ~mask


cdef class ContigRange:
    """The range [start, end) between its records 8 and 9; `taken`: its free pages have been taken."""

    def __cinit__(self):
        self.movable_in = set()

    cdef bint isolates(self, uint32_t pfn) noexcept:
        # whether the page lies in one of the pageblocks that are isolated for the range
        cdef uint32_t start, end
        start, end = isolated_for(self.g, self.start, self.end)
        return start <= pfn < end

    cdef int take(self) except -1:
        # Older recordings do not tell that the free pages of a contiguous range were taken (11): they are, before the
        # first of those beyond its ends is given back, or isolation ends.
        if not self.taken and holds(self.g, self.start, 0) and holds(self.g, self.end - 1, 0):
            self.taken = isolate_contig(self.g, self.start, self.end)
        return 0

    cdef int takes_block(self) except -1:
        # a free block of the range was taken, if that is not the end of its isolation
        self.taken = self.taken or not self.undoing
        return 0

    cdef int finds_movable(self, uint32_t pfn) except -1:
        self.movable_in.add(pfn >> self.g.pageblock_order)
        self.last_movable = pfn
        return 0

    cdef int leave(self, uint32_t result) except -1:
        """The pageblocks of which the range holds the start, and no page that can move, compaction is to pass by.

        They were looked through if all were isolated, up to the pages that did not move in the end.

        Source: mm/page_alloc.c __alloc_contig_migrate_range(), mm/compaction.c isolate_migratepages_block()
        """
        cdef uint32_t block, first, last, end = self.end
        first, last = isolated_for(self.g, self.start, self.end)
        if self.isolated != (last - first) >> self.g.pageblock_order:
            return 0
        if self.last_result == <uint32_t>-EAGAIN or result not in (0, <uint32_t>-EBUSY):
            end = self.last_movable
        block = (self.start + (<uint32_t>1 << self.g.pageblock_order) - 1) >> self.g.pageblock_order
        while block << self.g.pageblock_order < end:
            first = block << self.g.pageblock_order
            if block not in self.movable_in and holds(self.g, first, 0):
                set_pageblock_skip(self.g, page_zone(self.g, first), first, True)
            block += 1
        return 0


cdef ContigRange contig_range(Pgdat *g, uint32_t start, uint32_t end):
    cdef ContigRange one = ContigRange.__new__(ContigRange)
    one.g, one.start, one.end, one.cpu = g, start, end, g.cpu
    return one
