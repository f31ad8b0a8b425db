# cython: nonecheck=True
"""The swap cache: pages that have a slot, by their entry (mm/swap_state.c), and the bytes in the slots (mm/page_io.c).

    get_swap_page()        a slot, which the swap cache uses: 0x40 in swap_map
    add_to_swap_cache()    page <-> entry: PG_swapcache, page->private, one reference
    swap_duplicate()       one more for every page table's entry that names the slot
    write_page()           the page's bytes go to the slot
    delete_from_swap_cache(), swap_free()    and back; without users the slot is free

A page keeps its references: adding it takes one, deleting it drops that one.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from copy import deepcopy

from bootsim.linux.arch.arm.asm.pgtable_2level cimport PMD_SHIFT, PTRS_PER_PTE, pmd_in, pte_index
from bootsim.linux.mm.mmap.structs cimport PAGE_MASK, VmAreaStruct
from bootsim.linux.mm.page_alloc.api cimport alloc_and_tell
from bootsim.linux.mm.page_alloc.core cimport count_vm_events
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_uptodate, Page
from bootsim.linux.mm.swap cimport LruVec, PG_readahead, PG_swapbacked, PG_swapcache, PG_workingset
from bootsim.linux.mm.swapfile.areas cimport SwapAreas
from bootsim.linux.mm.swapfile.info cimport SwapInfo
from bootsim.linux.mm.swapfile.swapops cimport is_swap_pte, pte_to_swp_entry, swp_entry, swp_offset, swp_type
from bootsim.linux.mm.vmstat cimport PSWPIN, PSWPOUT, SWAP_RA, SWAP_RA_HIT
from bootsim.linux.mm.workingset cimport workingset_refault
from bootsim.page cimport PAGE_SHIFT, PAGE_SIZE

from bootsim.linux.kernel.printk import KERN_WARNING, printk

cdef enum:                  # what a VMA keeps of its readahead: address, window, hits
    SWAP_RA_ORDER_CEILING = 3
    SWAP_RA_WIN_SHIFT = 6
    SWAP_RA_HITS_MASK = 0x3F
    SWAP_RA_WIN_MASK = 0xFC0
    SWAP_RA_FIRST = 4       # of a VMA where none was: four hits


cdef class SwapSpace(SwapSlots):
    """Swap of a machine: its areas, and the pages that have slots there."""

    def __init__(self, k, user_pages):
        SwapSlots.__init__(self, k, user_pages)
        self.ram = k.machine.ram
        self.swapin_readahead_hits = 4

    def copy_to(self, SwapAreas other, memo):
        """Give a copy of the machine what this one has."""
        cdef SwapSpace new = other
        SwapSlots.copy_to(self, new, memo)
        new.ram, new.nrpages = deepcopy(self.ram, memo), self.nrpages
        new.add_total, new.del_total = self.add_total, self.del_total
        new.find_success, new.find_total = self.find_success, self.find_total
        new.swapin_readahead_hits, new.prev_offset = self.swapin_readahead_hits, self.prev_offset
        new.last_readahead_pages = self.last_readahead_pages

    cdef int add_to_swap_cache(self, uint32_t pfn, uint32_t entry) except -1:
        """A page gets a slot, one that the swap cache uses already: one reference more. A shadow there is gone.

        Source: mm/swap_state.c add_to_swap_cache()
        Differs: the nodes of the XArray take no memory.
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapInfo si = self.swp_swap_info(entry)
        page.refcount += 1
        page.flags |= PG_swapcache
        page.private_ = entry
        si.cached[swp_offset(entry)] = pfn
        self.nrpages += 1
        self.add_total += 1
        return 0

    cdef int remove_from_swap_cache(self, uint32_t pfn, uint32_t entry, uint32_t shadow) except -1:
        """A page has no slot any more; `shadow`, if not 0, stays in its place. Reference and slot are the caller's.

        Source: mm/swap_state.c __delete_from_swap_cache()
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapInfo si = self.swp_swap_info(entry)
        if shadow:
            si.cached[swp_offset(entry)] = <uint32_t>(shadow | SHADOW)
        else:
            del si.cached[swp_offset(entry)]
        page.private_ = 0
        page.flags &= ~<uint32_t>PG_swapcache
        self.nrpages -= 1
        self.del_total += 1
        return 0

    cdef int delete_from_swap_cache(self, uint32_t pfn) except -1:
        """A page leaves the swap cache: it gives up its slot, and here too the reference; the caller has another one.

        Source: mm/swap_state.c delete_from_swap_cache()
        """
        cdef uint32_t entry = self.g.map[pfn].private_
        self.remove_from_swap_cache(pfn, entry, 0)
        self.put_swap_page(entry)
        self.g.map[pfn].refcount -= 1
        return 0

    cdef int replace_page(self, uint32_t old, uint32_t new) except -1:
        # A page moves: its slot and the reference go with it. Source: mm/migrate.c migrate_page_move_mapping()
        cdef uint32_t entry = self.g.map[old].private_
        self.g.map[new].refcount += 1
        self.g.map[new].flags |= PG_swapcache
        self.g.map[new].private_ = entry
        self.swp_swap_info(entry).cached[swp_offset(entry)] = new
        self.g.map[old].refcount -= 1
        self.g.map[old].flags &= ~<uint32_t>PG_swapcache
        self.g.map[old].private_ = 0
        return 0

    cdef uint32_t get_shadow_from_swap_cache(self, uint32_t entry):
        # The shadow in a slot's place, 0 for none. Source: mm/swap_state.c get_shadow_from_swap_cache()
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef uint32_t found
        if si is None:
            return 0
        found = si.cached.get(swp_offset(entry), 0)
        return found & ~<uint32_t>SHADOW if found & SHADOW else 0

    cdef uint32_t cached_page(self, uint32_t entry):
        # The page of a slot, without a reference; NO_PAGE
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef uint32_t found
        if si is None:
            return NO_PAGE
        found = si.cached.get(swp_offset(entry), <uint32_t>NO_PAGE)
        return NO_PAGE if found & SHADOW else found

    cdef bint swap_use_vma_readahead(self) noexcept:
        # Source: mm/swap_state.c swap_use_vma_readahead()
        return self.nr_rotate_swap == 0

    cdef uint32_t lookup_swap_cache(self, uint32_t entry, VmAreaStruct vma, uint32_t addr) except? 1:
        """The page of a slot, with one reference more, or NO_PAGE; the VMA, if any, learns where it was looked for.

        Source: mm/swap_state.c lookup_swap_cache()
        """
        cdef uint32_t pfn, val, hits
        cdef bint readahead
        cdef bint by_vma = vma is not None and self.swap_use_vma_readahead()
        cdef Page *page
        if self.get_swap_device(entry) is None:
            return NO_PAGE
        self.find_total += 1
        pfn = self.cached_page(entry)
        if pfn == NO_PAGE:
            return NO_PAGE
        self.find_success += 1
        page = &self.g.map[pfn]
        page.refcount += 1
        readahead = (page.flags & PG_readahead) != 0
        page.flags &= ~<uint32_t>PG_readahead
        if by_vma:
            val = vma.swap_readahead_info or SWAP_RA_FIRST
            hits = min((val & SWAP_RA_HITS_MASK) + readahead, SWAP_RA_HITS_MASK)
            vma.swap_readahead_info = addr & PAGE_MASK | val & SWAP_RA_WIN_MASK | hits
        if readahead:
            count_vm_events(self.g, SWAP_RA_HIT, 1)
            if not by_vma:
                self.swapin_readahead_hits += 1
        return pfn

    # ---------------------------------------------------------------- read back

    cdef uint32_t page_from_cache(self, uint32_t entry, uint32_t gfp_mask, bint *allocated) except? 1:
        """The page of a slot with a reference, found or made for its bytes to be read into; NO_PAGE.

        Source: mm/swap_state.c __read_swap_cache_async()
        """
        cdef uint32_t pfn, shadow
        allocated[0] = False
        if self.get_swap_device(entry) is None:
            return NO_PAGE
        pfn = self.cached_page(entry)
        if pfn != NO_PAGE:
            self.g.map[pfn].refcount += 1
            return pfn
        if not self.swap_count(entry) and self.swap_slot_cache_enabled:
            return NO_PAGE
        pfn = alloc_and_tell(self.k, self.pglist, gfp_mask, 0)
        if pfn == NO_PAGE:
            return NO_PAGE
        if self.swapcache_prepare(entry):  # the slot may be free by now
            self.user_pages.drop_reference(pfn)
            return NO_PAGE
        self.g.map[pfn].flags |= PG_swapbacked
        shadow = self.get_shadow_from_swap_cache(entry)
        self.add_to_swap_cache(pfn, entry)
        if shadow:
            workingset_refault(self.pglist.lru, &self.g.map[pfn], shadow, self.nr_swap_pages)
        self.g.map[pfn].flags |= PG_workingset
        (<LruVec>self.pglist.lru).lru_cache_add(pfn)
        allocated[0] = True
        return pfn

    cdef uint32_t read_swap_cache_async(self, uint32_t entry, uint32_t gfp_mask) except? 1:
        """The page of a slot with its bytes and a reference; NO_PAGE.

        Source: mm/swap_state.c read_swap_cache_async()
        """
        cdef bint allocated
        cdef uint32_t pfn = self.page_from_cache(entry, gfp_mask, &allocated)
        if allocated:
            self.read_page(entry, pfn)
        return pfn

    cdef int read_ahead(self, uint32_t entry, uint32_t gfp_mask, bint wanted) except -1:
        # One slot of those around the one that is wanted.
        cdef bint allocated
        cdef uint32_t pfn = self.page_from_cache(entry, gfp_mask, &allocated)
        if pfn == NO_PAGE:
            return 0
        if allocated:
            self.read_page(entry, pfn)
            if not wanted:
                self.g.map[pfn].flags |= PG_readahead
                count_vm_events(self.g, SWAP_RA, 1)
        self.user_pages.drop_reference(pfn)
        return 0

    cdef uint32_t swapin_nr_pages(self, uint32_t offset) except 0:
        # Source: mm/swap_state.c swapin_nr_pages()
        cdef int page_cluster = self.k.processes.page_cluster
        cdef uint32_t pages
        cdef int hits
        if page_cluster == 0 or page_cluster > 31:
            return 1
        hits, self.swapin_readahead_hits = self.swapin_readahead_hits, 0
        pages = nr_pages_to_read(self.prev_offset, offset, hits, <uint32_t>1 << page_cluster,
                                 self.last_readahead_pages)
        if not hits:
            self.prev_offset = offset
        self.last_readahead_pages = pages
        return pages

    cdef uint32_t swap_cluster_readahead(self, uint32_t entry, uint32_t gfp_mask) except? 1:
        """Read a slot, and its aligned neighbours with it. Source: mm/swap_state.c swap_cluster_readahead()"""
        cdef uint32_t mask = self.swapin_nr_pages(swp_offset(entry)) - 1
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef uint32_t offset, end
        if mask:
            offset = max(swp_offset(entry) & ~mask, 1)  # 0 is the header
            end = min(swp_offset(entry) | mask, si.max - 1)
            while offset <= end:
                self.read_ahead(swp_entry(swp_type(entry), offset), gfp_mask, offset == swp_offset(entry))
                offset += 1
            (<LruVec>self.pglist.lru).lru_add_drain()
        return self.read_swap_cache_async(entry, gfp_mask)

    cdef uint32_t swap_ra_info(self, VmAreaStruct vma, uint32_t addr, uint32_t *start, uint32_t *end) noexcept:
        """How many pages to read with that of an address, which are [start, end), page numbers, within its table.

        Source: mm/swap_state.c swap_ra_info(), swap_ra_clamp_pfn()
        """
        cdef uint32_t max_win = 1 << min(vma.vm_mm.processes.page_cluster, SWAP_RA_ORDER_CEILING)
        cdef uint32_t val = vma.swap_readahead_info or SWAP_RA_FIRST
        cdef uint32_t pfn = val >> PAGE_SHIFT
        cdef uint32_t fpfn = addr >> PAGE_SHIFT
        cdef uint32_t table = addr >> PMD_SHIFT << (PMD_SHIFT - PAGE_SHIFT)
        cdef uint32_t win
        if max_win == 1:
            return 1
        win = nr_pages_to_read(pfn, fpfn, val & SWAP_RA_HITS_MASK, max_win,
                               (val & SWAP_RA_WIN_MASK) >> SWAP_RA_WIN_SHIFT)
        vma.swap_readahead_info = addr & PAGE_MASK | win << SWAP_RA_WIN_SHIFT & SWAP_RA_WIN_MASK
        if fpfn == pfn + 1:
            start[0] = fpfn
        elif pfn == fpfn + 1:
            start[0] = fpfn - win + 1
        else:
            start[0] = fpfn - (win - 1) // 2
        end[0] = min(start[0] + win, vma.vm_end >> PAGE_SHIFT, table + PTRS_PER_PTE)
        start[0] = max(start[0], vma.vm_start >> PAGE_SHIFT, table)
        return win

    cdef uint32_t swap_vma_readahead(self, uint32_t entry, uint32_t gfp_mask, VmAreaStruct vma,
                                     uint32_t addr) except? 1:
        """Read the slot of an address, and with it those of its neighbours in the table, as it was before.

        Source: mm/swap_state.c swap_vma_readahead()
        """
        cdef uint32_t ptes[1 << SWAP_RA_ORDER_CEILING]
        cdef uint32_t start = 0, end = 0
        cdef uint32_t i, table
        if self.swap_ra_info(vma, addr, &start, &end) != 1:
            table = self.ram.load32(pmd_in(vma.vm_mm.pgd_pa, addr)) & PAGE_MASK
            for i in range(end - start):
                ptes[i] = self.ram.load32(table + pte_index((start + i) << PAGE_SHIFT) * 4)
            for i in range(end - start):
                if is_swap_pte(ptes[i]):
                    self.read_ahead(pte_to_swp_entry(ptes[i]), gfp_mask, start + i == addr >> PAGE_SHIFT)
            (<LruVec>self.pglist.lru).lru_add_drain()
        return self.read_swap_cache_async(entry, gfp_mask)

    cdef uint32_t swapin_readahead(self, uint32_t entry, uint32_t gfp_mask, VmAreaStruct vma, uint32_t addr) except? 1:
        """Read the page that an address has in a slot, and others: by slots where seeks are dear, else by addresses.

        Source: mm/swap_state.c swapin_readahead()
        """
        if self.swap_use_vma_readahead():
            return self.swap_vma_readahead(entry, gfp_mask, vma, addr)
        return self.swap_cluster_readahead(entry, gfp_mask)

    # ---------------------------------------------------------------- bytes

    cdef int write_page(self, uint32_t entry, uint32_t pfn) except -1:
        """Put a page's bytes in its slot, at once. Source: mm/page_io.c swap_writepage()"""
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef const char *data = <const char *>self.ram.base + (<uint64_t>pfn << 12)
        si.content[swp_offset(entry)] = data[:PAGE_SIZE]
        count_vm_events(self.g, PSWPOUT, 1)
        return 0

    cdef int read_page(self, uint32_t entry, uint32_t pfn) except -1:
        """Put a slot's bytes into a page; zeroes if none were ever written. Source: mm/page_io.c swap_readpage()"""
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef bytes data = si.content.get(swp_offset(entry))
        cdef char *to = <char *>self.ram.base + (<uint64_t>pfn << 12)
        if data is None:
            memset(to, 0, PAGE_SIZE)
        else:
            memcpy(to, <const char *>data, PAGE_SIZE)
        self.g.map[pfn].flags |= PG_uptodate
        count_vm_events(self.g, PSWPIN, 1)
        return 0


