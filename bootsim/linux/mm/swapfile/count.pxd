# Counts of a slot's users beyond what its byte holds.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.page_alloc.structs cimport Pgdat
from bootsim.linux.mm.swapfile.info cimport SwapInfo

cdef uint32_t head_page(SwapInfo si, uint32_t offset) noexcept nogil
cdef bint attach(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count, uint32_t pfn) noexcept
cdef bint swap_count_continued(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count) noexcept
cdef int64_t continued_count(Pgdat *g, SwapInfo si, uint32_t offset, unsigned char count) noexcept
cdef void detach(Pgdat *g, SwapInfo si, uint32_t offset) noexcept
