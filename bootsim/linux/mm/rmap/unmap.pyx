"""Taking a page out of everybody's tables, and putting it back where it has moved to (mm/rmap.c, mm/migrate.c)."""

from libc.stdint cimport uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.mm.memory.tables cimport MM_ANONPAGES, MM_SWAPENTS, TablePages
from bootsim.linux.mm.mmap.structs cimport (
    VM_GROWSDOWN, VM_LOCKED, VM_SEQ_READ, VM_STACK_INCOMPLETE_SETUP, VM_WRITE, AnonVma, VmAreaStruct)
from bootsim.linux.mm.page_alloc.structs cimport Page
from bootsim.linux.mm.swap cimport (
    PAGE_MAPPING_ANON, PG_dirty, PG_reclaim, PG_swapbacked, page_anon, page_mapcount, page_mapped)
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile.swapops cimport (
    is_swap_pte, is_write_migration_entry, make_migration_entry, migration_entry_to_pfn, non_swap_entry,
    pte_to_swp_entry, swp_entry_to_pte)
from bootsim.linux.mm.util cimport update_hiwater_rss

from bootsim.linux.mm.interval_tree import vma_interval_tree_foreach


cpdef list mapping_vmas(TablePages pages, uint32_t pfn):
    """The VMAs that may show a page, in the kernel's order. Source: mm/rmap.c rmap_walk_anon(), rmap_walk_file()"""
    cdef Page *page = &pages.g.map[pfn]
    cdef AnonVma anon_vma
    if page_anon(page):
        anon_vma = pages.k.processes.anon_vmas.get(page.mapping & ~<uint32_t>PAGE_MAPPING_ANON)
        return [] if anon_vma is None else vma_interval_tree_foreach(anon_vma.rb_root, page.index, page.index)
    cache = pages.caches.get(page.mapping)
    return [] if cache is None else vma_interval_tree_foreach(cache.mapping.i_mmap, page.index, page.index)


cdef inline uint32_t vma_address(VmAreaStruct vma, const Page *page) noexcept:
    return vma.vm_start + ((page.index - vma.vm_pgoff) << PAGE_SHIFT)


cdef uint32_t page_vma_mapped_walk(TablePages pages, VmAreaStruct vma, uint32_t pfn, uint32_t addr,
                                   uint32_t *ptep) noexcept:
    # The entry that maps a page at an address, 0 when none does; `ptep` is where it stands.
    # Source: mm/page_vma_mapped.c page_vma_mapped_walk()
    cdef uint32_t pte
    ptep[0] = pages.pte_offset(vma.vm_mm, addr)
    pte = pages.ram.load32(ptep[0]) if ptep[0] else 0
    return pte if pte & L_PTE_VALID and pte >> PAGE_SHIFT == pfn else 0


cdef bint in_locked_vma(TablePages pages, uint32_t pfn) except -1:
    """Whether a locked mapping shows a page. Source: mm/rmap.c try_to_munlock(), try_to_unmap_one() with TTU_MUNLOCK"""
    cdef VmAreaStruct vma
    cdef uint32_t ptep
    for vma in mapping_vmas(pages, pfn):
        if vma.vm_flags & VM_LOCKED and page_vma_mapped_walk(
                pages, vma, pfn, vma_address(vma, &pages.g.map[pfn]), &ptep):
            return True
    return False


cdef int page_referenced(TablePages pages, uint32_t pfn, uint32_t *vm_flags) except -1:
    """In how many VMAs a page was used since it was last asked: its entries are old then. And what these VMAs are.

    Source: mm/rmap.c page_referenced(), page_referenced_one()
    """
    cdef Page *page = &pages.g.map[pfn]
    cdef int mapcount = page_mapcount(page)
    cdef int found = 0
    cdef VmAreaStruct vma
    cdef uint32_t addr, ptep, pte
    vm_flags[0] = 0
    if not mapcount or not page.mapping:
        return 0
    for vma in mapping_vmas(pages, pfn):
        addr = vma_address(vma, page)
        pte = page_vma_mapped_walk(pages, vma, pfn, addr, &ptep)
        if not pte:
            continue
        if vma.vm_flags & VM_LOCKED:
            vm_flags[0] |= VM_LOCKED
            break
        if pte & L_PTE_YOUNG:
            pages.set_pte_at(addr, ptep, pte & ~<uint32_t>L_PTE_YOUNG)
            pages.flush_tlb_range(vma.vm_mm, addr, addr + PAGE_SIZE)
            if not vma.vm_flags & VM_SEQ_READ:
                found += 1
                vm_flags[0] |= vma.vm_flags
        mapcount -= 1
        if not mapcount:
            break
    return found


