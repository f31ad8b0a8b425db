# Memory types for other Cython modules.
from libc.stdint cimport uint32_t


cdef class MemType:
    cdef public uint32_t prot_pte, prot_l1, prot_sect
    cdef public int domain
