"""Faults of processes: which page comes where, and with which rights (mm/memory.c, mm/filemap.c, mm/shmem.c).

                    no entry                                   an entry, not writable, and a write
                    (that of a page in a swap area: swapin)
    anonymous: zero page for a read, else a cleared page      copied, unless nobody else has it
    private file: the cache's page for a read, else a copy    copied
    shared file: the cache's page, dirty for a write          made writable, once the file system has heard of it
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bootsim.errno cimport EFAULT, EINTR, EINVAL, ENOMEM
from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.kernel.fork.dup cimport mm_init
from bootsim.linux.kernel.signal cimport SIGBUS, SIGKILL
from bootsim.linux.mm.filemap.cache cimport NO_MEMORY, PageCache
from bootsim.linux.mm.gup.populate cimport FOLL_MLOCK, FOLL_POPULATE, FOLL_TOUCH, FOLL_WRITE
from bootsim.linux.mm.interval_tree import vma_interval_tree_foreach
from bootsim.linux.mm.memory.advice cimport advise
from bootsim.linux.mm.memory.swapin cimport READ_ONLY_YET, swap_in
from bootsim.linux.mm.memory.tables cimport MM_ANONPAGES, TablePages, is_cow_mapping
from bootsim.linux.mm.mmap.stack cimport find_extend_vma
from bootsim.linux.mm.mmap.structs cimport (
    NO_ANSWER, VM_DONTDUMP, VM_DONTEXPAND, VM_IO, VM_LOCKED, VM_MIXEDMAP, VM_NORESERVE, VM_PFNMAP, VM_RAND_READ,
    VM_SEQ_READ, VM_SHARED, VM_WRITE, Task, UserMm, VmAreaStruct, linear_page_index, vma_is_anonymous, vma_pages)
from bootsim.linux.mm.page_alloc.contig cimport take_free_page
from bootsim.linux.mm.page_alloc.core cimport count_vm_events, in_free_block
from bootsim.linux.mm.page_alloc.gfp cimport GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_mlocked, PG_on_pcp, Page
from bootsim.linux.mm.readahead cimport (
    MMAP_LOTSAMISS, FileRaState, do_page_cache_ra, file_ra_state, ondemand_readahead)
from bootsim.linux.mm.rmap.anon_vma cimport anon_vma_prepare
from bootsim.linux.mm.rmap.unmap cimport in_locked_vma
from bootsim.linux.mm.swap cimport PAGE_MAPPING_ANON, PG_dirty, PG_readahead, PG_reclaim
from bootsim.linux.mm.swapfile.swapops cimport is_swap_pte, non_swap_entry, pte_to_swp_entry
from bootsim.linux.mm.util cimport vm_enough_memory
from bootsim.linux.mm.vmstat cimport PGFAULT, PGMAJFAULT, PGREUSE

cdef enum:
    MAPPED_ITSELF = 0xFFFFFFFEU  # of a driver's fault handler: VM_FAULT_NOPAGE
    FAULT_AGAIN = 0xFFFFFFFCU    # VM_FAULT_RETRY


cdef class ProcessPages(TablePages):
    """Tables, pages and faults of all processes of the machine `k`.

    `shmem_file(pages, size)` makes the file behind a shared anonymous mapping, `size` in bytes.
    """

    def __init__(self, k, shmem_file=None):
        TablePages.__init__(self, k)
        self.shmem_file = shmem_file
        self.fault_around_bytes = 65536

    def __deepcopy__(self, memo):
        cdef ProcessPages new = TablePages.__deepcopy__(self, memo)
        new.shmem_file, new.fault_around_bytes = self.shmem_file, self.fault_around_bytes
        return new

    cdef bint mlocked_elsewhere(self, uint32_t pfn) except -1:
        return in_locked_vma(self, pfn)

    # ---------------------------------------------------------------- pages of files and devices

    cdef uint32_t page_of(self, VmAreaStruct vma, uint32_t pgoff, bint retry) except? 1:
        """The page that a file or device has for a fault; NO_PAGE: SIGBUS, NO_MEMORY: there is none for it.

        FAULT_AGAIN, where `retry` allows it: the disk was waited for, and the process is to fault again.

        Source: mm/filemap.c filemap_fault(), mm/shmem.c shmem_fault(), mm/memory.c __do_fault()
        """
        cdef object file = vma.vm_file
        cdef PageCache cache
        cdef uint32_t pfn
        if vma.vm_ops.fault is not None:
            return vma.vm_ops.fault(vma, pgoff)
        cache = getattr(file.f_mapping, "page_cache", None) if file is not None else None
        if cache is None or (<uint64_t>pgoff << PAGE_SHIFT) >= <uint64_t>file.f_inode.i_size:
            return NO_PAGE
        pfn = cache.find(pgoff)
        if cache.shmem and pfn == NO_PAGE:
            return cache.swap_in(pgoff, True) if pgoff in cache.swapped else cache.make(pgoff)
        if cache.shmem:
            return pfn
        if pfn != NO_PAGE and not retry:
            return pfn
        if self.mmap_readahead(vma, cache, pgoff, pfn) and retry:
            return FAULT_AGAIN
        pfn = cache.find(pgoff)
        return cache.make(pgoff) if pfn == NO_PAGE else pfn

    cdef bint mmap_readahead(self, VmAreaStruct vma, PageCache cache, uint32_t pgoff, uint32_t pfn) except -1:
        """Read what a fault needs, or is likely to need soon; whether it waits for the disk, with nothing locked.

        Source: mm/filemap.c do_sync_mmap_readahead(), do_async_mmap_readahead()
        """
        cdef FileRaState ra = file_ra_state(vma.vm_file)
        cdef uint64_t size = vma.vm_file.f_inode.i_size
        if pfn != NO_PAGE:
            if vma.vm_flags & VM_RAND_READ:
                return False
            if ra.mmap_miss:
                ra.mmap_miss -= 1
            if not self.g.map[pfn].flags & PG_readahead:
                return False
            self.g.map[pfn].flags &= ~<uint32_t>PG_readahead
            ondemand_readahead(cache, ra, pgoff, True, ra.ra_pages, size)
            return True
        count_vm_events(self.g, PGMAJFAULT, 1)
        if vma.vm_flags & VM_RAND_READ:
            return False
        if vma.vm_flags & VM_SEQ_READ:
            ondemand_readahead(cache, ra, pgoff, False, ra.ra_pages, size)
            return True
        if ra.mmap_miss < MMAP_LOTSAMISS * 10:
            ra.mmap_miss += 1
        if ra.mmap_miss > MMAP_LOTSAMISS:
            return False
        ra.start = pgoff - ra.ra_pages // 2 if pgoff > ra.ra_pages // 2 else 0
        ra.size, ra.async_size = ra.ra_pages, ra.ra_pages // 4
        do_page_cache_ra(cache, ra.start, ra.size, ra.async_size, size)
        return True

    cdef int map_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pfn, bint write) except -1:
        # Source: mm/memory.c alloc_set_pte(); the page's reference is the entry's
        cdef uint32_t pte = pfn << PAGE_SHIFT | vma.vm_page_prot | L_PTE_YOUNG
        if write:
            pte |= L_PTE_DIRTY
            if vma.vm_flags & VM_WRITE:
                pte &= ~<uint32_t>L_PTE_RDONLY
        if write and not vma.vm_flags & VM_SHARED:
            self.add_new_anon_rmap(pfn, vma, addr)
            self.lru_cache_add_inactive_or_unevictable(pfn, vma)
        else:
            self.add_rmap(pfn)
        self.count_rss(vma.vm_mm, pfn, 1)
        self.set_pte_at(addr, ptep, pte)
        return 0

    cdef bint fault_around(self, VmAreaStruct vma, uint32_t addr) except -1:
        """Map the pages around a read that are in memory; whether that of `addr` is among them.

        Source: mm/memory.c do_fault_around(), mm/filemap.c filemap_map_pages()
        """
        cdef uint32_t start = max(addr & ~(self.fault_around_bytes - 1), vma.vm_start)
        cdef uint32_t end = min(<uint32_t>(start + self.fault_around_bytes), vma.vm_end)
        cdef PageCache cache = getattr(vma.vm_file.f_mapping, "page_cache", None)
        cdef uint64_t size = vma.vm_file.f_inode.i_size
        cdef FileRaState ra = vma.vm_file.f_ra
        cdef uint32_t at, pgoff, pfn, ptep
        if cache is None:
            return False
        end = min(end, <uint32_t>((start & ~<uint32_t>(PMD_SIZE - 1)) + PMD_SIZE))
        at = start
        if not self.pte_alloc(vma.vm_mm, addr):
            return False
        while at < end:
            pgoff = linear_page_index(vma, at)
            pfn = cache.find(pgoff) if (<uint64_t>pgoff << PAGE_SHIFT) < size else NO_PAGE
            if pfn != NO_PAGE and not self.g.map[pfn].flags & PG_readahead:
                if ra is not None and ra.mmap_miss:
                    ra.mmap_miss -= 1
                ptep = self.pte_offset(vma.vm_mm, at)
                if not self.ram.load32(ptep):
                    self.g.map[pfn].refcount += 1
                    self.map_page(vma, at, ptep, pfn, False)
            at += PAGE_SIZE
        ptep = self.pte_offset(vma.vm_mm, addr)
        return ptep != 0 and self.ram.load32(ptep) != 0

    # ---------------------------------------------------------------- faults

    cdef int copy_page(self, uint32_t new, uint32_t pfn) except -1:
        # Source: mm/memory.c cow_user_page()
        cdef unsigned char *base = self.ram.base
        if pfn == self.zero_pfn:
            self.ram.clear(<int64_t>new << PAGE_SHIFT, PAGE_SIZE)
        elif self.k.machine.has_ram(<int64_t>pfn << PAGE_SHIFT):
            memcpy(base + (<int64_t>new << PAGE_SHIFT), base + (<int64_t>pfn << PAGE_SHIFT), PAGE_SIZE)
        return 0

    cdef int64_t do_anonymous_page(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER:
        # Source: mm/memory.c do_anonymous_page()
        cdef uint32_t ptep = self.pte_alloc(vma.vm_mm, addr)
        cdef uint32_t pfn
        if not ptep:
            return SIGKILL
        if not write:
            self.set_pte_at(addr, ptep, self.zero_pfn << PAGE_SHIFT | vma.vm_page_prot)
            return 0
        anon_vma_prepare(vma)
        pfn = self.new_page(True, GFP_HIGHUSER_MOVABLE)
        if pfn == NO_PAGE:
            return SIGKILL
        if self.ram.load32(ptep):
            self.put_page(pfn)
            return 0
        self.map_page(vma, addr, ptep, pfn, True)
        return 0

    cdef int64_t do_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER:
        # Source: mm/memory.c do_fault(), do_read_fault(), do_cow_fault(), do_shared_fault()
        cdef bint shared = vma.vm_flags & VM_SHARED
        cdef bint had_table = self.pte_offset(vma.vm_mm, addr) != 0
        cdef uint32_t pfn, ptep
        cdef uint32_t new = NO_PAGE
        if not write and vma.vm_ops.map_pages is not None and self.fault_around(vma, addr):
            return 0
        if write and not shared:
            anon_vma_prepare(vma)
            new = self.new_page(False, GFP_HIGHUSER_MOVABLE)
            if new == NO_PAGE:
                return SIGKILL
        ptep = self.pte_alloc(vma.vm_mm, addr)
        pfn = self.page_of(vma, linear_page_index(vma, addr), not self.tried) if ptep else NO_PAGE
        if pfn == MAPPED_ITSELF:
            if new != NO_PAGE:
                self.put_page(new)
            return self.handle_mm_fault(vma, addr, True) if write else 0  # a write faults again
        if pfn == FAULT_AGAIN:
            if new != NO_PAGE:
                self.put_page(new)
            self.tried = True
            try:
                return self.handle_mm_fault(vma, addr, write)
            finally:
                self.tried = False
        if pfn == NO_PAGE or pfn == NO_MEMORY:
            if new != NO_PAGE:
                self.put_page(new)
            if ptep and not had_table:
                self.free_table(vma.vm_mm, addr)
            return SIGBUS if ptep and pfn == NO_PAGE else SIGKILL
        if self.ram.load32(ptep):  # mapped by the driver itself, which gives the page, too
            if new != NO_PAGE:
                self.put_page(new)
            return 0
        if new != NO_PAGE:
            self.copy_page(new, pfn)
            self.map_page(vma, addr, ptep, new, True)
            return 0
        self.g.map[pfn].refcount += 1
        self.map_page(vma, addr, ptep, pfn, write)
        if write:
            self.g.map[pfn].flags |= PG_dirty
        return 0

    cdef int64_t do_wp_page(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pte) except? NO_ANSWER:
        """A write to a page whose entry is not writable. Source: mm/memory.c do_wp_page(), wp_page_copy()"""
        cdef uint32_t pfn = self.vm_normal_page(vma, addr, pte)
        cdef bint shared = vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE | VM_SHARED
        cdef uint32_t new
        cdef bint reuse = shared
        if pfn != NO_PAGE and self.g.map[pfn].mapping & PAGE_MAPPING_ANON:
            reuse = self.g.map[pfn].refcount == 1
        if reuse:
            count_vm_events(self.g, PGREUSE, 1)
            pte |= L_PTE_YOUNG | L_PTE_DIRTY
            if vma.vm_flags & VM_WRITE:
                pte &= ~<uint32_t>L_PTE_RDONLY
            self.set_pte_at(addr, ptep, pte)
            self.flush_tlb_range(vma.vm_mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE)
            if shared and pfn != NO_PAGE:
                self.g.map[pfn].flags |= PG_dirty
            return 0
        anon_vma_prepare(vma)
        if pfn != NO_PAGE:
            self.g.map[pfn].refcount += 1
        new = self.new_page(False, GFP_HIGHUSER_MOVABLE)
        if new == NO_PAGE or self.ram.load32(ptep) != pte:  # compaction may have moved the page meanwhile
            if pfn != NO_PAGE:
                self.put_page(pfn)
            if new != NO_PAGE:
                self.put_page(new)
            return SIGKILL if new == NO_PAGE else 0
        self.copy_page(new, pte >> PAGE_SHIFT)
        if pfn != NO_PAGE:
            self.count_rss(vma.vm_mm, pfn, -1)
        self.flush_tlb_range(vma.vm_mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE)
        self.map_page(vma, addr, ptep, new, True)
        if pfn != NO_PAGE:
            self.remove_rmap(pfn)
            self.put_page(pfn)
            if vma.vm_flags & VM_LOCKED and self.g.map[pfn].flags & PG_mlocked:
                self.g.map[pfn].refcount += 1
                self.munlock_batch(&pfn, 1)
            self.put_page(pfn)
        return 0

    cdef int64_t do_swap_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte, bint write) except? NO_ANSWER:
        cdef int64_t done = swap_in(self, vma, addr, pte, write)
        cdef uint32_t ptep
        if done != READ_ONLY_YET:
            return done
        ptep = self.pte_offset(vma.vm_mm, addr)
        return self.do_wp_page(vma, addr, ptep, self.ram.load32(ptep))

    cdef int64_t madvise_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER:
        return advise(self, vma, start, end, behavior)

    cdef int64_t handle_mm_fault(self, VmAreaStruct vma, uint32_t addr, bint write) except? NO_ANSWER:
        """Bring what an allowed access needs: 0, or the signal that the process gets.

        Source: mm/memory.c handle_pte_fault()
        """
        cdef uint32_t ptep = self.pte_offset(vma.vm_mm, addr)
        cdef uint32_t pte = self.ram.load32(ptep) if ptep else 0
        cdef uint32_t entry
        count_vm_events(self.g, PGFAULT, 1)
        if not pte & L_PTE_VALID:
            if pte:
                return self.do_swap_page(vma, addr, pte, write)
            if vma_is_anonymous(vma):
                return self.do_anonymous_page(vma, addr, write)
            return self.do_fault(vma, addr, write)
        if write and pte & L_PTE_RDONLY:
            return self.do_wp_page(vma, addr, ptep, pte)
        entry = pte | L_PTE_YOUNG | (L_PTE_DIRTY if write else 0)
        if entry != pte:
            self.set_pte_at(addr, ptep, entry)
        if entry != pte or write:
            self.flush_tlb_range(vma.vm_mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE)
        return 0

    # ---------------------------------------------------------------- on behalf of others

    cdef int64_t get_user_pages(self, VmAreaStruct vma, uint32_t start, uint32_t nr_pages,
                                uint32_t gup_flags) except? NO_ANSWER:
        """Fault pages in, as mlock() and MAP_POPULATE want them. Source: mm/gup.c __get_user_pages()"""
        cdef uint32_t i, addr
        cdef uint32_t ptep, pte
        cdef bint present_only = gup_flags & (FOLL_POPULATE | FOLL_MLOCK) == FOLL_MLOCK
        for i in range(nr_pages):
            addr = start + (i << PAGE_SHIFT)
            if vma.vm_mm.owner.fatal_signal_pending:
                return <int64_t>i if i else -EINTR
            for _ in range(MAX_FAULTS):  # a write may take two
                ptep = self.pte_offset(vma.vm_mm, addr)
                pte = self.ram.load32(ptep) if ptep else 0
                if present_only or pte & L_PTE_VALID and not (gup_flags & FOLL_WRITE and pte & L_PTE_RDONLY):
                    break
                if self.handle_mm_fault(vma, addr, gup_flags & FOLL_WRITE):
                    return <int64_t>i if i else -EFAULT
            if pte & L_PTE_VALID:
                self.follow_page(vma, addr, pte, gup_flags)
        return nr_pages

    cdef int follow_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte, uint32_t gup_flags) except -1:
        # A page is used; one that is to be locked leaves the vector first. Source: mm/gup.c follow_page_pte()
        cdef uint32_t pfn = self.vm_normal_page(vma, addr, pte)
        if pfn == NO_PAGE:
            return 0
        if gup_flags & FOLL_TOUCH:
            if gup_flags & FOLL_WRITE and not pte & L_PTE_DIRTY:
                self.g.map[pfn].flags |= PG_dirty
            self.lru.mark_page_accessed(pfn)
        if gup_flags & FOLL_MLOCK and vma.vm_flags & VM_LOCKED and self.g.map[pfn].mapping:
            self.lru_add_drain()
            self.lru.mlock_page(pfn)
        return 0

    cdef int64_t access_process_vm(self, UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER:
        cdef uint32_t at = addr
        cdef uint32_t done = 0
        cdef uint32_t length = <uint32_t>len(data)
        cdef uint32_t count, pte
        cdef VmAreaStruct vma
        cdef const unsigned char *source = data
        while done < length:
            at = addr + done
            vma = find_extend_vma(mm, at)
            pte = 0
            while vma is not None and not (pte & L_PTE_VALID and pte & L_PTE_DIRTY):
                if self.handle_mm_fault(vma, at, True):
                    return -EFAULT
                pte = self.ram.load32(self.pte_offset(mm, at))
            if vma is None:
                return -EFAULT
            count = min(length - done, PAGE_SIZE - (at & ~<uint32_t>PAGE_MASK))
            if self.has_page(pte >> PAGE_SHIFT):
                memcpy(self.ram.base + ((pte & PAGE_MASK) | (at & ~<uint32_t>PAGE_MASK)), source + done, count)
            done += count
        return 0

    cdef int64_t shmem_zero_setup(self, VmAreaStruct vma) except? NO_ANSWER:
        cdef uint32_t promised = 0 if vma.vm_flags & VM_NORESERVE else vma_pages(vma)
        if promised and vm_enough_memory(vma.vm_mm, promised):
            return -ENOMEM
        if self.shmem_file is not None:
            vma.vm_file = self.shmem_file(self, vma.vm_end - vma.vm_start, promised=promised)
            vma.vm_ops = vma.vm_file.f_op.vm_ops
        return 0

    # ---------------------------------------------------------------- drivers, files

    def remap_pfn_range(self, VmAreaStruct vma not None, uint32_t addr, uint32_t pfn, uint32_t size, uint32_t prot):
        """Map frames of a device; 0 or -errno. A private mapping keeps the first frame in vm_pgoff.

        Source: mm/memory.c remap_pfn_range()
        """
        cdef uint32_t end = addr + size
        cdef uint32_t ptep
        if is_cow_mapping(vma.vm_flags):
            if addr != vma.vm_start or end != vma.vm_end:
                return -EINVAL
            vma.vm_pgoff = pfn
        vma.vm_flags |= VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP
        while addr < end:
            ptep = self.pte_alloc(vma.vm_mm, addr)
            if not ptep:
                return -ENOMEM
            self.set_pte_at(addr, ptep, pfn << PAGE_SHIFT | prot)
            addr, pfn = addr + PAGE_SIZE, pfn + 1
        return 0

    def vm_insert_page(self, VmAreaStruct vma not None, uint32_t addr, uint32_t pfn):
        """Map one page of a driver's; 0 or -errno. Source: mm/memory.c vm_insert_page(), insert_page()"""
        cdef uint32_t ptep
        if not vma.vm_start <= addr < vma.vm_end:
            return -EFAULT
        if not self.has_page(pfn) or self.g.map[pfn].refcount <= 0:
            return -EINVAL
        vma.vm_flags |= VM_MIXEDMAP
        ptep = self.pte_alloc(vma.vm_mm, addr)
        if not ptep:
            return -ENOMEM
        self.g.map[pfn].refcount += 1
        self.add_rmap(pfn)
        self.count_rss(vma.vm_mm, pfn, 1)
        self.set_pte_at(addr, ptep, pfn << PAGE_SHIFT | vma.vm_page_prot)
        return 0

    def unmap_mapping_range(self, mapping, uint64_t holebegin):
        """Take the pages of a file from a byte on out of all tables, and private copies of them too.

        Source: mm/memory.c unmap_mapping_range()
        """
        cdef VmAreaStruct vma
        cdef uint64_t first = (holebegin + PAGE_SIZE - 1) >> PAGE_SHIFT
        for vma in vma_interval_tree_foreach(mapping.i_mmap, first, 0xFFFFFFFF):
            at = (max(first, <uint64_t>vma.vm_pgoff) - vma.vm_pgoff) << PAGE_SHIFT
            self.zap_page_range_single(vma, vma.vm_start + <uint32_t>at, vma.vm_end)

    def page_mkclean(self, mapping, uint32_t first, uint32_t last):
        """Write back the dirty pages first to last of a file: their entries in shared mappings are clean and read-only.

        Returns how many there were.
        Source: mm/page-writeback.c clear_page_dirty_for_io(), mm/rmap.c page_mkclean_one()
        """
        cdef PageCache cache = mapping.page_cache
        cdef uint32_t pfn
        cdef uint32_t written = 0
        for index in sorted(i for i in cache.i_pages if first <= i <= last):
            pfn = cache.i_pages[index]
            if self.g.map[pfn].flags & PG_dirty:
                self.g.map[pfn].flags &= ~<uint32_t>PG_dirty
                self.clean_entries(mapping.i_mmap, index, pfn)
                written += 1
                if self.g.map[pfn].flags & PG_reclaim:
                    self.lru.rotate_reclaimable_page(pfn)
        return written

    def pagecache_isize_extended(self, mapping, uint64_t old, uint64_t new, uint32_t block):
        """A file grows from `old` bytes to `new`: the page with its old end is to fault at the next write.

        `block` is the size of a block of its file system. Source: mm/truncate.c pagecache_isize_extended()
        """
        cdef PageCache cache = mapping.page_cache
        cdef uint64_t rounded = (old + block - 1) // block * block
        cdef uint32_t index = <uint32_t>(old >> PAGE_SHIFT)
        if old >= new or block == PAGE_SIZE or new <= rounded or not rounded & (PAGE_SIZE - 1):
            return
        if index in cache.i_pages and self.clean_entries(mapping.i_mmap, index, cache.i_pages[index]):
            self.g.map[<uint32_t>cache.i_pages[index]].flags |= PG_dirty

    cdef bint clean_entries(self, list i_mmap, uint32_t index, uint32_t pfn) except -1:
        # Source: mm/rmap.c page_mkclean(), page_mkclean_one()
        cdef VmAreaStruct vma
        cdef uint32_t addr, ptep, pte
        cdef bint cleaned = False
        for vma in vma_interval_tree_foreach(i_mmap, index, index):
            if not vma.vm_flags & VM_SHARED:
                continue
            addr = vma.vm_start + ((index - vma.vm_pgoff) << PAGE_SHIFT)
            ptep = self.pte_offset(vma.vm_mm, addr)
            pte = self.ram.load32(ptep) if ptep else 0
            if pte & L_PTE_VALID and pte >> PAGE_SHIFT == pfn and (pte & L_PTE_DIRTY or not pte & L_PTE_RDONLY):
                self.set_pte_at(addr, ptep, (pte | L_PTE_RDONLY) & ~<uint32_t>L_PTE_DIRTY)
                self.flush_tlb_range(vma.vm_mm, addr, addr + PAGE_SIZE)
                cleaned = True
        return cleaned

    # ---------------------------------------------------------------- seen from outside

    def new_mm(self, Task task not None, str name):
        """An address space without mappings, with its first-level table; None: there is no memory for one."""
        return mm_init(task.processes, name, task)

    def drain(self):
        """lru_add_drain(): pages in the processor's vectors come to their lists. Source: mm/swap.c lru_add_drain()"""
        self.lru_add_drain()

    def install(self, VmAreaStruct vma not None, uint32_t addr, uint32_t low_bits, bint anon, bint zero=False):
        """Put an entry with these low bits where a recording has one; its page is made, or is the file's, if any."""
        cdef uint32_t ptep = self.pte_alloc(vma.vm_mm, addr)
        cdef uint32_t pfn
        if zero:
            pfn = self.zero_pfn
        elif anon:
            anon_vma_prepare(vma)
            pfn = self.new_page(True, GFP_HIGHUSER_MOVABLE)
            self.add_new_anon_rmap(pfn, vma, addr)
            self.lru.lru_cache_add_now(pfn)
            vma.vm_mm.rss[MM_ANONPAGES] += 1
        elif vma.vm_file is None:
            return
        else:
            pfn = self.page_of(vma, linear_page_index(vma, addr), False)
            if pfn == NO_PAGE:
                return
            self.g.map[pfn].refcount += 1
            self.add_rmap(pfn)
            self.count_rss(vma.vm_mm, pfn, 1)
        self.set_pte_at(addr, ptep, pfn << PAGE_SHIFT | low_bits)

    def entries(self, UserMm mm not None):
        """Every entry of a process: (address, Linux's word, the hardware's, frame with a struct page or None)."""
        cdef list found = []
        cdef uint32_t addr = 0
        cdef uint32_t ptep, pte
        while addr < self.task_size:
            ptep = self.pte_offset(mm, addr)
            if not ptep:
                addr = (addr & ~<uint32_t>(PMD_SIZE - 1)) + PMD_SIZE
                continue
            pte = self.ram.load32(ptep)
            if pte:
                found.append((addr, pte, self.ram.load32(ptep + PTE_HWTABLE_OFF), pte >> PAGE_SHIFT
                              if pte & L_PTE_VALID and self.has_page(pte >> PAGE_SHIFT) else None))
            addr += PAGE_SIZE
        return found

    def normal_pages(self, VmAreaStruct vma not None):
        """(address, Linux's word, frame) of every entry of a VMA whose page counts as mapped: vm_normal_page()."""
        cdef list found = []
        cdef uint32_t addr = vma.vm_start
        cdef uint32_t ptep, pte, pfn
        while addr < vma.vm_end:
            ptep = self.pte_offset(vma.vm_mm, addr) if vma.vm_mm is not None else 0
            pte = self.ram.load32(ptep) if ptep else 0
            pfn = self.vm_normal_page(vma, addr, pte) if pte & L_PTE_VALID else NO_PAGE
            if pfn != NO_PAGE:
                found.append((addr, pte, pfn))
            addr += PAGE_SIZE
        return found

    def swapped_pages(self, VmAreaStruct vma not None):
        """(address, swap entry) of every page of a VMA that is in a swap area."""
        cdef list found = []
        cdef uint32_t addr = vma.vm_start
        cdef uint32_t pte
        while addr < vma.vm_end:
            pte = self.entry(vma.vm_mm, addr) if vma.vm_mm is not None else 0
            if is_swap_pte(pte) and not non_swap_entry(pte_to_swp_entry(pte)):
                found.append((addr, pte_to_swp_entry(pte)))
            addr += PAGE_SIZE
        return found

    def entry(self, UserMm mm not None, uint32_t addr):
        """Linux's word of one entry; 0 where there is none."""
        cdef uint32_t ptep = self.pte_offset(mm, addr) if addr < self.task_size and mm.pgd_pa else 0
        return self.ram.load32(ptep) if ptep else 0

    def page(self, uint32_t pfn):
        """(flags, mapcount, refcount, mapping, index) of a page."""
        cdef Page *page
        if not self.has_page(pfn):
            raise IndexError(f"frame {pfn:#x} has no struct page")
        page = &self.g.map[pfn]
        return page.flags, -<int>page.page_type, page.refcount, page.mapping, page.index

    def zero_page(self):
        """The frame of the zero page."""
        return self.zero_pfn

    def new_device_page(self):
        """A cleared page of a driver's own; None: there is no memory."""
        cdef uint32_t pfn = self.new_page(True, GFP_HIGHUSER)
        return None if pfn == NO_PAGE else pfn

    def take_frame(self, uint32_t pfn):
        """Take one free page by its number, for a device that is known to have it; whether it was free."""
        if not self.has_page(pfn) or self.g.map[pfn].refcount or not (
                in_free_block(self.g, pfn) or self.g.map[pfn].flags & PG_on_pcp):
            return False
        take_free_page(self.g, pfn, 0)
        self.ram.clear(<int64_t>pfn << PAGE_SHIFT, PAGE_SIZE)
        return True
