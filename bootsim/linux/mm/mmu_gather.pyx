"""Pages on their way out of tables: freed in batches, when the TLB has forgotten them (mm/mmu_gather.c).

Eight are remembered for nothing; for more, pages are taken to write them down in, as long as there are any.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.page_alloc.slowpath cimport alloc_pages_nodemask
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE
from bootsim.linux.mm.swap cimport LruVec, PG_swapcache, page_mapped
from bootsim.linux.mm.swap_state cimport SwapSpace


cdef class MmuGather:
    """struct mmu_gather: pages of one unmapping. Source: mm/mmu_gather.c tlb_gather_mmu()"""

    def __cinit__(self, Pglist pglist not None, LruVec lru not None, SwapSpace space):
        self.pglist, self.lru, self.space = pglist, lru, space
        self.batches, self.active = [], -1

    cdef bint remove_page(self, uint32_t pfn) except -1:
        """Remember a page; whether there is no place for another. Source: mm/mmu_gather.c __tlb_remove_page_size()"""
        cdef list pages
        if self.active < 0:
            self.local[self.nr_local] = pfn
            self.nr_local += 1
            return self.nr_local == MMU_GATHER_BUNDLE and not self.next_batch()
        pages = self.batches[self.active][1]
        pages.append(pfn)
        return len(pages) == MAX_GATHER_BATCH and not self.next_batch()

    cdef bint next_batch(self) except -1:
        # Source: mm/mmu_gather.c tlb_next_batch()
        cdef uint32_t pfn
        if self.active + 1 == len(self.batches):
            if len(self.batches) == MAX_GATHER_BATCH_COUNT:
                return False
            pfn = alloc_pages_nodemask(self.pglist.g, GFP_NOWAIT | __GFP_NOWARN, 0)
            if pfn == NO_PAGE:
                return False
            self.batches.append((pfn, []))
        self.active += 1
        return True

    cdef int flush(self) except -1:
        """Free what is remembered. Source: mm/mmu_gather.c tlb_batch_pages_flush(), mm/swap_state.c"""
        cdef list pages
        if self.nr_local:
            self.free_pages(self.local, self.nr_local)
            self.nr_local = 0
            for _, pages in self.batches:
                if not pages:
                    break
                self.free_batch(pages)
                pages.clear()
        self.active = -1
        return 0

    cdef int free_batch(self, list pages) except -1:
        cdef uint32_t nr = <uint32_t>len(pages)
        cdef uint32_t i
        cdef uint32_t *frames = <uint32_t *>malloc(nr * sizeof(uint32_t))
        if frames == NULL:
            raise MemoryError
        for i in range(nr):
            frames[i] = pages[i]
        self.free_pages(frames, nr)
        free(frames)
        return 0

    cdef int free_pages(self, uint32_t *pages, uint32_t nr) except -1:
        # Source: mm/swap_state.c free_pages_and_swap_cache(), free_swap_cache()
        cdef uint32_t i
        self.lru.lru_add_drain()
        if self.space is not None:
            for i in range(nr):
                if self.lru.g.map[pages[i]].flags & PG_swapcache and not page_mapped(&self.lru.g.map[pages[i]]):
                    self.space.try_to_free_swap(pages[i])
        self.lru.release_pages(pages, nr)
        return 0

    cdef int finish(self) except -1:
        """Free what is remembered, and what it was written down in. Source: mm/mmu_gather.c tlb_finish_mmu()"""
        self.flush()
        for pfn, _ in self.batches:
            free_pages_by_refcount(self.pglist.g, pfn, 0)
        self.batches.clear()
        return 0
