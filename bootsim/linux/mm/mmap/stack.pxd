# Mappings that grow downwards.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, VmAreaStruct

cdef int64_t expand_stack(VmAreaStruct vma, uint32_t address) except? NO_ANSWER
cdef VmAreaStruct find_extend_vma(UserMm mm, uint32_t addr)
