# SLOB's data, for other Cython modules.
cimport cython
from libc.stdint cimport int16_t, int32_t, uint32_t

from bootsim.linux.mm.slab_common cimport KmemCache, SlabAllocator

cdef struct SlobPage:       # what struct page is to SLOB
    uint32_t next           # slab_list; a pfn, or a list head's number
    uint32_t prev
    int32_t units           # free units
    uint32_t freelist       # the first free block, in units from the page's start
    bint listed             # PG_slob_free
    bint used               # one of SLOB's pages


@cython.final
cdef class Slob(SlabAllocator):
    cdef SlobPage *pages_of     # by pfn from `base` on, then the three list heads
    cdef uint32_t base
    cdef uint32_t nr_pages
    cdef uint32_t used_end      # no row of `pages_of` from here on was ever used, but the heads

    cdef int16_t word(self, uint32_t va) noexcept nogil
    cdef void set_word(self, uint32_t va, uint32_t value) noexcept nogil
    cdef void set_slob(self, uint32_t page_va, uint32_t block, int32_t units, uint32_t next_block) noexcept nogil
    cdef int32_t slob_units(self, uint32_t page_va, uint32_t block) noexcept nogil
    cdef uint32_t slob_next(self, uint32_t page_va, uint32_t block) noexcept nogil
    cdef SlobPage *slob_page(self, uint32_t va) except NULL
    cdef int overwritten(self, uint32_t page_va) except -1
    cdef void set_slob_page_free(self, uint32_t i, uint32_t head) noexcept nogil
    cdef void clear_slob_page_free(self, uint32_t i) noexcept nogil
    cdef void rotate_to_front(self, uint32_t i, uint32_t head) noexcept nogil
    cdef uint32_t slob_page_alloc(self, uint32_t i, uint32_t size, uint32_t align, uint32_t align_offset) except? 1
    cdef void take(self, SlobPage *sp, uint32_t page_va, uint32_t prev, uint32_t cur, uint32_t aligned, int32_t avail,
             int32_t units) noexcept nogil
    cdef uint32_t slob_alloc(self, uint32_t size, uint32_t gfp_mask, uint32_t align, uint32_t align_offset) except? 1
    cdef uint32_t new_slob_page(self, uint32_t gfp_mask, uint32_t head) except? 0xFFFFFFFEU
    cdef int slob_free(self, uint32_t va, uint32_t size) except -1
    cdef int insert(self, SlobPage *sp, uint32_t page_va, uint32_t block, int32_t units) except -1
    cdef bint take_at(self, uint32_t va, uint32_t size) except? False
    cdef uint32_t new_pages(self, uint32_t gfp_mask, uint32_t order) except? 1
    cdef uint32_t alloc_object(self, uint32_t size, uint32_t gfp_mask, uint32_t align) except? 1
    cdef int free_object(self, uint32_t va, uint32_t size) except -1
    cdef int mark_rcu(self, KmemCache s, uint32_t va) except -1
    cdef uint32_t small_kmalloc(self, uint32_t size, uint32_t gfp_mask) except? 1
    cdef uint32_t kmalloc_size(self, uint32_t va) except? 0
