"""What the slab allocators share: caches, merging, kmalloc's sizes, and the interface that all three offer.

Source: mm/slab_common.c, mm/slab.h, include/linux/slab.h
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from copy import deepcopy
from weakref import ProxyType, proxy

from bootsim.errno cimport ENOMEM
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_buddy, PG_head, PG_slab, Page, compound_order
from bootsim.linux.mm.page_alloc.gfp cimport (
    __GFP_COMP, __GFP_DMA, __GFP_RECLAIMABLE, __GFP_ZERO, GFP_NOWAIT, GFP_SLAB_BUG_MASK)
from bootsim.page cimport PAGE_SHIFT, PAGE_SIZE

from bootsim.errors import BootsimError, KernelPanic
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk
from bootsim.linux.mm.page_alloc import __free_pages as _free_pages
from bootsim.linux.mm.page_alloc import alloc_pages, format_gfp_flags

cdef enum:
    MERGE_SAME = SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_ACCOUNT
    NEVER_MERGE = (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_TYPESAFE_BY_RCU | SLAB_NOLEAKTRACE
                   | SLAB_FAILSLAB | SLAB_KASAN)

# The sizes of kmalloc_info[], and how its names write them.
KMALLOC_INFO = ((0, "0"), (96, "96"), (192, "192"), (8, "8"), (16, "16"), (32, "32"), (64, "64"), (128, "128"),
                (256, "256"), (512, "512"), *((1 << n, f"{1 << n - 10}k") for n in range(10, 20)),
                *((1 << n, f"{1 << n - 20}M") for n in range(20, 27)))
_KMALLOC_PREFIX = ("kmalloc-", "kmalloc-rcl-", "dma-kmalloc-")
_SIZE_INDEX = bytes((3, 4, 5, 5, 6, 6, 6, 6, 1, 1, 1, 1, 7, 7, 7, 7, 2, 2, 2, 2, 2, 2, 2, 2))


class SlabError(BootsimError):
    """An object, cache or size with which the real kernel would go on in memory that is not its own."""


def slab_warning(k, place, text=None, *, func, once=False):
    """Log a warning about how the slab allocator is used; with `once`, the first time only.

    Source: kernel/panic.c __warn(), include/asm-generic/bug.h WARN_ONCE()
    """
    cdef Pglist p = k.mm.pgdat
    if once:
        if place in p.warned:
            return
        p.warned.add(place)
    warn(k, place, text, func=func)


def kernel_bug(k, place, func):
    """Tell that the kernel stops.

    Source: include/asm-generic/bug.h BUG_ON()
    """
    from bootsim.linux.lib.bug import bug  # no boot comes to this

    bug(k, place, func=func)


cdef uint32_t get_order(uint32_t size) noexcept nogil:
    """The order of the smallest block of pages that holds `size` bytes."""
    cdef uint32_t order = 0
    cdef uint32_t pages = (size - 1) >> PAGE_SHIFT if size else 0xFFFFF
    while pages:
        pages >>= 1
        order += 1
    return order


cdef inline uint32_t align_up(uint32_t value, uint32_t unit) noexcept nogil:
    return (value + unit - 1) & ~(unit - 1)


cdef class PageSource:
    """The page allocator of a machine, as slabs use it.

    Differs: a grace period of RCU is over at once.
    """

    def __init__(self, k):
        self.k = k if isinstance(k, ProxyType) else proxy(k)

    cdef uint32_t alloc(self, uint32_t gfp_mask, uint32_t order) except? 0:
        pfn = alloc_pages(self.k, gfp_mask, order)
        return NO_PAGE if pfn is None else pfn

    cdef int free(self, uint32_t pfn, uint32_t order, bint by_rcu) except -1:
        _free_pages(self.k, pfn, order)
        return 0


cdef class KmemCache:
    """One cache of objects of one size (struct kmem_cache). Sizes in bytes; `va` is the descriptor's address."""

    def __cinit__(self):
        self.name = ""
        self.aliases = []

    def __repr__(self):
        return f"<KmemCache {self.name}: objects of {self.object_size} bytes, {self.size} apart>"


