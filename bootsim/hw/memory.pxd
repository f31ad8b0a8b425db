# Physical memory for other Cython modules: raw loads and stores without bounds checks.
from libc.stdint cimport uint32_t, uint64_t


cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint32_t bootsim_le32_load(const unsigned char *p) {
        uint32_t w;
        memcpy(&w, p, 4);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        w = __builtin_bswap32(w);
    #endif
        return w;
    }
    static inline void bootsim_le32_store(unsigned char *p, uint32_t w) {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        w = __builtin_bswap32(w);
    #endif
        memcpy(p, &w, 4);
    }
    """
    uint32_t bootsim_le32_load(const unsigned char *p) noexcept nogil
    void bootsim_le32_store(unsigned char *p, uint32_t w) noexcept nogil


cdef class PhysicalMemory:
    cdef unsigned char *base  # host address of pa 0; base[0 .. 2**32 + PAD_BYTES) is mapped
    cdef uint64_t *banks      # start and end (pa) of each bank; with none, memory is everywhere
    cdef size_t nr_banks

    cdef inline uint32_t load32(self, uint32_t pa) noexcept nogil:
        return bootsim_le32_load(self.base + pa)

    cdef inline void store32(self, uint32_t pa, uint32_t word) noexcept nogil:
        bootsim_le32_store(self.base + pa, word)

    cdef inline bint fitted(self, uint64_t pa) noexcept nogil:
        # whether memory answers at pa
        cdef size_t i
        if self.nr_banks == 0:
            return pa >> 32 == 0
        for i in range(self.nr_banks):
            if self.banks[2 * i] <= pa < self.banks[2 * i + 1]:
                return True
        return False

    cdef void clear(self, unsigned long long pa, unsigned long long size) noexcept nogil
    cdef void populate(self, unsigned long long start, unsigned long long end) noexcept nogil

cdef int copy_touched(unsigned char *to, const unsigned char *source, size_t size, bint swapped) except -1

cdef unsigned char *map_zeroed(size_t size, what) except NULL
cdef void unmap(unsigned char *memory, size_t size) noexcept
