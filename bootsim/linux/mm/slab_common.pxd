# What the slab allocators share, for other Cython modules.
#
#     SlabAllocator  <|--  slub, slab, slob: the build chooses one, as the linker does in the kernel
#          |
#          +-- KmemCache, one a cache (each allocator adds its own fields in a class of its own)
#          +-- PageSource: where its pages come from and go to
#
# Objects are named by their virtual address in the linear mapping, pages by their frame number.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.mm.page_alloc cimport NO_PAGE, TAIL_MARK, Page, Pgdat, Pglist

cpdef enum:  # include/linux/slab.h
    SLAB_CONSISTENCY_CHECKS = 0x00000100U
    SLAB_RED_ZONE = 0x00000400U
    SLAB_POISON = 0x00000800U
    SLAB_HWCACHE_ALIGN = 0x00002000U
    SLAB_CACHE_DMA = 0x00004000U
    SLAB_CACHE_DMA32 = 0x00008000U
    SLAB_STORE_USER = 0x00010000U
    SLAB_RECLAIM_ACCOUNT = 0x00020000U
    SLAB_PANIC = 0x00040000U
    SLAB_TYPESAFE_BY_RCU = 0x00080000U
    SLAB_MEM_SPREAD = 0x00100000U
    SLAB_TRACE = 0x00200000U
    SLAB_DEBUG_OBJECTS = 0x00400000U  # 0 in a build without DEBUG_OBJECTS
    SLAB_NOLEAKTRACE = 0x00800000U
    SLAB_FAILSLAB = 0x02000000U       # 0 in a build without FAILSLAB
    SLAB_ACCOUNT = 0x04000000U        # 0 in a build without MEMCG_KMEM
    SLAB_KASAN = 0x08000000U          # 0 in a build without KASAN
    ZERO_SIZE_PTR = 16

cdef enum:  # enum slab_state
    DOWN = 0
    PARTIAL = 1
    PARTIAL_NODE = 2
    UP = 3
    FULL = 4

cdef enum:  # enum kmalloc_cache_type; without ZONE_DMA there are two
    KMALLOC_NORMAL = 0
    KMALLOC_RECLAIM = 1
    KMALLOC_DMA = 2

cdef enum:
    KMALLOC_SIZES = 27      # entries of kmalloc_info[]


cdef class PageSource:
    # Blocks of pages for slabs: the page allocator, or what a recording tells of it.
    cdef object k
    cdef uint32_t alloc(self, uint32_t gfp_mask, uint32_t order) except? 0      # a pfn, or NO_PAGE
    cdef int free(self, uint32_t pfn, uint32_t order, bint by_rcu) except -1


cdef class KmemCache:       # struct kmem_cache, the part that all allocators have
    cdef readonly str name
    cdef readonly uint32_t va           # of its descriptor; while it is a variable of the image, an address there
    cdef readonly uint32_t object_size
    cdef readonly uint32_t size
    cdef readonly uint32_t align
    cdef readonly uint32_t flags
    cdef readonly uint32_t useroffset
    cdef readonly uint32_t usersize
    cdef readonly int32_t refcount
    cdef readonly uint32_t name_va      # of a copied name; 0 for one of the image
    cdef readonly uint32_t random_seq   # FREELIST_RANDOM: the object with the order of a slab's objects, or 0
    cdef readonly object ctor           # None, or called with an object's address when its slab is made
    cdef readonly list aliases          # names of caches that became this one


