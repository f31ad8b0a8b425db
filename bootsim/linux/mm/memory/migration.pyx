"""Pages of processes and files that compaction and contiguous ranges move (mm/migrate.c)."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from bootsim.errno cimport EAGAIN
from bootsim.linux.mm.filemap.cache cimport PageCache
from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.migrate cimport MappedPages
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_FS
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.rmap.unmap cimport remove_migration_ptes, try_to_migrate
from bootsim.linux.mm.swap cimport *
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.vmscan.pages cimport PageReclaim
from bootsim.page cimport PAGE_SHIFT, PAGE_SIZE


cdef class ProcessMigration(MappedPages):
    """What migration asks of processes: all that is on an LRU list may move, unless somebody else holds it."""

    def __init__(self, TablePages pages not None):
        self.pages = pages

    def __deepcopy__(self, memo):
        from copy import deepcopy
        cdef ProcessMigration new = ProcessMigration.__new__(ProcessMigration)
        memo[id(self)] = new
        new.pages = deepcopy(self.pages, memo)
        return new

    cdef bint movable(self, uint32_t pfn, uint32_t gfp_mask) except -1:
        # Source: mm/compaction.c isolate_migratepages_block()
        # Differs: a page with fewer references than entries stays; it would be freed on the way.
        cdef Page *page = &self.pages.g.map[pfn]
        if not page.flags & PG_lru or not page.refcount or page.refcount < page_mapcount(page) + has_mapping(page):
            return False
        if has_mapping(page):
            return gfp_mask & __GFP_FS
        return page.refcount <= page_mapcount(page)  # an anonymous page that more than its entries hold stays

    cdef bint isolate(self, uint32_t pfn, int mode) except -1:
        # Source: mm/vmscan.c __isolate_lru_page()
        if mode != MIGRATE_SYNC and self.pages.g.map[pfn].flags & PG_writeback:
            return False
        return self.pages.lru.isolate_lru_page(pfn)

    cdef int putback(self, uint32_t pfn) except -1:
        self.pages.lru.putback_lru_page(pfn)
        return 0

    cdef int drain(self, bint everywhere) except -1:
        if everywhere:
            self.pages.lru.lru_add_drain_all()
        else:
            self.pages.lru.lru_add_drain()
        return 0

    cdef list reclaim_clean(self, list page_list):
        return (<PageReclaim>self.pages.k.processes.reclaimer).reclaim_clean_pages_from_list(page_list)

    cdef int move(self, uint32_t old, uint32_t new) except? 1:
        """Move an isolated page to a free one that is taken; 0, or -EAGAIN when somebody holds it.

        Every entry is taken out, and put in again with the new frame; where nothing moved, with the old one.
        Source: mm/migrate.c __unmap_and_move(), move_to_new_page(), migrate_page()
        """
        cdef Page *page = &self.pages.g.map[old]
        cdef bint was_mapped = page_mapped(page)
        cdef int rc = -EAGAIN
        if not was_mapped and not page.mapping:
            return rc
        page.flags |= PG_locked
        if was_mapped:
            try_to_migrate(self.pages, old)
        if not page_mapped(page):
            rc = self.move_mapping(old, new)
        if was_mapped:
            remove_migration_ptes(self.pages, old, old if rc else new)
        page.flags &= ~<uint32_t>PG_locked
        if rc == 0:
            self.pages.lru.putback_lru_page(new)
        return rc

    cdef int move_mapping(self, uint32_t old, uint32_t new) except? 1:
        """Give a page's place in its file, its flags and its bytes to another, unless more hold it than should.

        Source: mm/migrate.c migrate_page_move_mapping(), expected_page_refs(), migrate_page_states()
        """
        cdef Page *page = &self.pages.g.map[old]
        cdef Page *newpage = &self.pages.g.map[new]
        cdef unsigned char *base = self.pages.ram.base
        cdef PageCache cache
        cdef uint32_t kept = (PG_referenced | PG_uptodate | PG_active | PG_unevictable | PG_workingset | PG_dirty
                              | PG_readahead | PG_swapbacked)
        if page.refcount != 1 + has_mapping(page):
            return -EAGAIN
        newpage.index, newpage.mapping = page.index, page.mapping
        if not page_anon(page):
            cache = self.pages.caches[page.mapping]
            newpage.refcount += 1
            cache.i_pages[page.index] = new
            page.refcount -= 1
            page.mapping = 0
        elif page.flags & PG_swapcache:
            (<SwapSpace>self.pages.k.processes.swapspace).replace_page(old, new)
        newpage.flags |= page.flags & kept
        page.flags &= ~<uint32_t>(PG_active | PG_unevictable)
        memcpy(base + (<int64_t>new << PAGE_SHIFT), base + (<int64_t>old << PAGE_SHIFT), PAGE_SIZE)
        return 0