cdef class SlabAllocator:
    """The slab allocator of one machine: its caches, and how this build's kmalloc divides sizes.

    slab_caches: the oldest cache first. kmalloc_caches: by type (normal, reclaimable, DMA), then by index.
    """

    def __init__(self, k, PageSource pages=None):
        config = k.build.config
        cdef uint32_t page_shift_max = config.FORCE_MAX_ZONEORDER + PAGE_SHIFT - 1
        self.k = k if isinstance(k, ProxyType) else proxy(k)
        self.pglist = k.mm.pgdat
        self.g = self.pglist.g
        self.memory = k.machine.ram
        self.ram = self.memory.base
        self.pages = PageSource(k) if pages is None else pages
        self.page_offset = config.PAGE_OFFSET
        self.linear = <uint32_t>k.mm.phys_offset - self.page_offset
        start = config.PAGE_OFFSET - k.mm.phys_offset
        self.first_va = max(start + (<uint64_t>self.g.base << PAGE_SHIFT), config.PAGE_OFFSET)
        self.nr_vas = min(start + (<uint64_t>self.g.end << PAGE_SHIFT), 1 << 32) - self.first_va
        self.slab_state = DOWN
        self.slab_nomerge = not config.SLAB_MERGE_DEFAULT or bool(k.options.get("slab_nomerge"))
        self.slab_caches = []
        self.cache_at = {}
        self.zone_dma = config.ZONE_DMA
        self.arch_slab_minalign = 8
        self.kmalloc_min_size = 1 << config.ARM_L1_CACHE_SHIFT  # ARCH_DMA_MINALIGN
        self.kmalloc_shift_low = config.ARM_L1_CACHE_SHIFT
        if config.SLAB:
            self.kmalloc_shift_high = self.kmalloc_shift_max = min(page_shift_max, 25)
        else:
            self.kmalloc_shift_high = PAGE_SHIFT + 1 if config.SLUB else PAGE_SHIFT
            self.kmalloc_shift_max = page_shift_max
        self.kmalloc_max_cache_size = <uint32_t>1 << self.kmalloc_shift_high
        self.align_must_divide = config.SLAB
        self.freelist_random = config.SLAB_FREELIST_RANDOM and not config.SLOB
        self.kmalloc_caches = [[None] * (self.kmalloc_shift_high + 1) for _ in range(3 if config.ZONE_DMA else 2)]
        for i in range(24):
            self.size_index[i] = _SIZE_INDEX[i]
        self._set_flag_masks(config)

    def _set_flag_masks(self, config):
        core = (SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU)
        debug = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_CONSISTENCY_CHECKS
        cache = SLAB_NOLEAKTRACE
        if config.SLAB or config.SLUB:
            cache |= SLAB_RECLAIM_ACCOUNT | (SLAB_ACCOUNT if config.MEMCG_KMEM else 0)
        if config.SLAB:
            cache |= SLAB_MEM_SPREAD
        self.flags_permitted = (core | debug | SLAB_MEM_SPREAD | SLAB_NOLEAKTRACE | SLAB_RECLAIM_ACCOUNT
                                | (SLAB_ACCOUNT if config.MEMCG_KMEM else 0))
        self.cache_create_mask = core | cache | (debug if config.SLUB and config.SLUB_DEBUG else 0)

    def __deepcopy__(self, memo):
        cdef SlabAllocator new = type(self)(self.k)
        cdef KmemCache s
        new.k = deepcopy(self.k, memo)
        new.pglist, new.memory = deepcopy(self.pglist, memo), deepcopy(self.memory, memo)
        new.g, new.ram = new.pglist.g, new.memory.base
        new.pages = PageSource(new.k)
        new.slab_state, new.slab_nomerge = self.slab_state, self.slab_nomerge
        new.large_pages = self.large_pages
        for s in self.slab_caches:
            new.add(self.copy_of(s))
        for s in self.cache_at.values():
            if s.va not in new.cache_at:  # going, but its slabs are not yet free
                new.cache_at[s.va] = self.copy_of(s)
        new.kmem_cache = new.cache_at.get(self.kmem_cache.va)
        new.kmalloc_caches = [[s and new.cache_at[s.va] for s in row] for row in self.kmalloc_caches]
        for i in range(24):
            new.size_index[i] = self.size_index[i]
        self.copy_rest(new, memo)
        return new

    cdef int copy_rest(self, SlabAllocator new, dict memo) except -1:
        # what an allocator has beyond caches
        return 0

    cdef KmemCache copy_of(self, KmemCache s):
        cdef KmemCache new = self.new_cache()
        new.name, new.va, new.name_va, new.ctor, new.aliases = s.name, s.va, s.name_va, s.ctor, list(s.aliases)
        new.object_size, new.size, new.align, new.flags = s.object_size, s.size, s.align, s.flags
        new.useroffset, new.usersize, new.refcount, new.random_seq = s.useroffset, s.usersize, s.refcount, s.random_seq
        return new

    # ---------------------------------------------------------------- what each allocator does its own way

    cdef KmemCache new_cache(self):
        return KmemCache()

    cdef int open(self, KmemCache s, uint32_t flags) except? 1:
        raise NotImplementedError

    cdef str no_layout(self, KmemCache s):
        # why no slab holds an object of this cache, if that is so
        return ""

    cdef uint32_t kmem_cache_flags(self, uint32_t object_size, uint32_t flags, str name) except? 0xFFFFFFFFU:
        return flags

    cdef uint32_t alloc(self, KmemCache s, uint32_t gfp_mask) except? 1:
        raise NotImplementedError

    cdef int free(self, KmemCache s, uint32_t va) except -1:
        raise NotImplementedError

    cdef list alloc_bulk(self, KmemCache s, uint32_t gfp_mask, uint32_t count):
        # __kmem_cache_alloc_bulk()
        cdef list objects = []
        cdef uint32_t va
        while <uint32_t>len(objects) < count:
            va = self.alloc(s, gfp_mask)
            if not va:
                self.free_bulk(s, objects)
                return []
            objects.append(va)
        return objects

    cdef int free_bulk(self, KmemCache s, list objects) except -1:
        # __kmem_cache_free_bulk()
        for va in objects:
            if s is None:
                self.kfree(va)
            else:
                self.free(s, va)
        return 0

    cdef int shrink(self, KmemCache s) except -1:
        raise NotImplementedError

    cdef int shutdown(self, KmemCache s) except -1:
        raise NotImplementedError

    cdef int release(self, KmemCache s) except -1:
        raise NotImplementedError

    cdef uint32_t kmalloc(self, uint32_t size, uint32_t gfp_mask) except? 1:
        cdef KmemCache s
        if size > self.kmalloc_max_cache_size:
            # SLAB has caches up to the largest size; the page allocator, which warns, is asked for more only where the
            # compiler knows the size.
            return 0 if self.kmalloc_shift_high == self.kmalloc_shift_max else self.kmalloc_order(size, gfp_mask)
        s = self.kmalloc_slab(size, gfp_mask)
        return ZERO_SIZE_PTR if s is None else self.alloc(s, gfp_mask)

    cdef int kfree(self, uint32_t va) except -1:
        cdef uint32_t pfn
        cdef Page *page
        if va <= ZERO_SIZE_PTR:
            return 0
        pfn = self.head_page(va)
        page = &self.g.map[pfn] if pfn != NO_PAGE else NULL
        if page != NULL and page.flags & PG_slab:
            return self.free(self.cache_of(page.mapping), va)
        if page == NULL or not page.flags & PG_head:
            kernel_bug(self.k, "mm/slub.c:4118", "kfree")
            return 0
        return self.free_large(pfn, compound_order(self.g, pfn))

    cdef int free_large(self, uint32_t pfn, uint32_t order) except -1:
        self.large_pages -= <int64_t>1 << order
        return self.pages.free(pfn, order, False)

    cdef uint32_t ksize(self, uint32_t va) except? 1:
        cdef uint32_t pfn
        cdef Page *page
        if va <= ZERO_SIZE_PTR:
            return 0
        pfn = self.head_page(va)
        if pfn == NO_PAGE:
            return 0
        page = &self.g.map[pfn]
        if page.flags & PG_slab:
            return self.cache_of(page.mapping).object_size
        if not page.flags & PG_head:
            slab_warning(self.k, "mm/slub.c:4096", func="__ksize")
            return PAGE_SIZE
        return <uint32_t>PAGE_SIZE << compound_order(self.g, pfn)

    def heap_object(self, uint32_t va):
        """What copies to programs are checked against; SLOB has no such checks.

        Source: security/Kconfig HAVE_HARDENED_USERCOPY_ALLOCATOR
        """
        return None

    def snapshot(self):
        """Every cache with its slabs and lists, in the form of a recording's objects.json."""
        raise NotImplementedError

    def slabs(self):
        """Every block of pages that the allocator holds, by address: first pfn, pages, and its cache's name.

        SLOB's pages are of no cache; what kmalloc() got straight from the page allocator is not here.
        """
        cdef Page *map = self.g.map
        cdef uint32_t pfn = self.g.base
        cdef uint32_t pages
        slob = self.k.build.config.SLOB
        found = []
        while pfn < self.g.end:
            pages = 1
            if map[pfn].page_type & PG_buddy:
                pages = <uint32_t>1 << map[pfn].private_
            elif map[pfn].flags & PG_slab:
                pages = <uint32_t>1 << compound_order(self.g, pfn)
                cache = None if slob else self.cache_at.get(map[pfn].mapping)
                found.append((pfn, pages, getattr(cache, "name", "")))
            pfn += pages
        return found

    # ---------------------------------------------------------------- caches

    cdef uint32_t calculate_alignment(self, uint32_t flags, uint32_t align, uint32_t size) noexcept:
        cdef uint32_t ralign
        if flags & SLAB_HWCACHE_ALIGN:
            ralign = self.kmalloc_min_size  # cache_line_size()
            while size <= ralign // 2:
                ralign //= 2
            align = max(align, ralign)
        return align_up(max(align, self.arch_slab_minalign), 4)

    cdef bint unmergeable(self, KmemCache s):
        return (self.slab_nomerge or s.flags & NEVER_MERGE or s.ctor is not None or s.usersize or s.refcount < 0)

    cdef KmemCache find_mergeable(self, uint32_t size, uint32_t align, uint32_t flags, str name, object ctor):
        cdef KmemCache s
        if self.slab_nomerge or ctor is not None:
            return None
        size = align_up(size, 4)
        align = self.calculate_alignment(flags, align, size)
        size = align_up(size, align)
        flags = self.kmem_cache_flags(size, flags, name)
        if flags & NEVER_MERGE:
            return None
        for s in self.slab_caches:
            if (self.unmergeable(s) or size > s.size or (flags ^ s.flags) & MERGE_SAME
                    or s.size & (align - 1) or s.size - size >= 4):
                continue
            if self.align_must_divide and align and (align > s.align or s.align % align):
                continue
            return s
        return None

    cdef KmemCache alias(self, str name, uint32_t size, uint32_t align, uint32_t flags, object ctor):
        # __kmem_cache_alias()
        cdef KmemCache s = self.find_mergeable(size, align, flags, name, ctor)
        if s is not None:
            s.refcount += 1
            s.object_size = max(s.object_size, size)
            s.aliases.append(name)
        return s

    cdef int add(self, KmemCache s) except -1:
        # list_add(&s->list, &slab_caches)
        self.slab_caches.append(s)
        self.cache_at[s.va] = s
        return 0

    cdef int forget(self, KmemCache s) except -1:
        self.slab_caches.remove(s)
        del self.cache_at[s.va]
        return 0

    cdef int create_boot_cache(self, KmemCache s, str name, uint32_t size, uint32_t flags, uint32_t useroffset,
                               uint32_t usersize) except -1:
        cdef uint32_t align = self.kmalloc_min_size
        cdef int error
        s.name = name
        s.size = s.object_size = size
        if size & (size - 1) == 0:
            align = max(align, size)
        s.align = self.calculate_alignment(flags, align, size)
        s.useroffset = useroffset
        s.usersize = usersize
        error = self.open(s, flags)
        if error:
            raise KernelPanic(f"Creation of kmalloc slab {name} size={size} failed. Reason {error}",
                              self.no_layout(s) or "no free memory for it")
        s.refcount = -1
        return 0

    cdef KmemCache create_kmalloc_cache(self, str name, uint32_t size, uint32_t flags):
        cdef KmemCache s = self.new_cache()
        s.va = self.alloc(self.kmem_cache, GFP_NOWAIT | __GFP_ZERO)
        if not s.va:
            raise KernelPanic(f"Out of memory when creating slab {name}", "no free memory for it")
        self.create_boot_cache(s, name, size, flags, 0, size)
        self.add(s)
        s.refcount = 1
        return s

    # ---------------------------------------------------------------- kmalloc's caches

    cdef int setup_kmalloc_cache_index_table(self) except -1:
        cdef uint32_t size
        for size in range(8, min(self.kmalloc_min_size, 193), 8):
            self.size_index[(size - 1) // 8] = self.kmalloc_shift_low
        if self.kmalloc_min_size >= 64:
            for size in range(72, 97, 8):
                self.size_index[(size - 1) // 8] = 7
        if self.kmalloc_min_size >= 128:
            for size in range(136, 193, 8):
                self.size_index[(size - 1) // 8] = 8
        return 0

    cdef int new_kmalloc_cache(self, uint32_t index, uint32_t type_, uint32_t flags) except -1:
        size, name = KMALLOC_INFO[index]
        if type_ == KMALLOC_RECLAIM:
            flags |= SLAB_RECLAIM_ACCOUNT
        self.kmalloc_caches[type_][index] = self.create_kmalloc_cache(_KMALLOC_PREFIX[type_] + name, size, flags)
        return 0

    cdef int create_kmalloc_caches(self, uint32_t flags) except -1:
        cdef uint32_t type_, i
        for type_ in range(KMALLOC_DMA):
            for i in range(self.kmalloc_shift_low, self.kmalloc_shift_high + 1):
                if self.kmalloc_caches[type_][i] is None:
                    self.new_kmalloc_cache(i, type_, flags)
                if self.kmalloc_min_size <= 32 and i == 6 and self.kmalloc_caches[type_][1] is None:
                    self.new_kmalloc_cache(1, type_, flags)
                if self.kmalloc_min_size <= 64 and i == 7 and self.kmalloc_caches[type_][2] is None:
                    self.new_kmalloc_cache(2, type_, flags)
        self.slab_state = UP
        if self.zone_dma:
            for i in range(self.kmalloc_shift_high + 1):
                if self.kmalloc_caches[KMALLOC_NORMAL][i] is not None:
                    self.new_kmalloc_cache(i, KMALLOC_DMA, SLAB_CACHE_DMA | flags)
        return 0

    def nr_kmalloc_caches(self):
        """How many caches create_kmalloc_caches() makes."""
        sizes = (self.kmalloc_shift_high + 1 - self.kmalloc_shift_low + (self.kmalloc_min_size <= 32)
                 + (self.kmalloc_min_size <= 64))
        return sizes * (3 if self.zone_dma else 2)

    cdef int cache_random_seq_create(self, KmemCache s, uint32_t count, uint32_t gfp_mask) except? 1:
        # room for the random order of a slab's objects; 0 or -ENOMEM
        if not self.freelist_random or count < 2 or s.random_seq:
            return 0
        s.random_seq = self.kmalloc(4 * count, gfp_mask | __GFP_ZERO)
        return 0 if s.random_seq else -ENOMEM

    cdef uint32_t create_flags(self, uint32_t flags) noexcept:
        # of those that a new cache is asked with, the ones that this allocator knows
        return flags & self.cache_create_mask

    cdef KmemCache adopt(self, uint32_t va, uint32_t size, uint32_t align, uint32_t flags, object ctor):
        # create_cache() with a descriptor that is there already; None when there is no memory
        cdef KmemCache s = self.new_cache()
        cdef uint32_t most = <uint32_t>1 << self.kmalloc_shift_max
        if not size or size > most or not align or align > most or align & (align - 1):
            return None
        s.va = va
        s.size = s.object_size = size
        s.align = align
        s.ctor = ctor
        if self.open(s, flags):
            return None
        s.refcount = 1
        self.add(s)
        return s

    cdef KmemCache kmalloc_slab(self, uint32_t size, uint32_t gfp_mask):
        cdef uint32_t index = 0
        cdef uint32_t type_ = KMALLOC_NORMAL
        if size == 0 or size > self.kmalloc_max_cache_size:
            return None
        if size <= 192:
            index = self.size_index[(size - 1) // 8]
        else:
            while (size - 1) >> index:  # fls(size - 1)
                index += 1
        if gfp_mask & (__GFP_DMA | __GFP_RECLAIMABLE):
            if gfp_mask & __GFP_DMA and self.zone_dma:
                type_ = KMALLOC_DMA
            elif gfp_mask & __GFP_RECLAIMABLE or self.zone_dma:
                type_ = KMALLOC_RECLAIM
        return self.kmalloc_caches[type_][index]

    cdef uint32_t kmalloc_order(self, uint32_t size, uint32_t gfp_mask) except? 1:
        cdef uint32_t pfn
        cdef uint32_t order = get_order(size)
        gfp_mask = fix_flags(self.k, gfp_mask) | __GFP_COMP
        pfn = self.pages.alloc(gfp_mask, order)
        if pfn == NO_PAGE:
            return 0
        self.large_pages += <int64_t>1 << order
        return self.page_va(pfn)

    # ---------------------------------------------------------------- from an object to its slab

    cdef KmemCache cache_of(self, uint32_t va):
        # the cache that a slab's page names
        s = self.cache_at.get(va)
        if s is None:
            raise SlabError(f"the page says that it is a slab of the cache at {va:#x}, where none is: somebody wrote "
                            "its struct page; the kernel would go on in whatever lies there")
        return s

    cdef int clear(self, uint32_t va, uint32_t size) except -1:
        # memset(), of what a list of free objects led to
        cdef uint32_t offset = va - self.first_va
        if offset >= self.nr_vas or size > self.nr_vas - offset:
            raise SlabError(f"a free object is said to lie at {va:#x}, where no RAM is: somebody wrote into memory "
                            "that was free; the kernel would take an oops as it clears it")
        memset(self.at(va), 0, size)
        return 0

    cdef KmemCache virt_to_cache(self, uint32_t va):
        cdef uint32_t pfn = self.head_page(va)
        if pfn == NO_PAGE or not self.g.map[pfn].flags & PG_slab:
            slab_warning(self.k, "mm/slab.h:435", "virt_to_cache: Object is not a Slab page!", func="kmem_cache_free",
                         once=True)
            return None
        return self.cache_at.get(self.g.map[pfn].mapping)


cdef uint32_t fix_flags(k, uint32_t gfp_mask) except? 0xFFFFFFFFU:
    """A mask without what no slab can be made of: high memory, DMA32, bits that do not exist.

    Source: mm/slab_common.c kmalloc_fix_flags()
    """
    cdef uint32_t wrong = gfp_mask & <uint32_t>GFP_SLAB_BUG_MASK
    if wrong:
        gfp_mask &= ~<uint32_t>GFP_SLAB_BUG_MASK
        printk(k, KERN_WARNING, "Unexpected gfp: {wrong:#x} ({wrong_names}). Fixing up to gfp: {gfp:#x} ({names}). Fix "
               "your code!", func="kmalloc_fix_flags", wrong=wrong, wrong_names=format_gfp_flags(wrong), gfp=gfp_mask,
               names=format_gfp_flags(gfp_mask))
    return gfp_mask


cdef int check_own(SlabAllocator a, KmemCache s) except -1:
    if s is None or a.cache_at.get(s.va) is not s:
        raise SlabError(f"{s!r}: not a cache of this machine, or destroyed")
    return 0


def dump_unreclaimable_slab(k):
    """Log how much the caches hold whose slabs nobody can take back.

    Source: mm/slab_common.c dump_unreclaimable_slab()
    """
    config = k.build.config
    if not config.SLAB and not config.SLUB_DEBUG:
        return
    printk(k, KERN_INFO, "Unreclaimable slab info:")
    printk(k, KERN_INFO, "Name                      Used          Total")
    for s in reversed(k.mm.slab.slab_caches):
        if s.flags & SLAB_RECLAIM_ACCOUNT:
            continue
        active, total, size = map(int, k.mm.slab.slabinfo(s)[len(s.name):].split()[:3])
        if total:
            printk(k, KERN_INFO, "{name:<17} {used:10}KB {total:10}KB", name=s.name, used=active * size // 1024,
                   total=total * size // 1024)
