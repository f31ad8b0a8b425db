"""The swap areas of a machine: who uses a slot, and when it is free again (mm/swapfile.c)."""

from libc.stdint cimport int64_t, uint32_t

from copy import deepcopy
from weakref import proxy

from bootsim.errno cimport EEXIST, EINVAL, ENOENT, ENOMEM
from bootsim.linux.kernel.printk import KERN_ERR, printk
from bootsim.linux.lib.sort import sort
from bootsim.linux.mm.page_alloc.api cimport alloc_and_tell
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_HIGHMEM, GFP_ATOMIC
from bootsim.linux.mm.mmap.structs cimport UserMm
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_locked, PG_writeback, Page
from bootsim.linux.mm.swap cimport PG_dirty, PG_swapcache
from bootsim.linux.mm.swapfile.count cimport attach, continued_count, detach, swap_count_continued
from bootsim.linux.mm.swapfile.info cimport *
from bootsim.linux.mm.swapfile.scan cimport TTRS_ANYWAY, TTRS_FULL, TTRS_UNMAPPED
from bootsim.linux.mm.swapfile.swapops cimport *


cdef class SwapAreas(SwapScan):
    """The areas of the machine `k`; `user_pages` is whose pages a last reference frees."""

    def __cinit__(self):
        self.avail, self.swap_info, self.mmlist, self.shmem_swaplist, self.least_priority = [], [], [], [], -1

    def __init__(self, k, user_pages):
        self.k, self.pglist, self.user_pages = proxy(k), k.mm.pgdat, user_pages
        self.g = self.pglist.g

    def __deepcopy__(self, memo):
        cdef SwapAreas new = type(self).__new__(type(self))
        memo[id(self)] = new
        self.copy_to(new, memo)
        return new

    def copy_to(self, SwapAreas new, memo):
        """Give a copy of the machine what this one has."""
        new.k, new.pglist = deepcopy(self.k, memo), deepcopy(self.pglist, memo)
        new.user_pages, new.g = deepcopy(self.user_pages, memo), new.pglist.g
        new.nr_swap_pages, new.total_swap_pages = self.nr_swap_pages, self.total_swap_pages
        new.least_priority, new.nr_rotate_swap = self.least_priority, self.nr_rotate_swap
        new.swap_info, new.avail = deepcopy(self.swap_info, memo), deepcopy(self.avail, memo)
        new.mmlist, new.shmem_swaplist = deepcopy(self.mmlist, memo), deepcopy(self.shmem_swaplist, memo)

    # ---------------------------------------------------------------- areas come and go

    def alloc_swap_info(self, ram, str path):
        """A new area, not in use yet; None: there are as many as a swap entry can name.

        Source: mm/swapfile.c alloc_swap_info()
        Differs: a kernel without COMPACTION and CMA has two types more.
        """
        cdef uint32_t type_
        cdef SwapInfo si
        for type_ in range(MAX_SWAPFILES):
            if type_ < len(self.swap_info) and (<SwapInfo>self.swap_info[type_]).flags & SWP_USED:
                continue
            si = SwapInfo(ram, path, type_)
            if type_ < len(self.swap_info):
                si.memory = (<SwapInfo>self.swap_info[type_]).memory
            si.flags = SWP_USED | SWP_BLKDEV
            self.swap_info[type_:type_ + 1] = [si]
            return si
        return None

    def enable_swap_info(self, SwapInfo si, int prio, list map_pfns, uint32_t maxpages, bint ssd, uint32_t nr_cpus,
                         uint32_t columns):
        """Put an area to use, whose swap_map lies in the frames `map_pfns`.

        Source: mm/swapfile.c enable_swap_info(), setup_swap_info(), _enable_swap_info()
        """
        si.setup(map_pfns, maxpages, ssd, nr_cpus, columns)
        if ssd:
            si.flags |= SWP_SOLIDSTATE
        else:
            self.nr_rotate_swap += 1
        if prio < 0:
            self.least_priority -= 1
            prio = self.least_priority
        si.prio = prio
        si.flags |= SWP_WRITEOK | SWP_VALID
        self.nr_swap_pages += si.pages
        self.total_swap_pages += si.pages
        self.add_to_avail_list(si)

    def disable_swap_info(self, SwapInfo si):
        """No page goes to an area any more: those of lower priority, given by the kernel, move up.

        Source: mm/swapfile.c sys_swapoff()
        """
        cdef SwapInfo other
        self.del_from_avail_list(si)
        if si.prio < 0:
            for other in self.swap_info:
                if other.flags & SWP_WRITEOK and other.prio < si.prio:
                    other.prio += 1
            self.least_priority += 1
        self.nr_swap_pages -= si.pages
        self.total_swap_pages -= si.pages
        si.flags &= ~<uint32_t>SWP_WRITEOK

    def reinsert_swap_info(self, SwapInfo si):
        """Put an area to use again whose pages could not be read back. Source: mm/swapfile.c reinsert_swap_info()"""
        if si.prio < 0:
            self.least_priority -= 1
            si.prio = self.least_priority
        si.flags |= SWP_WRITEOK
        self.nr_swap_pages += si.pages
        self.total_swap_pages += si.pages
        self.add_to_avail_list(si)

    def drop_swap_info(self, SwapInfo si):
        """An area without pages in it is gone. Source: mm/swapfile.c sys_swapoff(), drain_mmlist()"""
        cdef uint32_t i
        if not si.flags & SWP_SOLIDSTATE:
            self.nr_rotate_swap -= 1
        if not any((<SwapInfo>each).inuse_pages for each in self.swap_info):
            self.mmlist.clear()
        for i in range(0, si.max, 4096):  # free_swap_count_continuations()
            detach(self.g, si, i)
        self.forget(si)

    def forget(self, SwapInfo si):
        """An area that could not be put to use, or is in use no more. Source: mm/swapfile.c sys_swapon() bad_swap"""
        si.drop()
        si.flags = 0

    def has_usable_swap(self):
        """Whether any area is on."""
        return any((<SwapInfo>si).flags & SWP_WRITEOK for si in self.swap_info)

    # ---------------------------------------------------------------- whose entries there may be

    cdef int enter_mmlist(self, UserMm mm, UserMm after) except -1:
        # Have swapoff() look at an address space: behind `after`, or first. Source: mm/rmap.c try_to_unmap_one()
        if mm not in self.mmlist:
            self.mmlist.insert(self.mmlist.index(after) + 1 if after in self.mmlist else 0, mm)
        return 0

    cdef int leave_mmlist(self, UserMm mm) except -1:
        if mm in self.mmlist:
            self.mmlist.remove(mm)
        return 0

    # ---------------------------------------------------------------- entries

    cdef SwapInfo swp_swap_info(self, uint32_t entry):
        cdef uint32_t type_ = swp_type(entry)
        return self.swap_info[type_] if type_ < len(self.swap_info) else None

    cdef SwapInfo get_swap_device(self, uint32_t entry):
        """The area of an entry, None for none that is in use. Source: mm/swapfile.c get_swap_device()"""
        cdef SwapInfo si
        if entry == 0:
            return None
        si = self.swp_swap_info(entry)
        if si is None:
            self.bad("get_swap_device", "Bad swap file entry ", entry)
        elif not si.flags & SWP_VALID or swp_offset(entry) >= si.max:
            return None
        return si

    cdef SwapInfo swap_info_get(self, uint32_t entry):
        """The area of an entry whose slot is in use; the kernel complains of others.

        Source: mm/swapfile.c _swap_info_get(), __swap_info_get()
        """
        cdef SwapInfo si
        if entry == 0:
            return None
        si = self.swp_swap_info(entry)
        if si is None:
            return self.bad("swap_info_get", "Bad swap file entry ", entry)
        if not si.flags & SWP_USED:
            return self.bad("swap_info_get", "Unused swap file entry ", entry)
        if swp_offset(entry) >= si.max:
            return self.bad("swap_info_get", "Bad swap offset entry ", entry)
        if not si.slot(swp_offset(entry))[0]:
            return self.bad("swap_info_get", "Unused swap offset entry ", entry)
        return si

    cdef SwapInfo bad(self, func, what, uint32_t entry):
        printk(self.k, KERN_ERR, "{where}: {what}{entry:08x}", func=func, where=func, what=what, entry=entry)
        return None

    cdef int free_locked(self, SwapInfo si, uint32_t offset, unsigned char usage) noexcept:
        # Source: mm/swapfile.c __swap_entry_free_locked(): what is left; nothing leaves the slot to the swap cache
        cdef unsigned char used = si.slot(offset)[0]
        cdef unsigned char has_cache = used & SWAP_HAS_CACHE
        cdef unsigned char count = used & ~SWAP_HAS_CACHE
        if usage == SWAP_HAS_CACHE:
            has_cache = 0
        elif count == SWAP_MAP_SHMEM:
            count = 0
        elif count & ~COUNT_CONTINUED <= SWAP_MAP_MAX:
            if count == COUNT_CONTINUED:
                count = SWAP_MAP_MAX
                if swap_count_continued(self.g, si, offset, COUNT_CONTINUED):
                    count |= COUNT_CONTINUED
            else:
                count -= 1
        si.slot(offset)[0] = (count | has_cache) or SWAP_HAS_CACHE
        return count | has_cache

    cdef int swap_entry_free(self, SwapInfo si, uint32_t entry) except? -1:
        # Source: mm/swapfile.c __swap_entry_free()
        cdef int left = self.free_locked(si, swp_offset(entry), 1)
        if left == 0:
            self.free_swap_slot(entry)
        return left

    cdef int swap_free(self, uint32_t entry) except -1:
        """One user less. Source: mm/swapfile.c swap_free()"""
        cdef SwapInfo si = self.swap_info_get(entry)
        if si is not None:
            self.swap_entry_free(si, entry)
        return 0

    cdef int put_swap_page(self, uint32_t entry) except -1:
        """The swap cache uses a slot no more. Source: mm/swapfile.c put_swap_page()"""
        cdef SwapInfo si = self.swap_info_get(entry)
        if si is not None and self.free_locked(si, swp_offset(entry), SWAP_HAS_CACHE) == 0:
            self.free_swap_slot(entry)
        return 0

    cdef int free_swap_slot(self, uint32_t entry) except -1:
        return self.swapcache_free_entries(&entry, 1)

    cdef int swapcache_free_entries(self, uint32_t *entries, int n) except -1:
        """Give slots back that nobody uses any more, area by area.

        Source: mm/swapfile.c swapcache_free_entries(), swap_entry_free()
        """
        cdef list each = [entries[i] for i in range(n)]
        cdef SwapInfo si
        cdef uint32_t entry
        if len(self.swap_info) > 1:
            sort(each, swp_entry_cmp)
        for entry in each:
            si = self.swap_info_get(entry)
            if si is not None:
                si.slot(swp_offset(entry))[0] = 0
                si.dec_cluster_info_page(swp_offset(entry))
                self.swap_range_free(si, swp_offset(entry))
        return 0

    # ---------------------------------------------------------------- one user more

    cdef int duplicate(self, uint32_t entry, unsigned char usage) except? -1:
        """Source: mm/swapfile.c __swap_duplicate(): 0 or -errno"""
        cdef SwapInfo si = self.get_swap_device(entry)
        cdef unsigned char count, has_cache
        cdef uint32_t offset = swp_offset(entry)
        cdef int err = 0
        if si is None:
            return -EINVAL
        count = si.slot(offset)[0]
        if count & ~SWAP_HAS_CACHE == SWAP_MAP_BAD:
            return -ENOENT
        has_cache, count = count & SWAP_HAS_CACHE, count & ~SWAP_HAS_CACHE
        if usage == SWAP_HAS_CACHE:
            if has_cache:
                err = -EEXIST
            elif count:
                has_cache = SWAP_HAS_CACHE
            else:
                err = -ENOENT
        elif not count | has_cache:
            err = -ENOENT
        elif count & ~COUNT_CONTINUED < SWAP_MAP_MAX:
            count += usage
        elif count & ~COUNT_CONTINUED > SWAP_MAP_MAX:
            err = -EINVAL
        elif swap_count_continued(self.g, si, offset, count):
            count = COUNT_CONTINUED
        else:
            err = -ENOMEM
        si.slot(offset)[0] = count | has_cache
        return err

    cdef int swap_duplicate(self, uint32_t entry) except? -1:
        """One user more: 0, or -ENOMEM for want of a page that counts on. Source: mm/swapfile.c swap_duplicate()"""
        cdef int err = 0
        while err == 0 and self.duplicate(entry, 1) == -ENOMEM:
            err = self.add_swap_count_continuation(entry, GFP_ATOMIC)
        return err

    cdef int swapcache_prepare(self, uint32_t entry) except? -1:
        """The swap cache is to have a page of a slot: 0, -EEXIST, -ENOENT, -EINVAL."""
        return self.duplicate(entry, SWAP_HAS_CACHE)

    cdef int swap_shmem_alloc(self, uint32_t entry) except? -1:
        """A slot belongs to a file of shmem. Source: mm/swapfile.c swap_shmem_alloc()"""
        return self.duplicate(entry, SWAP_MAP_SHMEM)

    cdef int add_swap_count_continuation(self, uint32_t entry, uint32_t gfp_mask) except? -1:
        """Have a page more for the count of a slot: 0 or -ENOMEM.

        Source: mm/swapfile.c add_swap_count_continuation()
        """
        cdef uint32_t pfn = alloc_and_tell(self.k, self.pglist, gfp_mask | __GFP_HIGHMEM, 0)
        cdef SwapInfo si = self.get_swap_device(entry)
        cdef unsigned char count
        if si is not None:
            count = si.slot(swp_offset(entry))[0] & ~SWAP_HAS_CACHE
            if count & ~COUNT_CONTINUED == SWAP_MAP_MAX:
                if pfn == NO_PAGE:
                    return -ENOMEM
                if attach(self.g, si, swp_offset(entry), count, pfn):
                    return 0
        if pfn != NO_PAGE:
            free_pages_by_refcount(self.g, pfn, 0)
        return 0

    # ---------------------------------------------------------------- users of a slot

    cdef int swap_count(self, uint32_t entry) except? -1:
        """__swap_count(), __swp_swapcount(): users, or that and COUNT_CONTINUED for many."""
        cdef SwapInfo si = self.get_swap_device(entry)
        return 0 if si is None else si.slot(swp_offset(entry))[0] & ~SWAP_HAS_CACHE

    cdef int page_swapcount(self, uint32_t pfn) except? -1:
        """The same of a page in the swap cache. Source: mm/swapfile.c page_swapcount()"""
        cdef uint32_t entry = self.g.map[pfn].private_
        cdef SwapInfo si = self.swap_info_get(entry)
        return 0 if si is None else si.slot(swp_offset(entry))[0] & ~SWAP_HAS_CACHE

    cdef int64_t swp_swapcount(self, uint32_t entry) except? -1:
        """All users, exactly. Source: mm/swapfile.c swp_swapcount()"""
        cdef SwapInfo si = self.swap_info_get(entry)
        if si is None:
            return 0
        return continued_count(self.g, si, swp_offset(entry), si.slot(swp_offset(entry))[0] & ~SWAP_HAS_CACHE)

    # ---------------------------------------------------------------- pages in the swap cache

    cdef uint32_t cached_page(self, uint32_t entry):
        return NO_PAGE

    cdef int delete_from_swap_cache(self, uint32_t pfn) except -1:
        return 0

    cdef bint reuse_swap_page(self, uint32_t pfn, int *total_map_swapcount) except? -1:
        """Whether nobody else has an anonymous page, so that it may be written without copying; its slot is freed then.

        total_map_swapcount (or NULL) gets the users, mapped and swapped out. Source: mm/swapfile.c reuse_swap_page()
        """
        cdef Page *page = &self.g.map[pfn]
        cdef SwapInfo si
        cdef int count = <int>(0 - page.page_type)
        if page.flags & PG_swapcache:
            count += self.page_swapcount(pfn)
        if total_map_swapcount != NULL:
            total_map_swapcount[0] = count
        if count == 1 and page.flags & PG_swapcache:
            if not page.flags & PG_writeback:
                self.delete_from_swap_cache(pfn)
                page.flags |= PG_dirty
            else:
                si = self.swap_info_get(page.private_)
                if si is not None and si.flags & SWP_STABLE_WRITES:
                    return False
        return count <= 1

    cdef bint try_to_free_swap(self, uint32_t pfn) except? -1:
        """Take a page out of the swap cache if no entry names its slot: whether it was. Its reference goes.

        Source: mm/swapfile.c try_to_free_swap()
        """
        cdef Page *page = &self.g.map[pfn]
        if not page.flags & PG_swapcache or page.flags & PG_writeback or self.page_swapcount(pfn):
            return False
        self.delete_from_swap_cache(pfn)
        page.flags |= PG_dirty
        return True

    cdef int try_to_reclaim_swap(self, SwapInfo si, uint32_t offset, int flags) except -1:
        """Source: mm/swapfile.c __try_to_reclaim_swap(): whether the slot of a page in the swap cache was freed"""
        cdef uint32_t pfn = self.cached_page(swp_entry(si.type, offset))
        cdef bint freed = False
        cdef Page *page
        if pfn == NO_PAGE:
            return 0
        page = &self.g.map[pfn]
        page.refcount += 1
        if not page.flags & PG_locked:
            page.flags |= PG_locked
            if (flags & TTRS_ANYWAY or (flags & TTRS_UNMAPPED and page.page_type == 0)
                    or (flags & TTRS_FULL and self.vm_swap_full())):
                freed = self.try_to_free_swap(pfn)
            page.flags &= ~<uint32_t>PG_locked
        self.user_pages.drop_reference(pfn)
        return freed

    cdef int free_swap_and_cache(self, uint32_t entry) except? -1:
        """A page table's entry goes: one user less, and without any left the page leaves the swap cache.

        Returns whether it named a slot. Source: mm/swapfile.c free_swap_and_cache()
        """
        cdef SwapInfo si
        if non_swap_entry(entry):
            return 1
        si = self.get_swap_device(entry)
        if si is None:
            return 0
        if not si.slot(swp_offset(entry))[0]:
            return 0
        if self.swap_entry_free(si, entry) == SWAP_HAS_CACHE:
            self.try_to_reclaim_swap(si, swp_offset(entry), TTRS_UNMAPPED | TTRS_FULL)
        return 1


def swp_entry_cmp(uint32_t entry1, uint32_t entry2):
    """Which of two entries is of the lower type. Source: mm/swapfile.c swp_entry_cmp()"""
    return <int>swp_type(entry1) - <int>swp_type(entry2)