cdef class SlabAllocator:
    cdef object k                       # the Kernel, weakly; what speaks and what the build decides
    cdef Pglist pglist
    cdef Pgdat *g
    cdef PhysicalMemory memory
    cdef unsigned char *ram             # memory.base
    cdef PageSource pages
    cdef uint32_t page_offset
    cdef uint32_t linear                # what makes a pa of a va of the linear mapping, in 32 bits
    cdef uint32_t first_va              # addresses there that have a struct page, and how many there are
    cdef uint32_t nr_vas
    cdef readonly int slab_state
    cdef public bint slab_nomerge
    cdef readonly list slab_caches      # the oldest first: the kernel's list backwards
    cdef readonly dict cache_at         # by the address of the descriptor
    cdef readonly KmemCache kmem_cache
    cdef readonly list kmalloc_caches   # by type, then by index
    cdef uint8_t size_index[24]
    cdef readonly uint32_t kmalloc_min_size     # ARCH_KMALLOC_MINALIGN too
    cdef readonly uint32_t kmalloc_shift_low
    cdef readonly uint32_t kmalloc_shift_high
    cdef readonly uint32_t kmalloc_shift_max
    cdef readonly uint32_t arch_slab_minalign
    cdef uint32_t kmalloc_max_cache_size
    cdef bint zone_dma
    cdef uint32_t flags_permitted
    cdef uint32_t cache_create_mask
    cdef readonly int64_t large_pages   # that kmalloc() took straight from the page allocator
    cdef bint align_must_divide         # find_mergeable() of SLAB
    cdef public bint freelist_random    # FREELIST_RANDOM's objects are taken; a recording has them of its own

    # What each allocator does its own way. Addresses are virtual; 0 is the kernel's NULL.
    cdef KmemCache new_cache(self)
    cdef int open(self, KmemCache s, uint32_t flags) except? 1                  # __kmem_cache_create(): 0 or -errno
    cdef str no_layout(self, KmemCache s)
    cdef uint32_t kmem_cache_flags(self, uint32_t object_size, uint32_t flags, str name) except? 0xFFFFFFFFU
    cdef uint32_t alloc(self, KmemCache s, uint32_t gfp_mask) except? 1         # kmem_cache_alloc()
    cdef int free(self, KmemCache s, uint32_t va) except -1                     # kmem_cache_free()
    cdef list alloc_bulk(self, KmemCache s, uint32_t gfp_mask, uint32_t count)  # empty when there is no memory
    cdef int free_bulk(self, KmemCache s, list objects) except -1               # s None: kfree_bulk()
    cdef int shrink(self, KmemCache s) except -1                                # __kmem_cache_shrink()
    cdef int shutdown(self, KmemCache s) except -1                              # 1: objects are left
    cdef int release(self, KmemCache s) except -1                               # __kmem_cache_release()
    cdef uint32_t kmalloc(self, uint32_t size, uint32_t gfp_mask) except? 1
    cdef int kfree(self, uint32_t va) except -1
    cdef uint32_t ksize(self, uint32_t va) except? 1
    cdef int free_large(self, uint32_t pfn, uint32_t order) except -1

    # What a copy of the machine needs: a cache with all that it has, and what is not a cache's.
    cdef KmemCache copy_of(self, KmemCache s)
    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1

    # What they share.
    cdef uint32_t calculate_alignment(self, uint32_t flags, uint32_t align, uint32_t size) noexcept
    cdef bint unmergeable(self, KmemCache s)
    cdef KmemCache find_mergeable(self, uint32_t size, uint32_t align, uint32_t flags, str name, object ctor)
    cdef KmemCache alias(self, str name, uint32_t size, uint32_t align, uint32_t flags, object ctor)
    cdef KmemCache cache_of(self, uint32_t va)
    cdef int clear(self, uint32_t va, uint32_t size) except -1
    cdef int create_boot_cache(self, KmemCache s, str name, uint32_t size, uint32_t flags, uint32_t useroffset,
                               uint32_t usersize) except -1
    cdef KmemCache create_kmalloc_cache(self, str name, uint32_t size, uint32_t flags)
    cdef int setup_kmalloc_cache_index_table(self) except -1
    cdef int new_kmalloc_cache(self, uint32_t index, uint32_t type_, uint32_t flags) except -1
    cdef int create_kmalloc_caches(self, uint32_t flags) except -1
    cdef int cache_random_seq_create(self, KmemCache s, uint32_t count, uint32_t gfp_mask) except? 1
    cdef uint32_t create_flags(self, uint32_t flags) noexcept
    cdef KmemCache adopt(self, uint32_t va, uint32_t size, uint32_t align, uint32_t flags, object ctor)
    cdef KmemCache kmalloc_slab(self, uint32_t size, uint32_t gfp_mask)         # None: size 0, or too large
    cdef uint32_t kmalloc_order(self, uint32_t size, uint32_t gfp_mask) except? 1
    cdef KmemCache virt_to_cache(self, uint32_t va)
    cdef int add(self, KmemCache s) except -1
    cdef int forget(self, KmemCache s) except -1

    cdef inline uint32_t pa(self, uint32_t va) noexcept nogil:
        return va + self.linear

    cdef inline unsigned char *at(self, uint32_t va) noexcept nogil:
        return self.ram + <uint32_t>(va + self.linear)

    cdef inline uint32_t page_va(self, uint32_t pfn) noexcept nogil:
        return (pfn << 12) - self.linear

    cdef inline uint32_t va_pfn(self, uint32_t va) noexcept nogil:
        return <uint32_t>(va + self.linear) >> 12

    cdef inline uint32_t head_page(self, uint32_t va) noexcept nogil:
        # virt_to_head_page(), or NO_PAGE
        cdef uint32_t pfn, next_
        if va - self.first_va >= self.nr_vas:
            return NO_PAGE
        pfn = self.va_pfn(va)
        next_ = self.g.map[pfn].next
        return next_ & ~<uint32_t>TAIL_MARK if next_ & TAIL_MARK else pfn

cdef uint32_t get_order(uint32_t size) noexcept nogil
cdef uint32_t fix_flags(k, uint32_t gfp_mask) except? 0xFFFFFFFFU
cdef int check_own(SlabAllocator a, KmemCache s) except -1
