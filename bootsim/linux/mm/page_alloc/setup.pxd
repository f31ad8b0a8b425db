from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Zone

cdef uint32_t zone_batchsize(const Zone *zone) noexcept nogil
