# What ARM maps into every process.
from libc.stdint cimport int64_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm

cdef int64_t arch_setup_additional_pages(UserMm mm) except? NO_ANSWER
