from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport CompactControl, Pgdat

cdef uint32_t compaction_alloc(Pgdat *g, CompactControl *cc) noexcept nogil
cdef int64_t release_freepages(Pgdat *g, uint32_t head) noexcept nogil
