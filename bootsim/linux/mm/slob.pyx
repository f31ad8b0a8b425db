"""SLOB: blocks of any size out of single pages (mm/slob.c).

A unit is two bytes. A page of SLOB is full of free blocks and of what was handed out; a free block tells in its own
first bytes how long it is and where the next one starts:

    units > 1:   | units | next |  ...           next: offset from the page's start, in units; 2048 (the next page)
    one unit:    | -next |                       after the last block

Pages with free blocks stand on one of three lists, by the size of what was first wanted of them. kmalloc() keeps the
size in the word that lies 64 bytes (ARCH_KMALLOC_MINALIGN) before its object.
"""

cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc
from libc.stdlib cimport free as free_host
from libc.string cimport memcpy

from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, compound_order
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_COMP, __GFP_ZERO
from bootsim.linux.mm.slab_common cimport (
    FULL, SLAB_PANIC, SLAB_TYPESAFE_BY_RCU, ZERO_SIZE_PTR, KmemCache, PageSource,
    SlabAllocator, get_order)
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.mm.slab_common import SlabError, slab_warning

cdef enum:
    SLOB_UNIT = 2
    UNITS_PER_PAGE = 2048   # SLOB_UNIT bytes each
    SLOB_BREAK1 = 256
    SLOB_BREAK2 = 1024
    SIZEOF_SLOB_RCU = 12    # struct slob_rcu: an rcu_head and the size
    SIZEOF_KMEM_CACHE = 44
    NO_BLOCK = 0xFFFFFFFFU

LISTS = ("small", "medium", "large")


cdef inline uint32_t list_of(uint32_t size) noexcept nogil:
    return 0 if size < SLOB_BREAK1 else 1 if size < SLOB_BREAK2 else 2


cdef inline int32_t slob_units_of(uint32_t size) noexcept nogil:
    return (size + SLOB_UNIT - 1) // SLOB_UNIT


