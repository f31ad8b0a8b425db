"""Swap for Python: the functions of SwapSpace, with what they are given checked first.

Pages are frames' numbers and must be in use; an entry is a swp_entry_t. Raises ValueError for what the kernel would
BUG at.
"""

from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport check_not_free, check_pfn
from bootsim.linux.mm.page_alloc.structs cimport NO_PAGE, PG_writeback
from bootsim.linux.mm.swap cimport PG_swapcache
from bootsim.linux.mm.swap_state cimport SwapSpace
from bootsim.linux.mm.swapfile cimport swapops
from bootsim.linux.mm.swapfile.info cimport SWAP_HAS_CACHE, SwapInfo


cdef int check_page(SwapSpace space, uint32_t pfn) except -1:
    check_pfn(space.g, pfn, 0)
    check_not_free(space.g, pfn)
    if space.g.map[pfn].refcount < 1:
        raise ValueError(f"frame {pfn:#x}: nobody has it")
    return 0


cdef int check_cached(SwapSpace space, uint32_t pfn, bint idle) except -1:
    check_page(space, pfn)
    if not space.g.map[pfn].flags & PG_swapcache or space.cached_page(space.g.map[pfn].private_) != pfn:
        raise ValueError(f"frame {pfn:#x} is not in the swap cache")
    if idle and space.g.map[pfn].flags & PG_writeback:
        raise ValueError(f"frame {pfn:#x} is being written")
    return 0


cdef SwapInfo check_entry(SwapSpace space, uint32_t entry):
    cdef SwapInfo si = space.swap_info_get(entry)
    if si is None:
        raise ValueError(f"{entry:#x} is no entry of a slot in use")
    return si


def swp_entry(uint32_t kind, uint32_t offset):
    """The entry of a slot. Source: include/linux/swapops.h swp_entry()"""
    return swapops.swp_entry(kind & 31, offset)


def swp_type_offset(uint32_t entry):
    """The area and the slot of an entry, as numbers. Source: include/linux/swapops.h swp_type(), swp_offset()"""
    return swapops.swp_type(entry), swapops.swp_offset(entry)


def swp_entry_to_pte(uint32_t entry):
    """An entry as it stands in a page table. Source: include/linux/swapops.h swp_entry_to_pte()"""
    return swapops.swp_entry_to_pte(entry)


def pte_to_swp_entry(uint32_t pte):
    """What swp_entry_to_pte() made. Source: include/linux/swapops.h pte_to_swp_entry()"""
    return swapops.pte_to_swp_entry(pte)


def make_migration_entry(uint32_t pfn, bint write):
    """The entry of a page that is on its way to another frame. Source: include/linux/swapops.h"""
    return swapops.make_migration_entry(pfn, write)


def is_migration_entry(uint32_t entry):
    """Source: include/linux/swapops.h is_migration_entry()"""
    return bool(swapops.is_migration_entry(entry))


def get_swap_page(SwapSpace space not None, uint32_t pfn):
    """A slot, as an entry, in use by the swap cache; 0: none. Source: mm/swap_slots.c get_swap_page()"""
    return space.get_swap_page(pfn)


def put_swap_page(SwapSpace space not None, uint32_t entry):
    """The swap cache uses a slot no more, in which no page of its is. Source: mm/swapfile.c put_swap_page()"""
    cdef SwapInfo si = check_entry(space, entry)
    if not si.slot(swapops.swp_offset(entry))[0] & SWAP_HAS_CACHE or space.cached_page(entry) != NO_PAGE:
        raise ValueError(f"{entry:#x} is no slot that the swap cache has without a page")
    space.put_swap_page(entry)


def add_to_swap_cache(SwapSpace space not None, uint32_t pfn, uint32_t entry):
    """A page gets a slot of get_swap_page(). Source: mm/swap_state.c add_to_swap_cache()"""
    cdef SwapInfo si = check_entry(space, entry)
    check_page(space, pfn)
    if space.g.map[pfn].flags & PG_swapcache or space.cached_page(entry) != NO_PAGE:
        raise ValueError(f"frame {pfn:#x} or slot {entry:#x} is in the swap cache already")
    if not si.slot(swapops.swp_offset(entry))[0] & SWAP_HAS_CACHE:
        raise ValueError(f"{entry:#x} is not of the swap cache")
    space.add_to_swap_cache(pfn, entry)


def delete_from_swap_cache(SwapSpace space not None, uint32_t pfn):
    """A page gives up its slot, and the swap cache's reference. Source: mm/swap_state.c delete_from_swap_cache()"""
    check_cached(space, pfn, True)
    space.delete_from_swap_cache(pfn)


def lookup_swap_cache(SwapSpace space not None, uint32_t entry):
    """The page of a slot, with one reference more; None. Source: mm/swap_state.c lookup_swap_cache()"""
    cdef uint32_t pfn = space.lookup_swap_cache(entry, None, 0)
    return None if pfn == NO_PAGE else pfn


def swapcache_prepare(SwapSpace space not None, uint32_t entry):
    """The swap cache is to have a page of a slot: 0 or -errno. Source: mm/swapfile.c swapcache_prepare()"""
    return space.swapcache_prepare(entry)


def swap_duplicate(SwapSpace space not None, uint32_t entry):
    """One user more: 0 or -errno. Source: mm/swapfile.c swap_duplicate()"""
    return space.swap_duplicate(entry)


def swap_free(SwapSpace space not None, uint32_t entry):
    """One user less. Raises ValueError for a slot without users. Source: mm/swapfile.c swap_free()"""
    check_entry(space, entry)
    if space.swap_count(entry) == 0:
        raise ValueError(f"{entry:#x} has no users")
    space.swap_free(entry)


def free_swap_and_cache(SwapSpace space not None, uint32_t entry):
    """One user less, and maybe the page with it; whether the entry named a slot.

    Source: mm/swapfile.c free_swap_and_cache()
    """
    if not swapops.non_swap_entry(entry) and space.get_swap_device(entry) is not None and not space.swap_count(entry):
        raise ValueError(f"{entry:#x} has no users")
    return space.free_swap_and_cache(entry)


def swp_swapcount(SwapSpace space not None, uint32_t entry):
    """All users of a slot. Source: mm/swapfile.c swp_swapcount()"""
    return space.swp_swapcount(entry)


def reuse_swap_page(SwapSpace space not None, uint32_t pfn):
    """(whether a page may be written as it is, users of it); its slot is freed if so.

    Source: mm/swapfile.c reuse_swap_page()
    """
    cdef int users = 0
    check_page(space, pfn)
    if space.g.map[pfn].flags & PG_swapcache:
        check_cached(space, pfn, False)
    reuse = bool(space.reuse_swap_page(pfn, &users))
    return reuse, users


def try_to_free_swap(SwapSpace space not None, uint32_t pfn):
    """Take a page out of the swap cache if no entry names its slot; whether it was.

    Source: mm/swapfile.c try_to_free_swap()
    """
    check_page(space, pfn)
    if space.g.map[pfn].flags & PG_swapcache:
        check_cached(space, pfn, False)
    return bool(space.try_to_free_swap(pfn))


def write_page(SwapSpace space not None, uint32_t entry, uint32_t pfn):
    """Put a page's bytes in its slot. Source: mm/page_io.c swap_writepage()"""
    check_entry(space, entry)
    check_page(space, pfn)
    space.write_page(entry, pfn)


def read_page(SwapSpace space not None, uint32_t entry, uint32_t pfn):
    """Put the bytes of a slot into a page. Source: mm/page_io.c swap_readpage()"""
    check_entry(space, entry)
    check_page(space, pfn)
    space.read_page(entry, pfn)
