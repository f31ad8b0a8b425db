"""The page cache: which pages of a file are in memory (mm/filemap.c, mm/truncate.c)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.errno cimport ENOMEM
from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport VmAreaStruct
from bootsim.linux.mm.page_alloc.core cimport count_vm_events
from bootsim.linux.mm.page_alloc.gfp cimport GFP_HIGHUSER_MOVABLE
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_uptodate, Page
from bootsim.linux.mm.swap cimport PG_dirty, PG_readahead, PG_swapbacked, PG_swapcache
from bootsim.linux.mm.swap_state cimport SwapSpace, get_nr_swap_pages
from bootsim.linux.mm.swapfile.swapops cimport swp_type
from bootsim.linux.mm.vmstat cimport PGMAJFAULT
from bootsim.linux.mm.workingset cimport workingset_refault
from bootsim.page cimport PAGE_SHIFT, PAGE_SIZE

from bootsim.linux.mm.interval_tree import vma_interval_tree_foreach

cdef class PageCache:
    """The pages of a file that are in memory (struct address_space). Indices count pages.

    Pages that the disk has are there from their first use on, until they are reclaimed; then they are read again. What
    nobody has written of a tmpfs file is not there; what was reclaimed of it is in a swap area.
    """

    def __init__(self, TablePages pages not None, mapping, uint64_t limit=0, bint shmem=False, bytes content=b""):
        self.pages, self.mapping = pages, mapping
        self.i_pages, self.written, self.shadows, self.swapped = {}, {}, {}, {}
        pages.mappings += 1
        self.id, self.limit, self.shmem, self.content = pages.mappings << PAGE_SHIFT, limit, shmem, content
        self.readahead, self.holes = set(), set()
        pages.caches[self.id] = self

    def __deepcopy__(self, memo):
        from copy import deepcopy
        cdef PageCache new = PageCache.__new__(PageCache)
        memo[id(self)] = new
        new.pages, new.mapping = deepcopy(self.pages, memo), deepcopy(self.mapping, memo)
        new.i_pages, new.written, new.shadows = dict(self.i_pages), dict(self.written), dict(self.shadows)
        new.swapped = dict(self.swapped)
        new.id, new.limit, new.shmem, new.readahead = self.id, self.limit, self.shmem, set(self.readahead)
        new.content, new.holes = self.content, set(self.holes)
        return new

    cdef uint32_t find(self, uint32_t index) except? 1:
        # The page of an index; NO_PAGE: it is not in memory.
        cdef object pfn = self.i_pages.get(index)
        if pfn is not None:
            return pfn
        if self.has(index):
            pfn = self.make(index, True)
            return NO_PAGE if pfn == NO_MEMORY else pfn
        return NO_PAGE

    cdef bint has(self, uint32_t index) noexcept:
        # whether a page is in memory, or would have been if anybody had looked
        return index in self.i_pages or (index < self.limit and index not in self.holes and index not in self.shadows
                                         and index not in self.swapped)

    cdef uint32_t make(self, uint32_t index, bint long_there=False, uint32_t gfp=GFP_HIGHUSER_MOVABLE) except? 1:
        # A page at an index, which waits for its place on the LRU list unless it has been there for long; NO_MEMORY.
        # Source: mm/filemap.c add_to_page_cache_lru()
        cdef uint32_t pfn = self.pages.new_page(True, gfp)
        cdef Page *page
        if pfn == NO_PAGE:
            return NO_MEMORY
        page = &self.pages.g.map[pfn]
        page.mapping, page.index = self.id, index
        part = self.on_disk(index)
        if part:
            self.pages.k.machine.ram.write(<int64_t>pfn << PAGE_SHIFT, part)
        page.flags |= PG_uptodate
        if self.shmem:
            page.flags |= PG_swapbacked | (PG_dirty if long_there else 0)
        shadow = self.shadows.pop(index, None)
        if shadow is not None:
            workingset_refault(self.pages.lru, page, shadow, get_nr_swap_pages(self.pages.k))
        if long_there:
            self.pages.lru.lru_cache_add_now(pfn)
        else:
            self.pages.lru.lru_cache_add(pfn)
        if index in self.readahead:
            self.readahead.discard(index)
            page.flags |= PG_readahead
        self.i_pages[index] = pfn
        self.holes.discard(index)
        return pfn

    cdef bytes on_disk(self, uint32_t index):
        # what the disk has of a page, without the zeroes at its end; nothing of tmpfs
        cdef uint64_t at = <uint64_t>index << PAGE_SHIFT
        if index in self.written:
            return self.written[index]
        return b"" if index in self.holes else self.content[at:at + PAGE_SIZE]

    cdef int __delete_from_page_cache(self, uint32_t pfn, uint32_t shadow) except -1:
        """A clean page is reclaimed: what it has is what the disk has. Its reference is the caller's.

        Source: mm/filemap.c __delete_from_page_cache()
        """
        cdef Page *page = &self.pages.g.map[pfn]
        cdef uint32_t index = page.index
        cdef bytes data
        del self.i_pages[index]
        page.mapping = 0
        if not self.shmem:
            data = self.pages.ram.read(<int64_t>pfn << PAGE_SHIFT, PAGE_SIZE).rstrip(b"\0")
            if data != self.on_disk(index).rstrip(b"\0"):
                self.written[index] = data
            self.shadows[index] = shadow
        return 0

    def frame(self, uint32_t index):
        """The page frame of an index, None where nothing is or there is no memory; what the disk has is read in."""
        cdef uint32_t pfn = self.find(index)
        if pfn == NO_PAGE and index in self.swapped:
            pfn = self.swap_in(index, False)
        elif pfn == NO_PAGE and index in self.shadows:
            pfn = self.make(index)
        return None if pfn == NO_PAGE or pfn == NO_MEMORY else pfn

    def holds(self, uint32_t index):
        """Whether the file has anything at an index: in memory, on the disk or in a swap area.

        Source: mm/filemap.c find_get_entry()
        """
        return self.has(index) or index in self.shadows or index in self.swapped

    def write(self, uint64_t first, uint64_t count, bint dirty=True):
        """Have pages of a file written through it, from index `first` on: those that are not there are made.

        Source: mm/filemap.c generic_perform_write()
        """
        cdef uint32_t pfn
        for index in range(first, first + count):
            pfn = self.find(<uint32_t>index)
            if pfn == NO_PAGE:
                pfn = self.swap_in(index, False) if index in self.swapped else self.make(<uint32_t>index)
            if pfn != NO_MEMORY and dirty:
                self.pages.g.map[pfn].flags |= PG_dirty

    def truncate(self, uint64_t size):
        """Give a file another size, in bytes; pages beyond its end go. Source: mm/truncate.c truncate_inode_pages()"""
        cdef uint64_t count = (size + PAGE_SIZE - 1) >> PAGE_SHIFT
        self.limit = min(self.limit, count)
        self.content = self.content[:size]
        for kept in (self.written, self.shadows):
            for index in [i for i in kept if i >= count]:
                del kept[index]
        if count and count - 1 in self.written:
            self.written[count - 1] = self.written[count - 1][:size - (count - 1 << PAGE_SHIFT)]
        for index in sorted(i for i in [*self.i_pages, *self.swapped] if i >= count):
            if index in self.swapped:
                self.free_swap(index)
            else:
                self.drop(index)

    def punch_hole(self, list i_mmap not None, uint64_t first, uint64_t last):
        """Take the pages first to last out of a file and of the tables that show them; private copies stay.

        Source: mm/shmem.c shmem_fallocate(), mm/truncate.c truncate_pagecache_range()
        """
        cdef VmAreaStruct vma
        for index in range(first, last + 1):
            for vma in vma_interval_tree_foreach(i_mmap, index, index):
                self.pages.zap_file_page(vma, vma.vm_start + ((<uint32_t>index - vma.vm_pgoff) << PAGE_SHIFT))
            self.holes.add(index)
            self.written.pop(index, None)
            self.shadows.pop(index, None)
            if index in self.swapped:
                self.free_swap(index)
            if index in self.i_pages:
                self.drop(index)

    def drop(self, uint32_t index):
        """Take a page out of the cache. Source: mm/filemap.c delete_from_page_cache()"""
        cdef uint32_t pfn = self.i_pages.pop(index)
        self.pages.g.map[pfn].mapping = 0
        self.pages.g.map[pfn].flags &= ~<uint32_t>PG_dirty
        self.pages.put_page(pfn)

    # ---------------------------------------------------------------- tmpfs and swap areas

    cdef int swap_out(self, uint32_t index, uint32_t entry) except -1:
        """An entry, of a slot of the swap cache's, takes a page's place; the page has its other references still.

        Source: mm/shmem.c shmem_writepage(), shmem_delete_from_page_cache()
        """
        cdef SwapSpace space = self.pages.k.processes.swapspace
        cdef uint32_t pfn = self.i_pages.pop(index)
        if self not in space.shmem_swaplist:
            space.shmem_swaplist.insert(0, self)
        self.swapped[index] = entry
        space.swap_shmem_alloc(entry)
        self.pages.g.map[pfn].mapping = 0
        self.pages.g.map[pfn].refcount -= 1
        return 0

    cdef uint32_t swap_in(self, uint32_t index, bint fault) except? 1:
        """Bring the page of an entry back; it has no slot then. Or NO_MEMORY. A `fault` is told from other reading.

        Source: mm/shmem.c shmem_swapin_page(), shmem_add_to_page_cache()
        """
        cdef SwapSpace space = self.pages.k.processes.swapspace
        cdef uint32_t entry, pfn
        cdef Page *page
        while index in self.swapped:
            entry = self.swapped[index]
            pfn = space.lookup_swap_cache(entry, None, 0)
            if pfn == NO_PAGE:
                if fault:
                    count_vm_events(self.pages.g, PGMAJFAULT, 1)
                pfn = space.swap_cluster_readahead(entry, GFP_HIGHUSER_MOVABLE)
                if pfn == NO_PAGE:
                    return NO_MEMORY
            page = &self.pages.g.map[pfn]
            if page.flags & PG_swapcache and page.private_ == entry and self.swapped.get(index) == entry:
                page.refcount += 1
                page.mapping, page.index = self.id, index
                self.i_pages[index] = pfn
                del self.swapped[index]
                space.delete_from_swap_cache(pfn)
                page.flags |= PG_dirty
                space.swap_free(entry)
            self.pages.put_page(pfn)
        return self.find(index)

    cdef int free_swap(self, uint32_t index) except -1:
        # Source: mm/shmem.c shmem_free_swap()
        (<SwapSpace>self.pages.k.processes.swapspace).free_swap_and_cache(self.swapped.pop(index))
        return 0

    cdef int unuse(self, uint32_t type_) except 1:
        """Bring back all that is in one swap area: 0 or -ENOMEM. Source: mm/shmem.c shmem_unuse_inode()"""
        for index in sorted(i for i, entry in self.swapped.items() if swp_type(entry) == type_):
            if self.swap_in(index, False) == NO_MEMORY:
                return -ENOMEM
        return 0

    def evict(self):
        """The file is gone, and all of its pages. Source: mm/shmem.c shmem_evict_inode()"""
        self.truncate(0)
        space = self.pages.k.processes.swapspace
        if space is not None and self in space.shmem_swaplist:
            space.shmem_swaplist.remove(self)
        del self.pages.caches[self.id]

    def swap_usage(self, uint32_t first, uint32_t end):
        """How many pages from `first` to below `end` have a slot. Source: mm/shmem.c shmem_partial_swap_usage()"""
        return sum(1 for index in self.swapped if first <= index < end)

    def is_swapped(self, uint32_t index):
        """Whether a page is in a swap area."""
        return index in self.swapped

    def __len__(self):
        return len(self.i_pages)