@cython.final
cdef class Slob(SlabAllocator):
    """SLOB of one machine.

    Source: mm/slob.c
    Differs: struct page's fields of SLOB (units, freelist, slab_list) are kept beside the page map.
    """

    def __init__(self, k, PageSource pages=None):
        super().__init__(k, pages)
        cdef uint32_t i
        self.base = self.g.base
        self.nr_pages = self.g.end - self.g.base
        free_host(self.pages_of)
        self.pages_of = <SlobPage *>calloc(self.nr_pages + 3, sizeof(SlobPage))
        if self.pages_of == NULL:
            raise MemoryError
        for i in range(self.nr_pages, self.nr_pages + 3):
            self.pages_of[i].next = self.pages_of[i].prev = i

    def __dealloc__(self):
        free_host(self.pages_of)

    def init(self):
        """Make kmem_cache, a variable of the kernel image, the cache of the descriptors.

        Source: mm/slob.c kmem_cache_init(), kmem_cache_init_late()
        """
        cdef KmemCache s = self.new_cache()
        s.name = "kmem_cache"
        s.va = self.k.build.symbols.kmem_cache_boot
        s.size = SIZEOF_KMEM_CACHE
        s.flags = SLAB_PANIC
        s.align = self.kmalloc_min_size
        self.kmem_cache = s
        self.cache_at[s.va] = s
        self.slab_state = FULL

    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1:
        cdef Slob other = new
        other.used_end = self.used_end
        memcpy(other.pages_of, self.pages_of, self.used_end * sizeof(SlobPage))
        memcpy(other.pages_of + self.nr_pages, self.pages_of + self.nr_pages, 3 * sizeof(SlobPage))
        return 0

    # ---------------------------------------------------------------- blocks

    cdef int16_t word(self, uint32_t va) noexcept nogil:
        cdef unsigned char *p = self.at(va)
        return <int16_t>(p[0] | p[1] << 8)

    cdef void set_word(self, uint32_t va, uint32_t value) noexcept nogil:
        cdef unsigned char *p = self.at(va)
        p[0] = value & 0xFF
        p[1] = value >> 8 & 0xFF

    cdef void set_slob(self, uint32_t page_va, uint32_t block, int32_t units, uint32_t next_block) noexcept nogil:
        cdef uint32_t va = page_va + block * SLOB_UNIT
        if units > 1:
            self.set_word(va, <uint32_t>units)
            self.set_word(va + SLOB_UNIT, next_block)
        else:
            self.set_word(va, <uint32_t>-<int32_t>next_block)

    cdef int32_t slob_units(self, uint32_t page_va, uint32_t block) noexcept nogil:
        cdef int16_t units = self.word(page_va + block * SLOB_UNIT)
        return units if units > 0 else 1

    cdef uint32_t slob_next(self, uint32_t page_va, uint32_t block) noexcept nogil:
        cdef int16_t units = self.word(page_va + block * SLOB_UNIT)
        return -units if units < 0 else <uint32_t><int32_t>self.word(page_va + (block + 1) * SLOB_UNIT)

    cdef SlobPage *slob_page(self, uint32_t va) except NULL:
        cdef uint32_t i = self.va_pfn(va) - self.base
        if va < self.page_offset or i >= self.nr_pages or not self.pages_of[i].used:
            raise SlabError(f"{va:#x} lies in no page of SLOB")
        return &self.pages_of[i]

    cdef int overwritten(self, uint32_t page_va) except -1:
        raise SlabError(f"the free blocks of the SLOB page at {page_va:#x} do not hold together: something wrote into "
                        "freed memory")

    # ---------------------------------------------------------------- lists

    cdef void set_slob_page_free(self, uint32_t i, uint32_t head) noexcept nogil:
        cdef SlobPage *p = self.pages_of
        p[i].next = p[head].next
        p[i].prev = head
        p[p[head].next].prev = i
        p[head].next = i
        p[i].listed = True

    cdef void clear_slob_page_free(self, uint32_t i) noexcept nogil:
        cdef SlobPage *p = self.pages_of
        p[p[i].prev].next = p[i].next
        p[p[i].next].prev = p[i].prev
        p[i].listed = False

    cdef void rotate_to_front(self, uint32_t i, uint32_t head) noexcept nogil:
        # list_rotate_to_front(): the head moves to just before the page
        cdef SlobPage *p = self.pages_of
        p[p[head].prev].next = p[head].next
        p[p[head].next].prev = p[head].prev
        p[head].next = i
        p[head].prev = p[i].prev
        p[p[i].prev].next = head
        p[i].prev = head

    # ---------------------------------------------------------------- slob_alloc(), slob_free()

    cdef uint32_t slob_page_alloc(self, uint32_t i, uint32_t size, uint32_t align, uint32_t align_offset) except? 1:
        # The address, or 0. Takes the page off its list when nothing is left in it.
        cdef SlobPage *sp = &self.pages_of[i]
        cdef uint32_t page_va = self.page_va(self.base + i)
        cdef uint32_t prev = NO_BLOCK
        cdef uint32_t cur = sp.freelist
        cdef uint32_t aligned = cur
        cdef int32_t units = slob_units_of(size)
        cdef int32_t delta = 0
        cdef int32_t avail
        for _ in range(UNITS_PER_PAGE):
            avail = self.slob_units(page_va, cur)
            if align:
                aligned = page_va + cur * SLOB_UNIT + align_offset
                aligned = (((aligned + align - 1) & ~(align - 1)) - align_offset - page_va) // SLOB_UNIT
                delta = <int32_t>(aligned - cur)
            if avail >= units + delta:
                self.take(sp, page_va, prev, cur, aligned, avail, units)
                if not sp.units:
                    self.clear_slob_page_free(i)
                return page_va + (aligned if delta else cur) * SLOB_UNIT
            prev = cur
            cur = self.slob_next(page_va, cur)
            if not cur & (UNITS_PER_PAGE - 1):
                return 0
        self.overwritten(page_va)

    cdef void take(self, SlobPage *sp, uint32_t page_va, uint32_t prev, uint32_t cur, uint32_t aligned, int32_t avail,
                   int32_t units) noexcept nogil:
        # `units` of the block `cur`, from `aligned` on; `prev` is the free block before it
        cdef int32_t delta = <int32_t>(aligned - cur)
        cdef uint32_t next_block = self.slob_next(page_va, cur)
        if delta:
            self.set_slob(page_va, aligned, avail - delta, next_block)
            self.set_slob(page_va, cur, delta, aligned)
            prev = cur
            cur = aligned
            avail -= delta
        if avail != units:
            self.set_slob(page_va, cur + units, avail - units, next_block)
            next_block = cur + units
        if prev != NO_BLOCK:
            self.set_slob(page_va, prev, self.slob_units(page_va, prev), next_block)
        else:
            sp.freelist = next_block
        sp.units -= units

    cdef uint32_t slob_alloc(self, uint32_t size, uint32_t gfp_mask, uint32_t align, uint32_t align_offset) except? 1:
        """A block of `size` bytes; its address, or 0. What lies `align_offset` bytes into it is aligned to `align`.

        Source: mm/slob.c slob_alloc()
        """
        cdef uint32_t head = self.nr_pages + list_of(size)
        cdef int32_t units = slob_units_of(size)
        cdef uint32_t i = self.pages_of[head].next
        cdef uint32_t va = 0
        while i != head:
            if self.pages_of[i].units >= units:
                va = self.slob_page_alloc(i, size, align, align_offset)
                if va:
                    if self.pages_of[i].listed and self.pages_of[head].next != i:
                        self.rotate_to_front(i, head)
                    break
            i = self.pages_of[i].next
        if not va:
            i = self.new_slob_page(gfp_mask & ~<uint32_t>__GFP_ZERO, head)
            if i == NO_PAGE:
                return 0
            va = self.slob_page_alloc(i, size, align, align_offset)
        if gfp_mask & __GFP_ZERO:
            self.clear(va, size)
        return va

    cdef uint32_t new_slob_page(self, uint32_t gfp_mask, uint32_t head) except? 0xFFFFFFFEU:
        cdef uint32_t pfn = self.pages.alloc(gfp_mask, 0)
        cdef SlobPage *sp
        if pfn == NO_PAGE:
            return NO_PAGE
        self.g.map[pfn].flags |= PG_slab
        sp = &self.pages_of[pfn - self.base]
        sp.used = True
        self.used_end = max(self.used_end, pfn - self.base + 1)
        if sp.listed:
            raise SlabError(f"page {pfn:#x} for SLOB, which has it already")
        sp.units = UNITS_PER_PAGE
        sp.freelist = 0
        self.set_slob(self.page_va(pfn), 0, UNITS_PER_PAGE, UNITS_PER_PAGE)
        self.set_slob_page_free(pfn - self.base, head)
        return pfn - self.base

    cdef int slob_free(self, uint32_t va, uint32_t size) except -1:
        """Give back a block of `size` bytes; the page goes back with its last block.

        Source: mm/slob.c slob_free()
        """
        cdef SlobPage *sp = self.slob_page(va)
        cdef int32_t units = slob_units_of(size)
        cdef uint32_t page_va = va & ~<uint32_t>(PAGE_SIZE - 1)
        cdef uint32_t block = (va & (PAGE_SIZE - 1)) // SLOB_UNIT
        cdef uint32_t i = sp - self.pages_of
        if not 0 < size <= PAGE_SIZE or block + units > UNITS_PER_PAGE or sp.units + units > UNITS_PER_PAGE:
            raise SlabError(f"{size} bytes at {va:#x} are more than its page, or than is handed out of it")
        if sp.units + units == UNITS_PER_PAGE:
            if sp.listed:
                self.clear_slob_page_free(i)
            sp.used = False
            self.g.map[self.base + i].flags &= ~<uint32_t>PG_slab
            return self.pages.free(self.base + i, 0, False)
        if not sp.listed:
            sp.units = units
            sp.freelist = block
            self.set_slob(page_va, block, units, UNITS_PER_PAGE)
            self.set_slob_page_free(i, self.nr_pages + list_of(size))
            return 0
        sp.units += units
        return self.insert(sp, page_va, block, units)

    cdef int insert(self, SlobPage *sp, uint32_t page_va, uint32_t block, int32_t units) except -1:
        # among the free blocks of its page, joined with those it touches
        cdef uint32_t prev, next_block
        cdef uint32_t steps = 0
        if block < sp.freelist:
            if block + units == sp.freelist:
                units += self.slob_units(page_va, sp.freelist)
                sp.freelist = self.slob_next(page_va, sp.freelist)
            self.set_slob(page_va, block, units, sp.freelist)
            sp.freelist = block
            return 0
        prev = sp.freelist
        next_block = self.slob_next(page_va, prev)
        while block > next_block:
            prev = next_block
            next_block = self.slob_next(page_va, prev)
            steps += 1
            if steps > UNITS_PER_PAGE:
                self.overwritten(page_va)
        if next_block & (UNITS_PER_PAGE - 1) and block + units == next_block:
            units += self.slob_units(page_va, next_block)
            next_block = self.slob_next(page_va, next_block)
        self.set_slob(page_va, block, units, next_block)
        if prev + self.slob_units(page_va, prev) == block:
            units = self.slob_units(page_va, block) + self.slob_units(page_va, prev)
            self.set_slob(page_va, prev, units, self.slob_next(page_va, block))
        else:
            self.set_slob(page_va, prev, self.slob_units(page_va, prev), block)
        return 0

    cdef bint take_at(self, uint32_t va, uint32_t size) except? False:
        """Take a block of `size` bytes just there, if it is free.

        A replay that answered wrongly goes on so.
        """
        cdef SlobPage *sp = self.slob_page(va)
        cdef uint32_t page_va = va & ~<uint32_t>(PAGE_SIZE - 1)
        cdef uint32_t block = (va & (PAGE_SIZE - 1)) // SLOB_UNIT
        cdef uint32_t prev = NO_BLOCK
        cdef uint32_t cur = sp.freelist
        if not sp.listed:
            return False
        for _ in range(UNITS_PER_PAGE):
            if cur <= block and block + slob_units_of(size) <= cur + self.slob_units(page_va, cur):
                self.take(sp, page_va, prev, cur, block, self.slob_units(page_va, cur), slob_units_of(size))
                if not sp.units:
                    self.clear_slob_page_free(sp - self.pages_of)
                return True
            prev = cur
            cur = self.slob_next(page_va, cur)
            if not cur & (UNITS_PER_PAGE - 1):
                break
        return False

    # ---------------------------------------------------------------- the interface

    cdef KmemCache alias(self, str name, uint32_t size, uint32_t align, uint32_t flags, object ctor):
        return None  # SLOB merges nothing

    cdef int open(self, KmemCache s, uint32_t flags) except? 1:
        # __kmem_cache_create()
        if flags & SLAB_TYPESAFE_BY_RCU:
            s.size += SIZEOF_SLOB_RCU
        s.flags = flags
        return 0

    cdef uint32_t new_pages(self, uint32_t gfp_mask, uint32_t order) except? 1:
        # slob_new_pages()
        cdef uint32_t pfn = self.pages.alloc(gfp_mask, order)
        if pfn == NO_PAGE:
            return 0
        self.large_pages += <int64_t>1 << order
        return self.page_va(pfn)

    cdef uint32_t alloc_object(self, uint32_t size, uint32_t gfp_mask, uint32_t align) except? 1:
        if size < PAGE_SIZE:
            return self.slob_alloc(size, gfp_mask, align, 0)
        return self.new_pages(gfp_mask, get_order(size))

    cdef uint32_t alloc(self, KmemCache s, uint32_t gfp_mask) except? 1:
        cdef uint32_t va = self.alloc_object(s.size, gfp_mask, s.align)
        if va and s.ctor is not None:
            if gfp_mask & __GFP_ZERO:
                slab_warning(self.k, "mm/slob.c:616", func="slob_alloc_node", once=True)
            s.ctor(va)
        return va

    cdef int free_object(self, uint32_t va, uint32_t size) except -1:
        # __kmem_cache_free()
        if size < PAGE_SIZE:
            return self.slob_free(va, size)
        return self.free_large(self.va_pfn(va), get_order(size))

    cdef int mark_rcu(self, KmemCache s, uint32_t va) except -1:
        # the size in the footer, for when the grace period is over
        if self.head_page(va) == NO_PAGE or self.head_page(va + s.size - 2) == NO_PAGE:
            raise SlabError(f"{va:#x}: no object of cache {s.name} lies there")
        self.set_word(va + s.size - 4, s.size)
        self.set_word(va + s.size - 2, s.size >> 16)
        return 0

    cdef int free(self, KmemCache s, uint32_t va) except -1:
        if s.flags & SLAB_TYPESAFE_BY_RCU:
            self.mark_rcu(s, va)
        return self.free_object(va, s.size)

    cdef uint32_t small_kmalloc(self, uint32_t size, uint32_t gfp_mask) except? 1:
        # __do_kmalloc_node() for what is smaller than a page: a power of two is aligned to itself
        cdef uint32_t align = self.kmalloc_min_size
        cdef uint32_t va
        if size & (size - 1) == 0:
            align = max(align, size)
        va = self.slob_alloc(size + self.kmalloc_min_size, gfp_mask, align, self.kmalloc_min_size)
        if not va:
            return 0
        self.set_word(va, size)
        self.set_word(va + 2, 0)
        return va + self.kmalloc_min_size

    cdef uint32_t kmalloc(self, uint32_t size, uint32_t gfp_mask) except? 1:
        cdef uint32_t order
        if size < PAGE_SIZE - self.kmalloc_min_size:
            return self.small_kmalloc(size, gfp_mask) if size else ZERO_SIZE_PTR
        order = get_order(size)
        return self.new_pages(gfp_mask | __GFP_COMP if order else gfp_mask, order)

    cdef uint32_t kmalloc_size(self, uint32_t va) except? 0:
        # the word before an object
        cdef uint32_t m = va - self.kmalloc_min_size
        self.slob_page(m)
        return (self.word(m) & 0xFFFF) | (self.word(m + 2) & 0xFFFF) << 16

    cdef int kfree(self, uint32_t va) except -1:
        cdef uint32_t pfn
        cdef uint32_t size
        if va <= ZERO_SIZE_PTR:
            return 0
        pfn = self.head_page(va)
        if pfn == NO_PAGE:
            raise SlabError(f"kfree({va:#x}): no memory of the linear mapping")
        if not self.g.map[pfn].flags & PG_slab:
            return self.free_large(pfn, compound_order(self.g, pfn))
        size = self.kmalloc_size(va)
        if not 0 < size < PAGE_SIZE:
            raise SlabError(f"kfree({va:#x}): the word before it, {size:#x}, is no size that kmalloc() writes there")
        return self.slob_free(va - self.kmalloc_min_size, size + self.kmalloc_min_size)

    cdef uint32_t ksize(self, uint32_t va) except? 1:
        cdef uint32_t pfn
        if va <= ZERO_SIZE_PTR:
            return 0
        pfn = self.head_page(va)
        if pfn == NO_PAGE:
            return 0
        if not self.g.map[pfn].flags & PG_slab:
            return <uint32_t>PAGE_SIZE << compound_order(self.g, pfn)
        return slob_units_of(self.kmalloc_size(va)) * SLOB_UNIT

    cdef int shrink(self, KmemCache s) except -1:
        return 0

    cdef int shutdown(self, KmemCache s) except -1:
        return 0  # SLOB does not know of what is left

    cdef int release(self, KmemCache s) except -1:
        return 0

    # ---------------------------------------------------------------- how it stands

    def pages_listed(self):
        """The frames with free blocks: those of the small list, of the medium one, of the large one, in list order."""
        cdef uint32_t head, i
        cdef list lists = []
        for head in range(self.nr_pages, self.nr_pages + 3):
            pfns = []
            i = self.pages_of[head].next
            while i != head:
                pfns.append(self.base + i)
                i = self.pages_of[i].next
            lists.append(pfns)
        return lists

    def blocks(self, uint32_t pfn):
        """The free blocks of a page on a list, as [offset, bytes]; nonsense where freed memory was overwritten."""
        cdef uint32_t page_va = self.page_va(pfn)
        cdef uint32_t cur
        cdef list found = []
        if pfn - self.base >= self.nr_pages or not self.pages_of[pfn - self.base].listed:
            raise SlabError(f"page {pfn:#x} is on no list of SLOB")
        cur = self.pages_of[pfn - self.base].freelist
        while len(found) < UNITS_PER_PAGE:
            found.append([cur * SLOB_UNIT, self.slob_units(page_va, cur) * SLOB_UNIT])
            cur = self.slob_next(page_va, cur)
            if not cur & (UNITS_PER_PAGE - 1):
                break
        return found

    def snapshot(self):
        """The three lists with their pages and free blocks, in the form of a recording's objects.json."""
        return {"caches": [], "kmem_cache_boot": self.kmem_cache.va, "lists": {name: [
            {"pfn": pfn, "units": self.pages_of[<uint32_t>pfn - self.base].units, "blocks": self.blocks(pfn)}
            for pfn in pfns] for name, pfns in zip(LISTS, self.pages_listed(), strict=True)}}

    def owner_of(self, uint32_t va):
        """In words: the page that holds an address, and whether it is in a free block; "" for one that is not SLOB's.

        SLOB does not know where objects begin.
        """
        cdef uint32_t i = self.va_pfn(va) - self.base
        if va < self.page_offset or i >= self.nr_pages or not self.pages_of[i].used:
            return ""
        offset = va & (PAGE_SIZE - 1)
        free = self.pages_of[i].listed and any(at <= offset < at + size for at, size in self.blocks(self.base + i))
        return f"in SLOB page {self.base + i:#x}: {'in a free block' if free else 'handed out'}"

    def check(self):
        """What does not hold together: nothing, unless something wrote into freed memory."""
        faults = []
        for pfns in self.pages_listed():
            for pfn in pfns:
                blocks = self.blocks(pfn)
                units = self.pages_of[<uint32_t>pfn - self.base].units
                if sum(size for _, size in blocks) != units * SLOB_UNIT:
                    faults.append(f"page {pfn:#x}: {units} free units, its blocks hold {blocks}")
                if any(at + size >= after for (at, size), (after, _) in zip(blocks, blocks[1:], strict=False)):
                    faults.append(f"page {pfn:#x}: free blocks touch or overlap: {blocks}")
        return faults


def kmem_cache_init(k):
    """Start SLOB: its one cache takes no page yet.

    Source: mm/slob.c kmem_cache_init()
    """
    allocator = Slob(k)
    allocator.init()
    k.mm.slab = allocator
