# The thread that reclaims.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.page_alloc.node cimport Pglist
from bootsim.linux.mm.vmscan.control cimport Reclaimer

cdef int run_kswapd(Pglist p, Reclaimer reclaimer, int order, uint32_t highest_zoneidx) except -1
