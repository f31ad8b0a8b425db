"""Advice about pages: of no use soon, of no use at all, needed soon (mm/madvise.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.mm.filemap.cache cimport PageCache
from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport (
    MADV_COLD, MADV_FREE, MADV_WILLNEED, NO_ANSWER, VmAreaStruct, linear_page_index)
from bootsim.linux.mm.page_alloc.gfp cimport GFP_HIGHUSER_MOVABLE
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_lru, PG_unevictable, Page
from bootsim.linux.mm.readahead cimport file_ra_state, force_page_cache_ra
from bootsim.linux.mm.swap cimport PG_dirty, PG_referenced, PG_swapcache, page_mapcount
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile.swapops cimport is_swap_pte, pte_to_swp_entry


cdef bint takes_advice(TablePages pages, VmAreaStruct vma, uint32_t pfn, int behavior) except -1:
    # whether a page is one's own enough for MADV_FREE, which makes it clean, or MADV_COLD
    cdef Page *page = &pages.g.map[pfn]
    cdef SwapSpace space = vma.vm_mm.processes.swapspace
    if behavior != MADV_FREE:
        return page.flags & PG_lru and page_mapcount(page) == 1
    if page.flags & (PG_dirty | PG_swapcache):
        if page_mapcount(page) != 1 or page.flags & PG_swapcache and not space.try_to_free_swap(pfn):
            return False
        page.flags &= ~<uint32_t>PG_dirty
    return True


cdef int read_entry(TablePages pages, SwapSpace space, uint32_t entry) except -1:
    # what an entry is for comes into the swap cache
    cdef uint32_t pfn = space.read_swap_cache_async(entry, GFP_HIGHUSER_MOVABLE)
    if pfn != NO_PAGE:
        pages.put_page(pfn)
    return 0


cdef int willneed(TablePages pages, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
    """Read pages of a file that are not in memory; those that are in a swap area, into the swap cache.

    Source: mm/madvise.c madvise_willneed(), force_shm_swapin_readahead(), mm/fadvise.c generic_fadvise()
    """
    cdef SwapSpace space = vma.vm_mm.processes.swapspace
    cdef uint32_t addr = start, ptep, pte
    cdef PageCache cache = None
    if vma.vm_file is not None:
        cache = getattr(vma.vm_file.f_mapping, "page_cache", None)
        if cache is None:
            return 0  # a device reads nothing ahead
        if not cache.shmem:
            return force_page_cache_ra(cache, file_ra_state(vma.vm_file), linear_page_index(vma, start),
                                       end - start >> PAGE_SHIFT, vma.vm_file.f_inode.i_size)
        for index in range(linear_page_index(vma, start), <int64_t>linear_page_index(vma, end) + 1):
            if index in cache.swapped:  # the page behind the range, too
                read_entry(pages, space, cache.swapped[index])
        return pages.lru_add_drain()
    while addr < end and space is not None:
        ptep = pages.pte_offset(vma.vm_mm, addr)
        pte = pages.ram.load32(ptep) if ptep else 0
        if is_swap_pte(pte):
            read_entry(pages, space, pte_to_swp_entry(pte))
        addr += PAGE_SIZE
    return pages.lru_add_drain()


cdef list advise_table(TablePages pages, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior):
    # What lies below one second-level table; the pages that are taken off their lists to be reclaimed.
    cdef uint32_t addr = start
    cdef uint32_t first = 0, last = 0  # of what was changed
    cdef uint32_t ptep, pte, pfn, entry
    cdef list isolated = []
    while addr < end:
        ptep = pages.pte_offset(vma.vm_mm, addr)
        pte = pages.ram.load32(ptep) if ptep else 0
        pfn = pages.vm_normal_page(vma, addr, pte) if pte & L_PTE_VALID else NO_PAGE
        if behavior == MADV_FREE and is_swap_pte(pte):
            pages.zap_swap_entry(vma, addr, ptep, pte)
        if pfn != NO_PAGE and takes_advice(pages, vma, pfn, behavior):
            entry = pte & ~<uint32_t>(L_PTE_YOUNG | L_PTE_DIRTY if behavior == MADV_FREE else L_PTE_YOUNG)
            if entry != pte:
                pages.set_pte_at(addr, ptep, entry)
                if not last:
                    first = addr
                last = addr + PAGE_SIZE
            if behavior == MADV_FREE:
                pages.lru.mark_page_lazyfree(pfn)
            else:
                pages.g.map[pfn].flags &= ~<uint32_t>PG_referenced
                if behavior == MADV_COLD:
                    pages.lru.deactivate_page(pfn)
                elif pages.lru.isolate_lru_page(pfn):
                    if pages.g.map[pfn].flags & PG_unevictable:
                        pages.lru.putback_lru_page(pfn)
                    else:
                        isolated.append(pfn)
        addr += PAGE_SIZE
    if last:
        pages.flush_tlb_range(vma.vm_mm, first, last)
    return isolated


cdef int64_t advise(TablePages pages, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER:
    """MADV_FREE makes entries old and clean, and has nothing kept in a swap area; MADV_COLD makes them old, and
    MADV_PAGEOUT has their pages reclaimed.

    Source: mm/madvise.c madvise_free_pte_range(), madvise_cold_or_pageout_pte_range()
    """
    cdef uint32_t upto
    cdef list isolated
    if behavior == MADV_WILLNEED:
        return willneed(pages, vma, start, end)
    pages.lru_add_drain()
    while start < end:
        upto = min((start & ~<uint32_t>(PMD_SIZE - 1)) + PMD_SIZE, end)
        if vma.vm_mm.owner.fatal_signal_pending and behavior != MADV_FREE:
            break  # the answer, -EINTR, does not come out of madvise()
        isolated = advise_table(pages, vma, start, upto, behavior)
        if isolated:
            pages.k.processes.reclaimer.reclaim_pages(isolated)
        start = upto
    return 0
