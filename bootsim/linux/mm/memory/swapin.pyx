"""The fault on a page that is in a swap area (mm/memory.c do_swap_page()).

    entry --> swap cache, or read from the slot with its neighbours --> present, one user of the slot less

A write to a page that nobody else has takes it out of the swap cache; to others' pages it is copied after this.
"""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.kernel.signal cimport SIGKILL
from bootsim.linux.mm.memory.tables cimport MM_ANONPAGES, MM_SWAPENTS, TablePages
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, VM_LOCKED, VM_WRITE, VmAreaStruct
from bootsim.linux.mm.page_alloc.core cimport count_vm_events
from bootsim.linux.mm.page_alloc.gfp cimport GFP_HIGHUSER_MOVABLE
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_mlocked, Page
from bootsim.linux.mm.swap cimport PG_swapcache
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile.swapops cimport pte_to_swp_entry
from bootsim.linux.mm.vmstat cimport PGMAJFAULT


cdef int64_t swap_in(TablePages pages, VmAreaStruct vma, uint32_t addr, uint32_t orig_pte,
                     bint write) except? NO_ANSWER:
    """Bring back the page of an entry: 0 (where another got there first, too), SIGKILL without memory, READ_ONLY_YET.

    Source: mm/memory.c do_swap_page()
    Differs: migration entries are gone before anybody else runs. Reading neither waits nor fails.
    """
    cdef SwapSpace space = vma.vm_mm.processes.swapspace
    cdef uint32_t entry = pte_to_swp_entry(orig_pte)
    cdef uint32_t pfn = space.lookup_swap_cache(entry, vma, addr)
    cdef uint32_t ptep
    cdef Page *page
    if pfn == NO_PAGE:
        pfn = space.swapin_readahead(entry, GFP_HIGHUSER_MOVABLE, vma, addr)
        if pfn == NO_PAGE:
            return SIGKILL if pages.ram.load32(pages.pte_offset(vma.vm_mm, addr)) == orig_pte else 0
        count_vm_events(pages.g, PGMAJFAULT, 1)
    page = &pages.g.map[pfn]
    ptep = pages.pte_offset(vma.vm_mm, addr)
    if not page.flags & PG_swapcache or page.private_ != entry or pages.ram.load32(ptep) != orig_pte:
        pages.put_page(pfn)
        return 0
    return put_back(pages, space, vma, addr, ptep, pfn, write)


cdef int64_t put_back(TablePages pages, SwapSpace space, VmAreaStruct vma, uint32_t addr, uint32_t ptep, uint32_t pfn,
                      bint write) except? NO_ANSWER:
    # The entry is the page's, whose reference it takes.
    cdef Page *page = &pages.g.map[pfn]
    cdef uint32_t entry = page.private_
    cdef uint32_t pte = pfn << PAGE_SHIFT | vma.vm_page_prot
    cdef bint exclusive = write and space.reuse_swap_page(pfn, NULL)
    vma.vm_mm.rss[MM_ANONPAGES] += 1
    vma.vm_mm.rss[MM_SWAPENTS] -= 1
    if exclusive:
        pte |= L_PTE_DIRTY
        if vma.vm_flags & VM_WRITE:
            pte &= ~<uint32_t>L_PTE_RDONLY
    pages.set_pte_at(addr, ptep, pte)
    pages.add_anon_rmap(pfn, vma, addr, exclusive)
    space.swap_free(entry)
    if space.vm_swap_full() or vma.vm_flags & VM_LOCKED or page.flags & PG_mlocked:
        space.try_to_free_swap(pfn)
    return READ_ONLY_YET if write and not exclusive else 0