cdef bint try_to_unmap(TablePages pages, uint32_t pfn) except -1:
    """Take a page out of all tables, for reclaim; whether it is mapped nowhere now.

    Where an anonymous page was, its slot is named now, unless its process can do without it (MADV_FREE).
    Source: mm/rmap.c try_to_unmap(), try_to_unmap_one() with TTU_BATCH_FLUSH, which flushes at once on this processor
    """
    cdef Page *page = &pages.g.map[pfn]
    cdef VmAreaStruct vma
    cdef uint32_t addr, ptep, pte
    for vma in mapping_vmas(pages, pfn):
        addr = vma_address(vma, page)
        pte = page_vma_mapped_walk(pages, vma, pfn, addr, &ptep)
        if not pte:
            continue
        if vma.vm_flags & VM_LOCKED:
            pages.lru.mlock_page(pfn)
            break
        pages.set_pte_at(addr, ptep, 0)
        pages.flush_tlb_range(vma.vm_mm, addr, addr + PAGE_SIZE)
        if pte & L_PTE_DIRTY:
            page.flags = page.flags & ~<uint32_t>PG_reclaim | PG_dirty
        update_hiwater_rss(vma.vm_mm)
        if not page_anon(page):
            pages.count_rss(vma.vm_mm, pfn, -1)
        elif not unmap_anon(pages, vma, pfn, addr, ptep, pte):
            break
        pages.remove_rmap(pfn)
        pages.put_page(pfn)
        if not page_mapped(page):
            break
    return not page_mapped(page)


cdef bint unmap_anon(TablePages pages, VmAreaStruct vma, uint32_t pfn, uint32_t addr, uint32_t ptep,
                     uint32_t pte) except -1:
    # What stays of an anonymous page in the entry that it has been taken out of; False: it is mapped there again.
    cdef Page *page = &pages.g.map[pfn]
    if not page.flags & PG_swapbacked:
        if page.refcount == 1 + page_mapcount(page) and not page.flags & PG_dirty:
            vma.vm_mm.rss[MM_ANONPAGES] -= 1
            return True
        page.flags |= PG_swapbacked  # written again since MADV_FREE: a page as any other
    elif (<SwapSpace>pages.k.processes.swapspace).swap_duplicate(page.private_) == 0:
        (<SwapSpace>pages.k.processes.swapspace).enter_mmlist(vma.vm_mm, None)
        vma.vm_mm.rss[MM_ANONPAGES] -= 1
        vma.vm_mm.rss[MM_SWAPENTS] += 1
        pages.set_pte_at(addr, ptep, swp_entry_to_pte(page.private_))
        return True
    pages.set_pte_at(addr, ptep, pte)
    return False


cdef bint try_to_migrate(TablePages pages, uint32_t pfn) except -1:
    """Put migration entries where a page is mapped; whether it is mapped nowhere now.

    Source: mm/rmap.c try_to_unmap(), try_to_unmap_one() with TTU_MIGRATION | TTU_IGNORE_MLOCK
    """
    cdef Page *page = &pages.g.map[pfn]
    cdef VmAreaStruct vma
    cdef uint32_t addr, ptep, pte
    for vma in mapping_vmas(pages, pfn):
        if (page_anon(page) and vma.vm_flags & VM_GROWSDOWN
                and vma.vm_flags & VM_STACK_INCOMPLETE_SETUP == VM_STACK_INCOMPLETE_SETUP):
            continue  # a stack that execve() is about to move
        addr = vma_address(vma, page)
        pte = page_vma_mapped_walk(pages, vma, pfn, addr, &ptep)
        if not pte:
            continue
        pages.set_pte_at(addr, ptep, 0)
        pages.flush_tlb_range(vma.vm_mm, addr, addr + PAGE_SIZE)
        if pte & L_PTE_DIRTY:
            page.flags |= PG_dirty
        update_hiwater_rss(vma.vm_mm)
        pages.set_pte_at(addr, ptep, swp_entry_to_pte(make_migration_entry(pfn, not pte & L_PTE_RDONLY)))
        pages.remove_rmap(pfn)
        pages.put_page(pfn)
        if not page_mapped(page):
            break
    return not page_mapped(page)


cdef int remove_migration_ptes(TablePages pages, uint32_t old, uint32_t new) except -1:
    """Map a page again wherever a migration entry names `old`; it is `new` now, or `old` still.

    The entries are old, and clean but for what the page remembers.
    Source: mm/migrate.c remove_migration_pte()
    """
    cdef Page *page = &pages.g.map[new]
    cdef VmAreaStruct vma
    cdef uint32_t addr, ptep, pte, entry
    for vma in mapping_vmas(pages, new):
        addr = vma_address(vma, page)
        ptep = pages.pte_offset(vma.vm_mm, addr)
        pte = pages.ram.load32(ptep) if ptep else 0
        entry = pte_to_swp_entry(pte)
        if not is_swap_pte(pte) or not non_swap_entry(entry) or migration_entry_to_pfn(entry) != old:
            continue
        page.refcount += 1
        pte = (new << PAGE_SHIFT | vma.vm_page_prot) & ~<uint32_t>L_PTE_YOUNG
        if is_write_migration_entry(entry) and vma.vm_flags & VM_WRITE:
            pte &= ~<uint32_t>L_PTE_RDONLY
        pages.set_pte_at(addr, ptep, pte)
        pages.add_rmap(new)
        if vma.vm_flags & VM_LOCKED:
            pages.lru.mlock_page(new)
    return 0
