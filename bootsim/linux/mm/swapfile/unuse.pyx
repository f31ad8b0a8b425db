"""Reading back all that is in a swap area which is to be switched off (mm/swapfile.c)."""

from libc.stdint cimport uint32_t

from bootsim.errno cimport ENOMEM
from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.mm.filemap.cache cimport PageCache
from bootsim.linux.mm.memory.tables cimport MM_ANONPAGES, MM_SWAPENTS, TablePages
from bootsim.linux.mm.mmap.structs cimport UserMm, VmAreaStruct
from bootsim.linux.mm.page_alloc.gfp cimport GFP_HIGHUSER_MOVABLE
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile.info cimport SWAP_HAS_CACHE, SWAP_MAP_BAD, SwapInfo
from bootsim.linux.mm.swapfile.swapops cimport is_swap_pte, pte_to_swp_entry, swp_entry, swp_offset, swp_type


cdef int unuse_pte(TablePages pages, SwapSpace space, VmAreaStruct vma, uint32_t addr, uint32_t pfn,
                   uint32_t pte) except -1:
    """An entry is the page's now, read-only and old, if it is what it was. Source: mm/swapfile.c unuse_pte()"""
    cdef uint32_t ptep = pages.pte_offset(vma.vm_mm, addr)
    if pages.ram.load32(ptep) != pte:
        return 0
    vma.vm_mm.rss[MM_SWAPENTS] -= 1
    vma.vm_mm.rss[MM_ANONPAGES] += 1
    pages.g.map[pfn].refcount += 1
    pages.set_pte_at(addr, ptep, (pfn << PAGE_SHIFT | vma.vm_page_prot) & ~<uint32_t>L_PTE_YOUNG)
    pages.add_anon_rmap(pfn, vma, addr, False)
    space.swap_free(pte_to_swp_entry(pte))
    return 0


cdef int unuse_entry(TablePages pages, SwapSpace space, VmAreaStruct vma, uint32_t addr, uint32_t pte) except 1:
    # The page of one entry: 0, or -ENOMEM without memory for it. Source: mm/swapfile.c unuse_pte_range()
    cdef uint32_t entry = pte_to_swp_entry(pte)
    cdef uint32_t pfn = space.lookup_swap_cache(entry, vma, addr)
    cdef unsigned char used
    if pfn == NO_PAGE:
        pfn = space.swapin_readahead(entry, GFP_HIGHUSER_MOVABLE, vma, addr)
    if pfn == NO_PAGE:
        used = space.swp_swap_info(entry).slot(swp_offset(entry))[0]
        return 0 if used == 0 or used == SWAP_MAP_BAD else -ENOMEM
    unuse_pte(pages, space, vma, addr, pfn, pte)
    space.try_to_free_swap(pfn)
    pages.put_page(pfn)
    return 0


cdef int unuse_mm(TablePages pages, SwapSpace space, UserMm mm, uint32_t type_) except 1:
    """Bring back all of an address space that is in an area: 0 or -ENOMEM. Source: mm/swapfile.c unuse_mm()"""
    cdef VmAreaStruct vma = mm.mmap
    cdef uint32_t addr, ptep, pte
    while vma is not None:
        addr = vma.vm_start if vma.anon_vma is not None else vma.vm_end
        while addr < vma.vm_end:
            ptep = pages.pte_offset(mm, addr)
            pte = pages.ram.load32(ptep) if ptep else 0
            if is_swap_pte(pte) and swp_type(pte_to_swp_entry(pte)) == type_:
                if unuse_entry(pages, space, vma, addr, pte):
                    return -ENOMEM
            addr += PAGE_SIZE
        vma = vma.vm_next
    return 0


cdef int shmem_unuse(SwapSpace space, uint32_t type_) except 1:
    """Bring back all of tmpfs that is in an area: 0 or -ENOMEM. Source: mm/shmem.c shmem_unuse()"""
    cdef PageCache cache
    for cache in list(space.shmem_swaplist):
        if cache.swapped and cache.unuse(type_):
            return -ENOMEM
        if not cache.swapped:
            space.shmem_swaplist.remove(cache)
    return 0


cdef int unuse_cache(TablePages pages, SwapSpace space, SwapInfo si) except -1:
    # Pages that only the swap cache has give up their slots. Source: mm/swapfile.c try_to_unuse()
    cdef uint32_t offset, pfn
    for offset in range(1, si.max):
        if not si.inuse_pages:
            break
        pfn = space.cached_page(swp_entry(si.type, offset)) if si.slot(offset)[0] & SWAP_HAS_CACHE else NO_PAGE
        if pfn != NO_PAGE:
            pages.g.map[pfn].refcount += 1
            space.try_to_free_swap(pfn)
            pages.put_page(pfn)
    return 0


def try_to_unuse(TablePages pages not None, SwapSpace space not None, uint32_t number):
    """Read back all that is in area `number`: how many slots are in use still, or -ENOMEM.

    Source: mm/swapfile.c try_to_unuse()
    Differs: where a round frees nothing, the kernel goes on for ever.
    """
    cdef SwapInfo si = space.swap_info[number]
    cdef uint32_t before = 0
    cdef UserMm mm
    while si.inuse_pages and si.inuse_pages != before:
        before = si.inuse_pages
        if shmem_unuse(space, number):
            return -ENOMEM
        for mm in list(space.mmlist):
            if si.inuse_pages and mm in space.mmlist and unuse_mm(pages, space, mm, number):
                return -ENOMEM
        unuse_cache(pages, space, si)
    return si.inuse_pages
