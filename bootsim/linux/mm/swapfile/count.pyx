"""Counts that go on: a slot with more than 62 users (mm/swapfile.c).

    page of swap_map  --lru-->  continuation page  --lru-->  another  --> back        a list, as free pages have
      0xbe: 62 and on             0x80 | digit                  digit                 digits of 128 each

A page holds the next digit of 4096 slots. They are pages of the machine, and so are the bytes in them.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bootsim.linux.mm.page_alloc.core cimport list_add_tail, list_del, list_init
from bootsim.linux.mm.page_alloc.free cimport free_pages_by_refcount
from bootsim.linux.mm.page_alloc.structs cimport Pgdat
from bootsim.linux.mm.swapfile.info cimport *


cdef uint32_t head_page(SwapInfo si, uint32_t offset) noexcept nogil:
    # vmalloc_to_page(swap_map + offset)
    return si.map_pfns[offset >> 12]


cdef inline unsigned char *digit(SwapInfo si, uint32_t pfn, uint32_t offset) noexcept nogil:
    return si.ram.base + (<uint64_t>pfn << 12) + (offset & 0xFFF)


cdef bint attach(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count, uint32_t pfn) noexcept:
    """Hang the page `pfn` behind those that carry the count of a slot; False: there is room, it is not needed.

    Source: mm/swapfile.c add_swap_count_continuation()
    """
    cdef uint32_t head = head_page(si, offset)
    cdef uint32_t page
    if g.map[head].private_ == 0:
        list_init(g.map, head)
        g.map[head].private_ = SWP_CONTINUED
        si.flags |= SWP_CONTINUED
    page = g.map[head].next
    while page != head:
        if not count & COUNT_CONTINUED:
            return False
        count = digit(si, page, offset)[0]
        if count & ~COUNT_CONTINUED != SWAP_CONT_MAX:
            return False
        page = g.map[page].next
    list_add_tail(g.map, pfn, head)
    return True


cdef bint swap_count_continued(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count) noexcept:
    """Carry into the next digits, or borrow from them; False: there is no page to carry into, or nothing left.

    Source: mm/swapfile.c swap_count_continued()
    """
    cdef uint32_t head = head_page(si, offset)
    cdef uint32_t page
    if g.map[head].private_ != SWP_CONTINUED:
        return False
    page = g.map[head].next
    if count == COUNT_CONTINUED:
        return borrow(g, si, offset, head, page)
    if count == SWAP_MAP_MAX:
        digit(si, page, offset)[0] = 0  # the page was not cleared
    else:
        while digit(si, page, offset)[0] == (SWAP_CONT_MAX | COUNT_CONTINUED):
            page = g.map[page].next
        if digit(si, page, offset)[0] == SWAP_CONT_MAX:
            page = g.map[page].next
            if page == head:
                return False
            digit(si, page, offset)[0] = 0
    digit(si, page, offset)[0] += 1
    page = g.map[page].prev
    while page != head:
        digit(si, page, offset)[0] = COUNT_CONTINUED
        page = g.map[page].prev
    return True


cdef bint borrow(Pgdat *g, SwapInfo si, uint32_t offset, uint32_t head, uint32_t page) noexcept:
    cdef unsigned char more = COUNT_CONTINUED
    while digit(si, page, offset)[0] == COUNT_CONTINUED:
        page = g.map[page].next
    digit(si, page, offset)[0] -= 1
    if digit(si, page, offset)[0] == 0:
        more = 0
    page = g.map[page].prev
    while page != head:
        digit(si, page, offset)[0] = SWAP_CONT_MAX | more
        more = COUNT_CONTINUED
        page = g.map[page].prev
    return more == COUNT_CONTINUED


cdef int64_t continued_count(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count) noexcept:
    # All users of a slot. Source: mm/swapfile.c swp_swapcount()
    cdef int64_t total = count & ~COUNT_CONTINUED
    cdef int64_t n = SWAP_MAP_MAX + 1
    cdef uint32_t page = head_page(si, offset)
    while count & COUNT_CONTINUED:
        page = g.map[page].next
        count = digit(si, page, offset)[0]
        total += (count & ~COUNT_CONTINUED) * n
        n *= SWAP_CONT_MAX + 1
    return total


cdef void detach(Pgdat *g, SwapInfo si, uint32_t offset) noexcept:
    # Free the pages behind that of swap_map. Source: mm/swapfile.c free_swap_count_continuations()
    cdef uint32_t head = head_page(si, offset)
    cdef uint32_t page
    if g.map[head].private_ != SWP_CONTINUED:
        return
    while g.map[head].next != head:
        page = g.map[head].next
        list_del(g.map, page)
        free_pages_by_refcount(g, page, 0)
