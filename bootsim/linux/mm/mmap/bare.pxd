# Address spaces whose pages are known by what they do to VMAs alone.
from bootsim.linux.mm.mmap.structs cimport UserPages

cdef class BarePages(UserPages):
    cdef readonly object shmem_file     # shmem_file(size, vm_flags) makes the file of a shared anonymous mapping
