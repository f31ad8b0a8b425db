# Slots in store for each processor.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.swapfile.areas cimport SwapAreas

cdef enum:
    SWAP_SLOTS_CACHE_SIZE = 64
    THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE = 5 * 64
    THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE = 2 * 64


cdef struct SwapSlotsCache:     # struct swap_slots_cache
    int nr
    int cur
    int n_ret
    uint32_t slots[SWAP_SLOTS_CACHE_SIZE]
    uint32_t slots_ret[SWAP_SLOTS_CACHE_SIZE]


cdef class SwapSlots(SwapAreas):
    cdef readonly bint swap_slot_cache_enabled
    cdef readonly bint swap_slot_cache_active
    cdef uint32_t nr_caches             # online processors; 0 before the first swapon(), or without memory for stores
    cdef bint warned                    # that there was none
    cdef SwapSlotsCache *swp_slots

    cdef bint alloc_swap_slot_caches(self) except? -1
    cdef int make_caches(self, uint32_t nr_cpus) except -1
    cdef int drain(self) except -1
    cdef bint check_cache_active(self) except? -1
    cdef uint32_t get_swap_page(self, uint32_t pfn) except? 0
