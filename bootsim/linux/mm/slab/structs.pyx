"""SLAB's caches and arrays of free objects, as the parts of mm/slab.c share them."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.linux.mm.page_alloc cimport NO_PAGE
from bootsim.linux.mm.slab_common cimport KmemCache


cdef bint obj_freelist(SlabCache s) noexcept:
    return s.flags & <uint32_t>CFLGS_OBJFREELIST_SLAB != 0


cdef bint off_slab(SlabCache s) noexcept:
    return s.flags & <uint32_t>CFLGS_OFF_SLAB != 0


cdef void free_arrays(ArrayCache *arrays, uint32_t count) noexcept:
    cdef uint32_t i
    if arrays != NULL:
        for i in range(count):
            free(arrays[i].entry)
        free(arrays)


cdef ArrayCache *new_arrays(uint32_t count, uint32_t limit, uint32_t batchcount) except NULL:
    cdef ArrayCache *arrays = <ArrayCache *>calloc(count, sizeof(ArrayCache))
    cdef uint32_t i
    if arrays == NULL:
        raise MemoryError
    for i in range(count):
        arrays[i].limit = limit
        arrays[i].batchcount = batchcount
        arrays[i].entry = <uint32_t *>calloc(max(limit, 1), sizeof(uint32_t))
        if arrays[i].entry == NULL:
            free_arrays(arrays, count)
            raise MemoryError
    return arrays


cdef ArrayCache *copy_arrays(const ArrayCache *arrays, uint32_t count) except? NULL:
    cdef ArrayCache *copied
    cdef uint32_t i
    if arrays == NULL or not count:
        return NULL
    copied = new_arrays(count, arrays[0].limit, arrays[0].batchcount)
    for i in range(count):
        copied[i].avail, copied[i].touched = arrays[i].avail, arrays[i].touched
        memcpy(copied[i].entry, arrays[i].entry, arrays[i].limit * sizeof(uint32_t))
    return copied


cdef class SlabCache(KmemCache):
    """One cache of SLAB (struct kmem_cache, struct kmem_cache_node)."""

    def __cinit__(self):
        cdef int i
        self.grown = NO_PAGE
        for i in range(3):
            self.lists[i].first = self.lists[i].last = NO_PAGE

    def __dealloc__(self):
        free_arrays(self.cpu_cache, self.nr_cpus)
        free_arrays(self.shared_array, 1)