cdef uint32_t nr_pages_to_read(uint32_t prev_offset, uint32_t offset, uint32_t hits, uint32_t max_pages,
                               uint32_t prev_win) noexcept:
    # Source: mm/swap_state.c __swapin_nr_pages()
    cdef uint32_t pages = hits + 2
    cdef uint32_t roundup = 4
    if pages == 2:
        if offset != prev_offset + 1 and offset != prev_offset - 1:
            pages = 1
    else:
        while roundup < pages:
            roundup <<= 1
        pages = roundup
    return max(min(pages, max_pages), prev_win // 2)


cdef int64_t get_nr_swap_pages(k) except -1:
    # free slots of all areas; 0 without any
    return 0 if k.processes is None else k.processes.swapspace.nr_swap_pages


def show_swap_cache_info(k, SwapSpace space):
    """Say how much swap there is, and how often the swap cache was asked. Without processes `space` is None.

    Source: mm/swap_state.c show_swap_cache_info()
    """
    stats = (0,) * 7 if space is None else (
        space.nrpages, space.add_total, space.del_total, space.find_success, space.find_total,
        space.nr_swap_pages << 2, space.total_swap_pages << 2)
    for line in (f"{stats[0]} pages in swap cache",
                 f"Swap cache stats: add {stats[1]}, delete {stats[2]}, find {stats[3]}/{stats[4]}",
                 f"Free swap  = {stats[5]}kB", f"Total swap = {stats[6]}kB"):
        printk(k, KERN_WARNING, "{line}", func="show_swap_cache_info", line=line)
