"""The swap cache: pages that have a slot, by their entry (mm/swap_state.c), and the bytes in the slots (mm/page_io.c).

    get_swap_page()        a slot, which the swap cache uses: 0x40 in swap_map
    add_to_swap_cache()    page <-> entry: PG_swapcache, page->private, one reference
    swap_duplicate()       one more for every page table's entry that names the slot
    write_page()           the page's bytes go to the slot
    delete_from_swap_cache(), swap_free()    and back; without users the slot is free

A page keeps its references: adding it takes one, deleting it drops that one.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from copy import deepcopy

from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PAGE_SIZE, Page
from bootsim.linux.mm.swap cimport PG_readahead, PG_swapcache
from bootsim.linux.mm.swapfile.areas cimport SwapAreas
from bootsim.linux.mm.swapfile.info cimport SwapInfo
from bootsim.linux.mm.swapfile.swapops cimport swp_offset

from bootsim.linux.kernel.printk import KERN_WARNING, printk


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
        new.swapin_readahead_hits, new.readahead = self.swapin_readahead_hits, self.readahead

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

    cdef uint32_t lookup_swap_cache(self, uint32_t entry) except? 1:
        """The page of a slot, with one reference more, or NO_PAGE.

        `readahead` tells whether it had PG_readahead, which it has no more: with readahead by VMAs the caller counts.
        Source: mm/swap_state.c lookup_swap_cache()
        """
        cdef uint32_t pfn
        cdef Page *page
        self.readahead = False
        if self.get_swap_device(entry) is None:
            return NO_PAGE
        self.find_total += 1
        pfn = self.cached_page(entry)
        if pfn == NO_PAGE:
            return NO_PAGE
        self.find_success += 1
        page = &self.g.map[pfn]
        page.refcount += 1
        if page.flags & PG_readahead:
            page.flags &= ~<uint32_t>PG_readahead
            self.readahead = True
            if not self.swap_use_vma_readahead():
                self.swapin_readahead_hits += 1
        return pfn

    cdef int write_page(self, uint32_t entry, uint32_t pfn) except -1:
        """Put a page's bytes in its slot, at once. Source: mm/page_io.c swap_writepage()"""
        cdef SwapInfo si = self.swp_swap_info(entry)
        cdef const char *data = <const char *>self.ram.base + (<uint64_t>pfn << 12)
        si.content[swp_offset(entry)] = data[:PAGE_SIZE]
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
        return 0


def show_swap_cache_info(k, SwapSpace space):
    """Say how much swap there is, and how often the swap cache was asked. Without an area `space` is None.

    Source: mm/swap_state.c show_swap_cache_info()
    """
    stats = (0,) * 7 if space is None else (
        space.nrpages, space.add_total, space.del_total, space.find_success, space.find_total,
        space.nr_swap_pages << 2, space.total_swap_pages << 2)
    for line in (f"{stats[0]} pages in swap cache",
                 f"Swap cache stats: add {stats[1]}, delete {stats[2]}, find {stats[3]}/{stats[4]}",
                 f"Free swap  = {stats[5]}kB", f"Total swap = {stats[6]}kB"):
        printk(k, KERN_WARNING, "{line}", func="show_swap_cache_info", line=line)
