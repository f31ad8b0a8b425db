# What a machine has promised to its processes, and where their mappings begin.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, Processes, UserMm

cdef int64_t vm_enough_memory(UserMm mm, int64_t pages) except? NO_ANSWER
cdef void vm_acct_memory(Processes processes, int64_t pages) noexcept
cdef void vm_unacct_memory(Processes processes, int64_t pages) noexcept
cdef int arch_pick_mmap_layout(UserMm mm) except -1
cdef uint32_t get_mm_rss(UserMm mm) except? 0
cdef int update_hiwater_rss(UserMm mm) except -1
