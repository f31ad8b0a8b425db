# struct processor (arch/arm/include/asm/proc-fns.h), as far as memory sees it.
from libc.stdint cimport uint32_t

from bootsim.hw.memory cimport PhysicalMemory


cdef class Processor:
    cdef readonly int set_pte
    cdef readonly bint writethrough
    cdef uint32_t hardware_pte(self, uint32_t pte, uint32_t ext) noexcept nogil
    cdef void set_pte_ext(self, PhysicalMemory ram, uint32_t ptep_pa, uint32_t pte, uint32_t ext) noexcept nogil
