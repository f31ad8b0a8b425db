# Ranges of kernel virtual addresses, taken and free.
from libc.stdint cimport uint32_t

from bootsim.linux.lib.rbtree cimport RbTree


cdef struct Links:
    uint32_t parent
    int side


cdef class RangeTree(RbTree):
    cdef uint32_t *start        # of each node's range; the end is start + size
    cdef uint32_t *va_at        # address of the struct vmap_area, 0 where none is kept

    cdef uint32_t end(self, uint32_t n) noexcept
    cdef int links(self, uint32_t start, uint32_t end, uint32_t at, Links *found) except -1
    cdef uint32_t add(self, uint32_t start, uint32_t end, uint32_t va_at, uint32_t at) except 0
    cdef uint32_t link(self, uint32_t start, uint32_t end, uint32_t va_at, Links *where) except 0
    cdef int remove(self, uint32_t n) except -1
    cdef uint32_t find(self, uint32_t addr) noexcept


cdef class VmapAreas:
    cdef readonly RangeTree busy_tree   # vmap_area_root
    cdef readonly RangeTree free_tree   # free_vmap_area_root
    cdef readonly list purge_list       # (start, end, address of the vmap_area), oldest first
    cdef readonly Py_ssize_t lazy_nr    # vmap_lazy_nr: pages on the purge list
    cdef readonly tuple purged          # where the last purge was: start, end
    cdef public object cache            # gives and takes the structs' memory; None: kept by nobody
    cdef readonly dict preload          # ne_fit_preload_node, by cpu

    cdef object below(self, uint32_t n)
    cdef uint32_t lowest_match(self, uint32_t size, uint32_t align, uint32_t vstart) noexcept
    cdef bint is_within(self, uint32_t n, uint32_t size, uint32_t align, uint32_t vstart) noexcept
    cdef int adjust(self, uint32_t n, uint32_t start, uint32_t size, uint32_t cpu) except -1
    cdef int merge_or_add(self, uint32_t start, uint32_t end, uint32_t va_at) except -1
    cdef int forget(self, uint32_t va_at) except -1
    cdef uint32_t enclosing(self, uint32_t addr) noexcept
    cdef uint32_t end_from_reverse(self, uint32_t *n, uint32_t align, uint32_t limit) noexcept
    cdef bint pcpu_base(self, list offsets, list sizes, uint32_t align, uint32_t vstart, uint32_t vend,
                        uint32_t *found) except? False
