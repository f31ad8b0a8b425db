"""Slots in store for each processor: 64 taken at once, and as many given back at once (mm/swap_slots.c)."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.linux.mm.swapfile.areas cimport SwapAreas

from bootsim.linux.kernel.panic import warn
from bootsim.linux.mm.vmalloc.alloc import kvfree, kvzalloc


cdef class SwapSlots(SwapAreas):
    """Swap areas, with a store of slots for each processor while there is plenty."""

    def __dealloc__(self):
        free(self.swp_slots)

    def copy_to(self, SwapAreas other, memo):
        """Give a copy of the machine what this one has."""
        cdef SwapSlots new = other
        SwapAreas.copy_to(self, new, memo)
        new.swap_slot_cache_enabled, new.swap_slot_cache_active = (
            self.swap_slot_cache_enabled, self.swap_slot_cache_active)
        new.warned = self.warned
        if self.nr_caches:
            new.make_caches(self.nr_caches)
            memcpy(new.swp_slots, self.swp_slots, self.nr_caches * sizeof(SwapSlotsCache))

    cdef int make_caches(self, uint32_t nr_cpus) except -1:
        self.swp_slots = <SwapSlotsCache *>calloc(nr_cpus, sizeof(SwapSlotsCache))
        if self.swp_slots == NULL:
            raise MemoryError
        self.nr_caches = nr_cpus
        return 0

    def enable_swap_slots_cache(self):
        """Let the processors have stores, whose arrays the first swapon() allocates.

        Source: mm/swap_slots.c enable_swap_slots_cache()
        """
        if self.nr_caches or self.alloc_swap_slot_caches():
            self.reenable_swap_slots_cache()
        elif not self.warned:
            self.warned = True
            warn(self.k, "mm/swap_slots.c:248", "Cache allocation failed (enable_swap_slots_cache), operating without "
                 "swap slots cache.", func="enable_swap_slots_cache")

    cdef bint alloc_swap_slot_caches(self) except? -1:
        # For every processor an array to give out and one of what is given back; whether there was memory for them.
        # Source: mm/swap_slots.c alloc_swap_slot_cache(), free_slot_cache()
        cdef list arrays = []
        cdef Py_ssize_t wanted = 2 * self.k.nr_online_cpus
        while len(arrays) < wanted:
            va = kvzalloc(self.k, SWAP_SLOTS_CACHE_SIZE * sizeof(uint32_t))
            if not va:
                break
            arrays.append(va)
        if len(arrays) == wanted:
            self.make_caches(self.k.nr_online_cpus)
            return True
        if len(arrays) & 1:
            kvfree(self.k, arrays.pop())  # of the processor that has no second one; then those before it
        for va in arrays:
            kvfree(self.k, va)
        return False

    def reenable_swap_slots_cache(self):
        """Have the stores used if any area is on. Source: mm/swap_slots.c __reenable_swap_slots_cache()"""
        self.swap_slot_cache_enabled = self.has_usable_swap()

    def disable_swap_slots_cache(self):
        """Give all stores back, as long as an area is switched off.

        Source: mm/swap_slots.c disable_swap_slots_cache_lock()
        """
        self.swap_slot_cache_enabled = False
        self.drain()

    cdef int drain(self) except -1:
        # Source: mm/swap_slots.c __drain_swap_slots_cache(), drain_slots_cache_cpu()
        cdef SwapSlotsCache *cache
        cdef uint32_t cpu
        for cpu in range(self.nr_caches):
            cache = &self.swp_slots[cpu]
            self.swapcache_free_entries(&cache.slots[cache.cur], cache.nr)
            cache.cur = cache.nr = 0
            self.swapcache_free_entries(cache.slots_ret, cache.n_ret)
            cache.n_ret = 0
        return 0

    cdef bint check_cache_active(self) except? -1:
        # Source: mm/swap_slots.c check_cache_active()
        if not self.swap_slot_cache_enabled or not self.nr_caches:
            return False
        if not self.swap_slot_cache_active:
            self.swap_slot_cache_active = self.nr_swap_pages > <int>self.nr_caches * THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE
        elif self.nr_swap_pages < <int>self.nr_caches * THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE:
            self.swap_slot_cache_active = False
            self.drain()
        return self.swap_slot_cache_active

    cdef uint32_t get_swap_page(self, uint32_t pfn) except? 0:
        """A slot for a page, as a swap entry, in use by the swap cache; 0: none is free.

        Source: mm/swap_slots.c get_swap_page(), refill_swap_slots_cache()
        """
        cdef SwapSlotsCache *cache
        cdef uint32_t entry = 0
        if self.check_cache_active():
            cache = &self.swp_slots[self.g.cpu]
            if cache.nr == 0:
                cache.cur = 0
                cache.nr = self.get_swap_pages(SWAP_SLOTS_CACHE_SIZE, cache.slots)
            if cache.nr:
                entry = cache.slots[cache.cur]
                cache.slots[cache.cur] = 0
                cache.cur += 1
                cache.nr -= 1
                return entry
        self.get_swap_pages(1, &entry)
        return entry

    cdef int free_swap_slot(self, uint32_t entry) except -1:
        # Source: mm/swap_slots.c free_swap_slot(): kept until 64 are, and never given out from there
        cdef SwapSlotsCache *cache
        if not (self.swap_slot_cache_active and self.swap_slot_cache_enabled and self.nr_caches):
            return self.swapcache_free_entries(&entry, 1)
        cache = &self.swp_slots[self.g.cpu]
        if cache.n_ret >= SWAP_SLOTS_CACHE_SIZE:
            self.swapcache_free_entries(cache.slots_ret, cache.n_ret)
            cache.n_ret = 0
        cache.slots_ret[cache.n_ret] = entry
        cache.n_ret += 1
        return 0

    def caches(self):
        """(to give out, given back) of each processor: swap entries."""
        cdef uint32_t cpu
        cdef int i
        cdef SwapSlotsCache *c
        cdef list found = []
        for cpu in range(self.nr_caches):
            c = &self.swp_slots[cpu]
            found.append(([c.slots[i] for i in range(c.cur, c.cur + c.nr)], [c.slots_ret[i] for i in range(c.n_ret)]))
        return found
