"""Page tables of processes and the pages in them: made, copied, protected, moved, emptied (mm/memory.c, mm/rmap.c).

A table is a page: two tables of 256 entries as Linux keeps them, then the same two as the hardware reads them.
Its place is in two words of the first-level table, one a MiB.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from bootsim.errno cimport ENOMEM
from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.mm.mmap.structs cimport (
    MM_CP_DIRTY_ACCT, NO_ANSWER, VM_LOCKED, VM_MIXEDMAP, VM_PFNMAP,
    VM_SEQ_READ, VM_SHARED, VM_SPECIAL, UserMm, UserPages, VmAreaStruct, linear_page_index)
from bootsim.linux.mm.util cimport update_hiwater_rss, vm_unacct_memory
from bootsim.linux.mm.page_alloc.api cimport alloc_and_tell
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.core cimport count_vm_events, page_zone
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_lru, PG_mlocked, PG_unevictable, PG_uptodate, Page
from bootsim.linux.mm.swap cimport *
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile.swapops cimport pte_to_swp_entry
from bootsim.linux.mm.vmstat cimport UNEVICTABLE_PGMUNLOCKED, UNEVICTABLE_PGSTRANDED
from bootsim.linux.mm.workingset cimport workingset_init

from weakref import proxy

from bootsim.linux.arch.arm.asm import tlbflush
from bootsim.linux.arch.arm.mm import context


cdef class TablePages(UserPages):
    """Tables and pages behind the VMAs of all processes of the machine `k`."""

    def __init__(self, k):
        self.k = proxy(k)
        self.machine = k.machine
        self.pglist = k.mm.pgdat
        self.g = self.pglist.g
        if self.pglist.lru is None:
            self.pglist.lru = lruvec_of(self.g)
            workingset_init(self.pglist.lru, k.mm.totalram_pages, bool(k.build.config.MEMCG))
        self.lru = self.pglist.lru
        self.caches = {}
        self.ram = k.machine.ram
        self.processor = k.processor
        self.zero_pfn = k.mm.empty_zero_page_pa >> PAGE_SHIFT
        self.user_table = k.mm.user_pmd_table
        self.table_gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | (__GFP_HIGHMEM if k.build.config.HIGHPTE else 0)
        self.swapper_pgd_pa = k.mm.init_mm.pgd_pa
        self.task_size = k.mm.layout.TASK_SIZE

    def __deepcopy__(self, memo):
        from copy import deepcopy
        cdef TablePages new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.machine = deepcopy(self.machine, memo)
        new.k, new.pglist, new.ram = deepcopy(self.k, memo), deepcopy(self.pglist, memo), deepcopy(self.ram, memo)
        new.g, new.processor = new.pglist.g, deepcopy(self.processor, memo)
        new.zero_pfn, new.user_table = self.zero_pfn, self.user_table
        new.table_gfp = self.table_gfp
        new.caches, new.mappings = deepcopy(self.caches, memo), self.mappings
        new.swapper_pgd_pa, new.task_size, new.lru = self.swapper_pgd_pa, self.task_size, new.pglist.lru
        return new

    # ---------------------------------------------------------------- the TLB

    cdef int flush_tlb_range(self, UserMm mm, uint32_t start, uint32_t end) except -1:
        # have the TLB forget [start, end), once there is one
        if self.machine.tlb is not None:
            tlbflush.flush_tlb_range(self.k, mm, start, end)
        return 0

    cdef int flush_tlb_mm(self, UserMm mm) except -1:
        tlbflush.flush_tlb_mm(self.k, mm)
        return 0

    # ---------------------------------------------------------------- entries

    cdef uint32_t pte_offset(self, UserMm mm, uint32_t addr) noexcept:
        # The entry (pa) of an address; 0 where there is no table.
        cdef uint32_t pmd = self.ram.load32(pmd_in(mm.pgd_pa, addr))
        return (pmd & PAGE_MASK) + pte_index(addr) * 4 if pmd else 0

    cdef uint32_t pte_alloc(self, UserMm mm, uint32_t addr) except? 1:
        # The same, with a table made where there is none; 0: no memory. Source: mm/memory.c __pte_alloc()
        cdef uint32_t at = pmd_in(mm.pgd_pa, addr)
        cdef uint32_t pfn, table
        if not self.ram.load32(at):
            pfn = self.new_page(True, self.table_gfp)
            if pfn == NO_PAGE:
                return 0
            table = (pfn << PAGE_SHIFT) + PTE_HWTABLE_OFF | self.user_table
            self.ram.store32(at, table)
            self.ram.store32(at + 4, table + 1024)
            mm.pgtables_bytes += 2048
        return self.pte_offset(mm, addr)

    cdef void set_pte_at(self, uint32_t addr, uint32_t ptep, uint32_t pte) noexcept:
        # Source: arch/arm/include/asm/pgtable.h set_pte_at(), pte_valid_user()
        cdef uint32_t user = L_PTE_VALID | L_PTE_USER | L_PTE_YOUNG
        cdef uint32_t ext = PTE_EXT_NG if addr < self.task_size and pte & user == user else 0
        self.processor.set_pte_ext(self.ram, ptep, pte, ext)

    # ---------------------------------------------------------------- pages

    cdef bint has_page(self, uint32_t pfn) noexcept:
        return self.g.base <= pfn < self.g.end

    cdef uint32_t vm_normal_page(self, VmAreaStruct vma, uint32_t addr, uint32_t pte) noexcept:
        """The page of an entry that counts as mapped; NO_PAGE: the zero page, a frame without one, a device's.

        Source: mm/memory.c vm_normal_page(), without ARCH_HAS_PTE_SPECIAL
        """
        cdef uint32_t pfn = pte >> PAGE_SHIFT
        if vma.vm_flags & VM_MIXEDMAP:
            return pfn if self.has_page(pfn) else NO_PAGE
        if vma.vm_flags & VM_PFNMAP:
            if pfn == vma.vm_pgoff + ((addr - vma.vm_start) >> PAGE_SHIFT) or not is_cow_mapping(vma.vm_flags):
                return NO_PAGE
        return NO_PAGE if pfn == self.zero_pfn or not self.has_page(pfn) else pfn

    cdef uint32_t new_page(self, bint zero, uint32_t gfp) except? 1:
        cdef uint32_t pfn = alloc_and_tell(self.k, self.pglist, gfp, 0)
        if pfn != NO_PAGE and zero:
            self.ram.clear(<int64_t>pfn << PAGE_SHIFT, PAGE_SIZE)
        return pfn

    cdef void put_page(self, uint32_t pfn):
        self.lru.put_page(pfn)

    cdef int drop_reference(self, uint32_t pfn) except -1:
        self.put_page(pfn)
        return 0

    cdef void add_rmap(self, uint32_t pfn) noexcept:
        self.g.map[pfn].page_type -= 1      # kept inverted: _mapcount is one more

    cdef void remove_rmap(self, uint32_t pfn):
        # Source: mm/rmap.c page_remove_rmap()
        cdef Page *page = &self.g.map[pfn]
        page.page_type += 1
        if not page.page_type and page.flags & PG_mlocked:
            self.lru.clear_page_mlock(pfn)

    cdef void set_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr, bint exclusive) noexcept:
        """A page belongs to a VMA's anon_vma; one that others may have too, to the root of these.

        Source: mm/rmap.c __page_set_anon_rmap()
        """
        cdef Page *page = &self.g.map[pfn]
        if not page.mapping & PAGE_MAPPING_ANON:
            page.mapping = (vma.anon_vma if exclusive else vma.anon_vma.root).id | PAGE_MAPPING_ANON
            page.index = linear_page_index(vma, addr)

    cdef void add_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr, bint exclusive) noexcept:
        # Source: mm/rmap.c do_page_add_anon_rmap()
        if not page_mapped(&self.g.map[pfn]):
            self.set_anon_rmap(pfn, vma, addr, exclusive)
        self.add_rmap(pfn)

    cdef void add_new_anon_rmap(self, uint32_t pfn, VmAreaStruct vma, uint32_t addr) noexcept:
        # Source: mm/rmap.c page_add_new_anon_rmap()
        cdef Page *page = &self.g.map[pfn]
        self.add_rmap(pfn)
        page.flags |= PG_swapbacked | PG_uptodate
        self.set_anon_rmap(pfn, vma, addr, True)

    cdef void lru_cache_add_inactive_or_unevictable(self, uint32_t pfn, VmAreaStruct vma):
        # Source: mm/swap.c lru_cache_add_inactive_or_unevictable()
        if vma.vm_flags & (VM_LOCKED | VM_SPECIAL) == VM_LOCKED:
            self.lru.mlock_page(pfn)
        self.lru.lru_cache_add(pfn)

    cdef int lru_add_drain(self) except -1:
        self.lru.lru_add_drain()
        return 0

    cdef int count_rss(self, UserMm mm, uint32_t pfn, int delta) except -1:
        # Source: include/linux/mm.h mm_counter()
        cdef Page *page = &self.g.map[pfn]
        cdef int kind = MM_ANONPAGES if page.mapping & PAGE_MAPPING_ANON else (
            MM_SHMEMPAGES if page.flags & PG_swapbacked else MM_FILEPAGES)
        mm.rss[kind] += delta
        return 0

    # ---------------------------------------------------------------- whole tables

    def unaccount(self, int64_t pages):
        """Take back a promise of memory. Source: mm/util.c vm_unacct_memory()"""
        vm_unacct_memory(self.k.processes, pages)

    cdef int64_t mm_alloc_pgd(self, UserMm mm) except? NO_ANSWER:
        """The first-level table of a process, with the kernel's part in it. Source: arch/arm/mm/pgd.c pgd_alloc()"""
        cdef uint32_t pfn = alloc_and_tell(self.k, self.pglist, GFP_KERNEL, 2)
        cdef uint32_t first = self.task_size >> PMD_SHIFT << 3
        if pfn == NO_PAGE:
            return -ENOMEM
        mm.pgd_pa = pfn << PAGE_SHIFT
        self.ram.clear(mm.pgd_pa, 4 * PAGE_SIZE)
        memcpy(self.ram.base + mm.pgd_pa + first, self.ram.base + self.swapper_pgd_pa + first, 4 * PAGE_SIZE - first)
        return 0

    cdef int mm_free_pgd(self, UserMm mm) except -1:
        if mm.pgd_pa:
            context.leave_mm(self.k, mm)
            free_pages_by_refcount(self.g, mm.pgd_pa >> PAGE_SHIFT, 2)
            mm.pgd_pa = 0
        return 0

    cdef int free_pgtables(self, VmAreaStruct vma, uint32_t floor, uint32_t ceiling) except -1:
        """Free tables that no mapping needs any more. Source: mm/memory.c free_pgtables(), free_pgd_range()"""
        cdef UserMm mm = vma.vm_mm
        cdef VmAreaStruct last
        cdef uint32_t addr, end, above
        while vma is not None:
            last = vma
            while last.vm_next is not None and last.vm_next.vm_start <= last.vm_end + PMD_SIZE:
                last = last.vm_next
            addr, end = vma.vm_start & PMD_MASK, last.vm_end
            above = last.vm_next.vm_start if last.vm_next is not None else ceiling
            if addr < floor:
                addr += PMD_SIZE
            above &= PMD_MASK
            if end > above:
                end = (end - 1 & PMD_MASK) if end & ~<uint32_t>PMD_MASK else end - PMD_SIZE
            while addr < end:
                self.free_table(mm, addr)
                addr += PMD_SIZE
            vma = last.vm_next
        return self.finish_gather()

    cdef int free_table(self, UserMm mm, uint32_t addr) except -1:
        cdef uint32_t at = pmd_in(mm.pgd_pa, addr)
        cdef uint32_t pmd = self.ram.load32(at)
        if pmd:
            self.ram.store32(at, 0)
            self.ram.store32(at + 4, 0)
            mm.pgtables_bytes -= 2048
            if self.tlb is None:
                self.put_page(pmd >> PAGE_SHIFT)
            elif self.tlb.remove_page(pmd >> PAGE_SHIFT):
                self.tlb.flush()
        return 0

    # ---------------------------------------------------------------- emptying

    cdef int zap_file_page(self, VmAreaStruct vma, uint32_t addr) except -1:
        # An entry goes, unless it is of a private copy. Source: mm/memory.c zap_pte_range() with check_mapping
        cdef uint32_t ptep = self.pte_offset(vma.vm_mm, addr)
        cdef uint32_t pte = self.ram.load32(ptep) if ptep else 0
        cdef uint32_t pfn = self.vm_normal_page(vma, addr, pte) if pte & L_PTE_VALID else NO_PAGE
        if pfn != NO_PAGE and not self.g.map[pfn].mapping & PAGE_MAPPING_ANON:
            self.zap_page_range_single(vma, addr, addr + PAGE_SIZE)
        return 0

    cdef int zap_swap_entry(self, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pte) except -1:
        # A page in a swap area goes: nobody is left who would read it back here.
        cdef SwapSpace space = vma.vm_mm.processes.swapspace
        vma.vm_mm.rss[MM_SWAPENTS] -= 1
        space.free_swap_and_cache(pte_to_swp_entry(pte))
        self.set_pte_at(addr, ptep, 0)
        return 0

    cdef int zap_range(self, VmAreaStruct vma, uint32_t start, uint32_t end, bint swapped) except -1:
        """Take all pages of a part of a VMA out of the tables, and those in a swap area where `swapped`.

        Source: mm/memory.c zap_pte_range()
        """
        cdef MmuGather tlb = self.tlb
        cdef uint32_t addr = start
        cdef uint32_t first = 0, last = 0  # of what was mapped
        cdef uint32_t ptep, pte, pfn
        while addr < end:
            ptep = self.pte_offset(vma.vm_mm, addr)
            if not ptep:
                addr = (addr & PMD_MASK) + PMD_SIZE
                if not addr:
                    break
                continue
            pte = self.ram.load32(ptep)
            if pte & L_PTE_VALID:
                if not last:
                    first = addr
                last = addr + PAGE_SIZE
                pfn = self.vm_normal_page(vma, addr, pte)
                self.set_pte_at(addr, ptep, 0)
                if pfn != NO_PAGE:
                    if not self.g.map[pfn].mapping & PAGE_MAPPING_ANON:
                        if pte & L_PTE_DIRTY:
                            self.g.map[pfn].flags |= PG_dirty
                        if pte & L_PTE_YOUNG and not vma.vm_flags & VM_SEQ_READ:
                            self.lru.mark_page_accessed(pfn)
                    self.count_rss(vma.vm_mm, pfn, -1)
                    self.remove_rmap(pfn)
                    if tlb.remove_page(pfn):
                        tlb.flush()
            elif pte and swapped:
                self.zap_swap_entry(vma, addr, ptep, pte)
            addr += PAGE_SIZE
        if last and vma.vm_mm.mm_users:
            self.flush_tlb_range(vma.vm_mm, first, last)
        return 0

    cdef int unmap_vmas(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
        # What it takes out of the tables is free when the tables are: free_pgtables() ends the gathering.
        cdef UserMm mm = None
        self.gather(vma)
        while vma is not None and vma.vm_start < end:
            self.zap_range(vma, max(start, vma.vm_start), min(end, vma.vm_end), True)
            mm, vma = vma.vm_mm, vma.vm_next
        if mm is not None and not mm.mm_users:  # the last user has gone: everything goes at once
            self.flush_tlb_mm(mm)
        return 0

    cdef int zap_page_range(self, VmAreaStruct vma, uint32_t start, uint32_t size) except -1:
        self.lru_add_drain()
        update_hiwater_rss(vma.vm_mm)
        self.unmap_vmas(vma, start, start + size)
        return self.finish_gather()

    cdef int zap_page_range_single(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
        # Part of a file goes: private copies of it that are in a swap area stay.
        # Source: mm/memory.c zap_page_range_single()
        self.lru_add_drain()
        self.gather(vma)
        update_hiwater_rss(vma.vm_mm)
        self.zap_range(vma, start, end, False)
        return self.finish_gather()

    cdef int gather(self, VmAreaStruct vma) except -1:
        self.tlb = MmuGather(self.pglist, self.lru, None if vma is None else vma.vm_mm.processes.swapspace)
        return 0

    cdef int finish_gather(self) except -1:
        cdef MmuGather tlb = self.tlb
        self.tlb = None
        return tlb.finish() if tlb is not None else 0

    cdef int munlock_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
        """Unlock the pages of a range, up to 15 neighbours of one zone and table at a time.

        Source: mm/mlock.c munlock_vma_pages_range(), __munlock_pagevec_fill()
        """
        cdef uint32_t batch[PAGEVEC_SIZE]
        cdef uint32_t nr = 0
        cdef uint32_t ptep, pte, pfn
        while start < end:
            ptep = self.pte_offset(vma.vm_mm, start)
            pte = self.ram.load32(ptep) if ptep else 0
            pfn = self.vm_normal_page(vma, start, pte) if pte & L_PTE_VALID else NO_PAGE
            if nr and (pfn == NO_PAGE or page_zone(self.g, pfn) != page_zone(self.g, batch[0])):
                self.munlock_batch(batch, nr)
                nr = 0
                continue
            if pfn != NO_PAGE:
                self.g.map[pfn].refcount += 1
                batch[nr] = pfn
                nr += 1
            start += PAGE_SIZE
            if nr == PAGEVEC_SIZE or nr and not start & ~<uint32_t>PMD_MASK:
                self.munlock_batch(batch, nr)
                nr = 0
        return self.munlock_batch(batch, nr)

    cdef bint mlocked_elsewhere(self, uint32_t pfn) except -1:
        # whether a locked mapping shows a page; who can walk them says so
        return False

    cdef int munlock_batch(self, uint32_t *pages, uint32_t nr) except -1:
        """Take pages, with a reference each, out of the unevictable list, unless somebody else has them locked.

        Source: mm/mlock.c __munlock_pagevec(), __munlock_isolated_page(), __putback_lru_fast()
        """
        cdef uint32_t i
        cdef uint32_t nr_back = 0, nr_mapped = 0
        cdef uint32_t back[PAGEVEC_SIZE]
        cdef uint32_t mapped[PAGEVEC_SIZE]
        cdef Page *page
        for i in range(nr):
            page = &self.g.map[pages[i]]
            if page.flags & PG_mlocked:
                page.flags &= ~<uint32_t>PG_mlocked
                self.lru.nr_mlock -= 1
                if page.flags & PG_lru:
                    page.flags &= ~<uint32_t>PG_lru
                    self.lru.del_page_from_lru_list(pages[i], page_lru(page))
                    mapped[nr_mapped] = pages[i]
                    nr_mapped += 1
                    continue
                count_vm_events(self.g, UNEVICTABLE_PGSTRANDED if page.flags & PG_unevictable
                                else UNEVICTABLE_PGMUNLOCKED, 1)
            back[nr_back] = pages[i]
            nr_back += 1
        self.lru.release_pages(back, nr_back)
        nr_back = 0
        for i in range(nr_mapped):
            page = &self.g.map[mapped[i]]
            if page_mapcount(page) <= 1:
                count_vm_events(self.g, UNEVICTABLE_PGMUNLOCKED, 1)
                self.lru.lru_cache_add_now(mapped[i])
                back[nr_back] = mapped[i]
                nr_back += 1
            else:
                if self.mlocked_elsewhere(mapped[i]):
                    self.lru.mlock_page(mapped[i])
                if not page.flags & PG_mlocked:
                    count_vm_events(self.g, UNEVICTABLE_PGMUNLOCKED, 1)
                self.lru.lru_cache_add(mapped[i])
                self.put_page(mapped[i])
        self.lru.release_pages(back, nr_back)
        return 0

    # ---------------------------------------------------------------- changing

    cdef int change_protection(self, VmAreaStruct vma, uint32_t start, uint32_t end, uint32_t newprot,
                               uint32_t cp_flags) except -1:
        """Give the entries of a range another protection; those of pages in a swap area have none.

        Source: mm/mprotect.c change_pte_range()
        """
        cdef uint32_t mask = L_PTE_XN | L_PTE_RDONLY | L_PTE_USER | L_PTE_NONE | L_PTE_VALID
        cdef uint32_t addr = start
        cdef uint32_t ptep, pte
        cdef bint changed = False
        while addr < end:
            ptep = self.pte_offset(vma.vm_mm, addr)
            pte = self.ram.load32(ptep) if ptep else 0
            if pte & L_PTE_VALID:
                changed = True
                pte = (pte & ~mask) | (newprot & mask)
                if cp_flags & MM_CP_DIRTY_ACCT and pte & L_PTE_DIRTY:
                    pte &= ~<uint32_t>L_PTE_RDONLY
                self.set_pte_at(addr, ptep, pte)
            addr += PAGE_SIZE
        if changed:
            self.flush_tlb_range(vma.vm_mm, start, end)
        return 0

    cdef int64_t move_page_tables(self, VmAreaStruct vma, uint32_t old_addr, VmAreaStruct new_vma, uint32_t new_addr,
                                  uint32_t length, bint need_rmap_locks) except -1:
        """Move entries to another address; how many bytes were done. Source: mm/mremap.c move_page_tables()"""
        cdef uint32_t done = 0
        cdef uint32_t ptep, to, pte
        while done < length:
            ptep = self.pte_offset(vma.vm_mm, old_addr + done)
            if ptep:
                to = self.pte_alloc(new_vma.vm_mm, new_addr + done)
                if not to:
                    return done
                pte = self.ram.load32(ptep)
                if pte:
                    self.set_pte_at(old_addr + done, ptep, 0)
                    self.set_pte_at(new_addr + done, to, pte)
            done += PAGE_SIZE
        self.flush_tlb_range(vma.vm_mm, old_addr, old_addr + length)
        return done

    cdef int64_t copy_nonpresent_pte(self, VmAreaStruct dst_vma, VmAreaStruct src_vma, uint32_t addr, uint32_t to,
                                     uint32_t pte) except? NO_ANSWER:
        # One user more of a page in a swap area: 0, or -ENOMEM when there is no memory to count it with.
        # Source: mm/memory.c copy_nonpresent_pte()
        cdef SwapSpace space = src_vma.vm_mm.processes.swapspace
        if space.swap_duplicate(pte_to_swp_entry(pte)) < 0:
            return space.add_swap_count_continuation(pte_to_swp_entry(pte), GFP_KERNEL)
        space.enter_mmlist(dst_vma.vm_mm, src_vma.vm_mm)
        dst_vma.vm_mm.rss[MM_SWAPENTS] += 1
        self.set_pte_at(addr, to, pte)
        return 0

    cdef int64_t copy_page_range(self, VmAreaStruct dst_vma, VmAreaStruct src_vma) except? NO_ANSWER:
        """Share the pages of a VMA with a child's: private ones read-only in both, the child's entries old.

        Source: mm/memory.c copy_page_range(), copy_present_pte()
        """
        cdef uint32_t addr = src_vma.vm_start
        cdef bint cow = is_cow_mapping(src_vma.vm_flags)
        cdef uint32_t ptep, to, pte, pfn
        if not src_vma.vm_flags & (VM_PFNMAP | VM_MIXEDMAP) and src_vma.anon_vma is None:
            return 0
        while addr < src_vma.vm_end:
            ptep = self.pte_offset(src_vma.vm_mm, addr)
            if not ptep:
                addr = (addr & PMD_MASK) + PMD_SIZE
                continue
            to = self.pte_alloc(dst_vma.vm_mm, addr)
            if not to:
                return -ENOMEM
            pte = self.ram.load32(ptep)
            if pte & L_PTE_VALID:
                pfn = self.vm_normal_page(src_vma, addr, pte)
                if pfn != NO_PAGE:
                    self.g.map[pfn].refcount += 1
                    self.add_rmap(pfn)
                    self.count_rss(dst_vma.vm_mm, pfn, 1)
                if cow and not pte & L_PTE_RDONLY:
                    pte |= L_PTE_RDONLY
                    self.set_pte_at(addr, ptep, pte)
                if src_vma.vm_flags & VM_SHARED:
                    pte &= ~<uint32_t>L_PTE_DIRTY
                self.set_pte_at(addr, to, pte & ~<uint32_t>L_PTE_YOUNG)
            elif pte:
                if self.copy_nonpresent_pte(dst_vma, src_vma, addr, to, pte):
                    return -ENOMEM
                if not self.ram.load32(to):
                    continue  # there is memory now to count it with
            addr += PAGE_SIZE
        return 0
