# Address spaces made, copied and let go.
from bootsim.linux.mm.mmap.structs cimport Processes, Task, UserMm

cdef UserMm mm_init(Processes processes, str name, Task current)
cdef int mmput(UserMm mm) except -1
