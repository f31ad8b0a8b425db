"""What reclaim does with one page after the other (mm/vmscan.c shrink_page_list()).

    used lately            --> back, active
    anonymous, no slot yet --> add_to_swap()
    mapped                 --> try_to_unmap()
    dirty                  --> pageout(): to its slot; pages of files are left to the flusher threads at first
    clean, not mapped      --> __remove_mapping(): free, with a shadow where it was
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from bootsim.linux.mm.filemap.cache cimport PageCache
from bootsim.linux.mm.mmap.structs cimport VM_EXEC, VM_LOCKED
from bootsim.linux.mm.page_alloc.core cimport count_vm_events
from bootsim.linux.mm.page_alloc.gfp cimport GFP_KERNEL, __GFP_FS, __GFP_IO
from bootsim.linux.mm.page_alloc.structs cimport PG_active, PG_mlocked, PG_unevictable, Page
from bootsim.linux.mm.rmap.unmap cimport page_referenced, try_to_unmap
from bootsim.linux.mm.swap cimport *
from bootsim.linux.mm.vmscan.control cimport DEF_PRIORITY
from bootsim.linux.mm.vmstat cimport PGACTIVATE, PGLAZYFREED
from bootsim.linux.mm.workingset cimport workingset_eviction

from bootsim.linux.kernel.printk import step


cdef class PageReclaim(Reclaimer):
    """Reclaims pages that are on no list."""

    cdef SwapSpace swapspace(self):
        # where pages are swapped to, or None
        return self.pages.k.processes.swapspace

    cdef int page_check_references(self, uint32_t pfn) except -1:
        """Whether a page was used lately: PAGEREF_.... Source: mm/vmscan.c page_check_references()"""
        cdef Page *page = &self.g.map[pfn]
        cdef uint32_t vm_flags
        cdef int referenced_ptes = page_referenced(self.pages, pfn, &vm_flags)
        cdef bint referenced_page = (page.flags & PG_referenced) != 0
        page.flags &= ~<uint32_t>PG_referenced
        if vm_flags & VM_LOCKED:
            return PAGEREF_RECLAIM
        if referenced_ptes:
            page.flags |= PG_referenced
            if referenced_page or referenced_ptes > 1 or vm_flags & VM_EXEC and page_is_file_lru(page):
                return PAGEREF_ACTIVATE
            return PAGEREF_KEEP
        return PAGEREF_RECLAIM_CLEAN if referenced_page and page_is_file_lru(page) else PAGEREF_RECLAIM

    cdef bint add_to_swap(self, uint32_t pfn) except -1:
        """Give an anonymous page a slot; whether there was one. Source: mm/swap_state.c add_to_swap()"""
        cdef SwapSpace space = self.swapspace()
        cdef uint32_t entry = 0 if space is None else space.get_swap_page(pfn)
        if not entry:
            return False
        space.add_to_swap_cache(pfn, entry)
        self.g.map[pfn].flags |= PG_dirty
        return True

    cdef bint shmem_writepage(self, uint32_t pfn) except -1:
        """A page of tmpfs goes to a slot, which the file has in its place; whether there was one.

        Source: mm/shmem.c shmem_writepage()
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapSpace space = self.swapspace()
        cdef uint32_t entry = 0 if space is None or not space.total_swap_pages else space.get_swap_page(pfn)
        if not entry:
            page.flags |= PG_dirty
            return False
        space.add_to_swap_cache(pfn, entry)
        (<PageCache>self.pages.caches[page.mapping]).swap_out(page.index, entry)
        space.write_page(entry, pfn)
        return True

    cdef int pageout(self, uint32_t pfn) except -1:
        """Write a dirty page to its slot, or to its file: PAGE_KEEP, _ACTIVATE, _SUCCESS.

        Source: mm/vmscan.c pageout(), mm/page_io.c swap_writepage()
        Differs: it is written when this returns, as to a disk in memory.
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapSpace space = self.swapspace()
        if page.refcount != 2 or not has_mapping(page):
            return PAGE_KEEP
        page.flags &= ~<uint32_t>PG_dirty
        if page_is_file_lru(page):
            page.flags &= ~<uint32_t>PG_reclaim
            return PAGE_SUCCESS
        if not page.flags & PG_swapcache:
            return PAGE_SUCCESS if self.shmem_writepage(pfn) else PAGE_ACTIVATE
        if not space.try_to_free_swap(pfn):
            space.write_page(page.private_, pfn)
        return PAGE_SUCCESS

    cdef bint __remove_mapping(self, uint32_t pfn) except -1:
        """Take a clean page that nobody else holds out of its file or the swap cache; whether it could be.

        Source: mm/vmscan.c __remove_mapping()
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapSpace space
        cdef uint32_t entry
        if page.refcount != 2 or page.flags & PG_dirty:
            return False
        if page.flags & PG_swapcache:
            space, entry = self.swapspace(), page.private_
            space.remove_from_swap_cache(pfn, entry, workingset_eviction(self.lru, page))
            space.put_swap_page(entry)
        else:
            (<PageCache>self.pages.caches[page.mapping]).__delete_from_page_cache(
                pfn, workingset_eviction(self.lru, page) if page_is_file_lru(page) else 0)
        page.refcount -= 1
        return True

    cdef int shrink_page(self, uint32_t pfn, ScanControl *sc, ReclaimStat *stat, bint ignore_references) except -1:
        # The way of one page through shrink_page_list(): KEEP, ACTIVATE or FREE. Nothing is locked or under writeback.
        cdef Page *page = &self.g.map[pfn]
        cdef int references = PAGEREF_RECLAIM
        cdef int written
        cdef bint may_enter_fs = sc.gfp_mask & __GFP_FS or page.flags & PG_swapcache and sc.gfp_mask & __GFP_IO
        if not self.lru.page_evictable(page):
            return ACTIVATE
        if not sc.may_unmap and page_mapped(page):
            return KEEP
        if page_is_file_lru(page) and not page_anon(page) and page.flags & PG_dirty:
            stat.nr_unqueued_dirty += 1
        if not ignore_references:
            references = self.page_check_references(pfn)
        if references == PAGEREF_ACTIVATE:
            return ACTIVATE
        if references == PAGEREF_KEEP:
            return KEEP
        if page_anon(page) and page.flags & (PG_swapbacked | PG_swapcache) == PG_swapbacked:
            if not sc.gfp_mask & __GFP_IO:
                return KEEP
            if not self.add_to_swap(pfn):
                return ACTIVATE
            may_enter_fs = True
        if page_mapped(page):
            if not try_to_unmap(self.pages, pfn):
                return ACTIVATE
        if page.flags & PG_dirty:
            if page_is_file_lru(page) and not (sc.kswapd and page.flags & PG_reclaim and self.pgdat_dirty):
                page.flags |= PG_reclaim
                return ACTIVATE
            if references == PAGEREF_RECLAIM_CLEAN or not may_enter_fs or not sc.may_writepage:
                return KEEP
            written = self.pageout(pfn)
            if written == PAGE_ACTIVATE:
                return ACTIVATE
            if written == PAGE_KEEP:
                return KEEP
            stat.nr_pageout += 1
            if page.flags & PG_dirty:
                return KEEP
        if page_anon(page) and not page.flags & PG_swapbacked:
            if page.refcount != 1 or page.flags & PG_dirty:
                return KEEP
            count_vm_events(self.g, PGLAZYFREED, 1)
            return FREE
        return FREE if has_mapping(page) and self.__remove_mapping(pfn) else KEEP

    cdef uint32_t shrink_page_list(self, uint32_t *page_list, uint32_t *nr, ScanControl *sc, ReclaimStat *stat,
                                   bint ignore_references) except? 0xFFFFFFFF:
        """Reclaim what can be of isolated pages; how many. The others are left in `page_list`.

        There are RECLAIM_MAX at most. Source: mm/vmscan.c shrink_page_list()
        """
        cdef uint32_t free_pages[RECLAIM_MAX]
        cdef uint32_t nr_reclaimed = 0, nr_free = 0, kept = 0
        cdef uint32_t i, pfn
        cdef int fate
        cdef Page *page
        memset(stat, 0, sizeof(ReclaimStat))
        for i in range(nr[0]):
            pfn = page_list[i]
            page = &self.g.map[pfn]
            sc.nr_scanned += 1
            fate = self.shrink_page(pfn, sc, stat, ignore_references)
            if fate == FREE:
                free_pages[nr_free] = pfn
                nr_free += 1
                continue
            if fate == ACTIVATE:
                if page.flags & PG_swapcache and (self.swapspace().vm_swap_full() or page.flags & PG_mlocked):
                    self.swapspace().try_to_free_swap(pfn)
                if not page.flags & PG_mlocked:
                    page.flags |= PG_active
                    stat.nr_activate[page_is_file_lru(page)] += 1
            page_list[kept] = pfn
            kept += 1
        nr[0] = kept
        nr_reclaimed = nr_free
        self.lru.release_pages(free_pages, nr_free)
        count_vm_events(self.g, PGACTIVATE, stat.nr_activate[0] + stat.nr_activate[1])
        return nr_reclaimed

    cdef list reclaim_clean_pages_from_list(self, list page_list):
        """Drop the clean pages of files among the isolated pages of a contiguous range; the others, in their order.

        Source: mm/vmscan.c reclaim_clean_pages_from_list()
        """
        cdef uint32_t pages[RECLAIM_MAX]
        cdef uint32_t nr = 0, i, pfn
        cdef list others = []
        cdef ScanControl sc
        cdef ReclaimStat stat
        cdef Page *page
        for pfn in page_list:
            page = &self.g.map[pfn]
            if page_is_file_lru(page) and not page.flags & (PG_dirty | PG_unevictable) and nr < RECLAIM_MAX:
                page.flags &= ~<uint32_t>PG_active
                pages[nr] = pfn
                nr += 1
            else:
                others.append(pfn)
        memset(&sc, 0, sizeof(ScanControl))
        sc.gfp_mask, sc.priority, sc.may_unmap = GFP_KERNEL, DEF_PRIORITY, True
        self.reclaimed += self.shrink_page_list(pages, &nr, &sc, &stat, True)
        return [pages[i] for i in range(nr)][::-1] + others

    def reclaim_pages(self, list page_list not None):
        """Reclaim isolated pages, the first one first; how many. The others go back to their lists.

        Source: mm/vmscan.c reclaim_pages()
        """
        cdef uint32_t pages[RECLAIM_MAX]
        cdef uint32_t nr, i, pfn
        cdef int64_t nr_reclaimed = 0
        cdef ScanControl sc
        cdef ReclaimStat stat
        memset(&sc, 0, sizeof(ScanControl))
        sc.gfp_mask, sc.priority = GFP_KERNEL, DEF_PRIORITY
        sc.may_writepage = sc.may_unmap = sc.may_swap = True
        for i in range(0, len(page_list), RECLAIM_MAX):
            nr = 0
            for pfn in page_list[i:i + RECLAIM_MAX]:
                self.g.map[pfn].flags &= ~<uint32_t>PG_active
                pages[nr] = pfn
                nr += 1
            nr_reclaimed += self.shrink_page_list(pages, &nr, &sc, &stat, False)
            for pfn in pages[:nr]:
                self.lru.putback_lru_page(pfn)
        self.reclaimed += nr_reclaimed
        return nr_reclaimed

    cdef int wakeup_flusher_threads(self) except -1:
        """Have all dirty pages of files written back.

        Source: fs/fs-writeback.c wakeup_flusher_threads()
        Differs: it is done when this returns; nothing else writes pages back, neither their age nor how many there are.
        """
        cdef PageCache cache
        cdef int64_t written = 0
        for cache in list(self.pages.caches.values()):
            if not cache.shmem:
                written += self.pages.page_mkclean(cache.mapping, 0, 0xFFFFFFFF)
        if written:
            step(self.pages.k, "flusher threads write {pages} dirty pages of files back", func="wakeup_flusher_threads",
                 pages=written)
        return 0
