# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Loops over the page allocator's C functions, for bench_buddy.py. Compiled by the benchmark itself."""

from libc.stdint cimport uint32_t, uint64_t

from bootsim.linux.mm.page_alloc cimport NO_PAGE, Pglist, alloc_pages_nodemask, free_pages_by_refcount
from bootsim.linux.mm.slab_common cimport KmemCache, SlabAllocator


def pairs(Pglist p, uint32_t gfp_mask, uint32_t count, uint32_t order):
    """Allocate a block and free it at once, `count` times. Returns how many blocks there were."""
    cdef uint32_t _i, pfn, got = 0
    with nogil:
        for _i in range(count):
            pfn = alloc_pages_nodemask(p.g, gfp_mask, order)
            if pfn != NO_PAGE:
                got += 1
                free_pages_by_refcount(p.g, pfn, order)
    return got


def mixed(Pglist p, uint32_t gfp_mask, uint32_t count, uint32_t orders):
    """Keep 1024 blocks of random orders below `orders`; replace a random one `count` times, then free them all."""
    cdef uint32_t[1024] pfns
    cdef uint32_t[1024] held
    cdef uint64_t x = 88172645463325252
    cdef uint32_t i, slot, got = 0
    with nogil:
        for i in range(1024):
            pfns[i] = NO_PAGE
            held[i] = 0
        for i in range(count + 1024):
            x ^= x << 13
            x ^= x >> 7
            x ^= x << 17
            slot = x & 1023 if i < count else i - count
            if pfns[slot] != NO_PAGE:
                free_pages_by_refcount(p.g, pfns[slot], held[slot])
                pfns[slot] = NO_PAGE
            if i < count:
                held[slot] = (x >> 20) % orders
                pfns[slot] = alloc_pages_nodemask(p.g, gfp_mask, held[slot])
                if pfns[slot] != NO_PAGE:
                    got += 1
    return got


def object_pairs(SlabAllocator slab, KmemCache s, uint32_t gfp_mask, uint32_t count):
    """Allocate an object and free it at once, `count` times. Returns how many there were."""
    cdef uint32_t _i, va, got = 0
    for _i in range(count):
        va = slab.alloc(s, gfp_mask)
        if va:
            got += 1
            slab.free(s, va)
    return got


def object_mixed(SlabAllocator slab, KmemCache s, uint32_t gfp_mask, uint32_t count):
    """Keep 1024 objects; replace a random one `count` times, then free them all."""
    cdef uint32_t[1024] held
    cdef uint64_t x = 88172645463325252
    cdef uint32_t i, slot, got = 0
    for i in range(1024):
        held[i] = 0
    for i in range(count + 1024):
        x ^= x << 13
        x ^= x >> 7
        x ^= x << 17
        slot = x & 1023 if i < count else i - count
        if held[slot]:
            slab.free(s, held[slot])
            held[slot] = 0
        if i < count:
            held[slot] = slab.alloc(s, gfp_mask)
            got += held[slot] != 0
    return got
