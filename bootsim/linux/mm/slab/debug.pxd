# SLAB's checks of its objects, for other Cython modules.
from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.slab.structs cimport SlabCache, SlabPage
from bootsim.linux.mm.slab_common cimport SlabAllocator

cdef enum:
    POISON_INUSE = 0x5A
    POISON_FREE = 0x6B
    POISON_END = 0xA5


cdef class SlabChecks(SlabAllocator):
    cdef bint debug             # DEBUG_SLAB
    cdef bint debug_pagealloc
    cdef uint32_t caller        # who is said to have asked

    cdef uint32_t forced_flags(self, SlabCache s, uint32_t flags) noexcept
    cdef uint32_t with_red_zones(self, SlabCache s, uint32_t size, uint32_t flags) noexcept
    cdef bint wants_whole_pages(self, SlabCache s, uint32_t size, uint32_t flags) noexcept
    cdef bint is_debug_pagealloc_cache(self, SlabCache s) noexcept
    cdef void poison_obj(self, SlabCache s, uint32_t objp, int value) noexcept
    cdef uint32_t dbg_redzone1(self, SlabCache s, uint32_t objp) noexcept
    cdef uint32_t dbg_redzone2(self, SlabCache s, uint32_t objp) noexcept
    cdef uint32_t dbg_userword(self, SlabCache s, uint32_t objp) noexcept
    cdef uint64_t redzone(self, uint32_t va) except? 0
    cdef int set_redzones(self, SlabCache s, uint32_t objp, uint64_t value) except -1
    cdef int check_poison_obj(self, SlabCache s, uint32_t s_mem, uint32_t objp) except -1
    cdef int cache_init_objs_debug(self, SlabCache s, uint32_t s_mem) except -1
    cdef int slab_destroy_debugcheck(self, SlabCache s, const SlabPage *slab) except -1
    cdef bint is_free_in_slab(self, SlabCache s, const SlabPage *slab, uint32_t objp) except -1
    cdef uint32_t cache_alloc_debugcheck_after(self, SlabCache s, const SlabPage *slab, uint32_t objp) except? 1
    cdef uint32_t cache_free_debugcheck(self, SlabCache s, const SlabPage *slab, uint32_t va) except? 1
    cdef int slab_out_of_memory(self, SlabCache s, uint32_t gfp_mask) except -1
    cdef int say(self, str text, str func, int level=*) except -1
    cdef int slab_error(self, SlabCache s, str function, str what) except -1
    cdef int bug(self, int line, str func) except -1
    cdef int say_redzones(self, SlabCache s, uint32_t objp, str func) except -1
    cdef int dump_line(self, bytes data, int offset) except -1
    cdef int print_objinfo(self, SlabCache s, uint32_t objp, int rows) except -1
    cdef int check_zones(self, SlabCache s, uint32_t objp, str func, str what, bint end_first) except -1
