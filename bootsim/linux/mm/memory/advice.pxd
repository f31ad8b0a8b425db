# What madvise() does to entries.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.memory.tables cimport TablePages
from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, VmAreaStruct

cdef int64_t advise(TablePages pages, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER
