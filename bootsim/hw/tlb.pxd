# The TLB for other Cython modules.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.hw.mmu cimport Cp15, Walk

cdef struct Entry:
    Walk w                 # of the first address of what it maps
    bint valid
    uint8_t asid

cdef class Tlb:
    cdef Entry *lines      # sets * ways, the ways of a set together
    cdef uint32_t *victim  # by set: the way to be replaced next
    cdef uint32_t held[5]  # by WalkKind: how many entries are valid
    cdef readonly uint32_t sets, ways
    cdef readonly uint64_t hits, misses, evictions, invalidated, forgotten
    cdef public bint listens
    cdef dict operations

    cdef Entry *lookup(self, Cp15 cp15, uint32_t va) noexcept nogil
    cdef void fill(self, Cp15 cp15, Walk *w) noexcept nogil
    cdef void access(self, PhysicalMemory ram, Cp15 cp15, uint32_t va, int access, bint privileged,
                     Walk *w) noexcept nogil
    cdef bint heard(self, str name)
    cdef void drop(self, Entry *e) noexcept nogil
    cdef int drop_address(self, uint32_t va, int asid) except -1
