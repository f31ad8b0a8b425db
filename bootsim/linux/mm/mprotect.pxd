# Flags of a part of a VMA changed.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, VmAreaStruct

cdef class Prev:
    cdef VmAreaStruct vma

cdef int64_t split_both(UserMm mm, VmAreaStruct vma, uint32_t start, uint32_t end) except? NO_ANSWER
cdef int64_t mprotect_fixup(VmAreaStruct vma, Prev prev, uint32_t start, uint32_t end,
                            uint32_t newflags) except? NO_ANSWER
