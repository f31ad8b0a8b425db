# SLUB's reports, for its other modules.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc cimport Page
from bootsim.linux.mm.slub.objects cimport Slub
from bootsim.linux.mm.slub.slabs cimport SlubCache

cdef uint32_t info_end(SlubCache s) noexcept
cdef uint32_t size_from_object(SlubCache s) noexcept
cdef Page *page_at(Slub a, uint32_t pfn) except NULL
cdef bint valid_pointer(Slub a, SlubCache s, uint32_t pfn, uint32_t va)


cdef class SlubReport:
    cdef Slub a
