# anon_vmas of VMAs: what an anonymous page is found by.
from bootsim.linux.mm.mmap.structs cimport AnonVma, Processes, VmAreaStruct

cdef int anon_vma_prepare(VmAreaStruct vma) except -1
cdef int anon_vma_clone(VmAreaStruct dst, VmAreaStruct src) except -1
cdef int anon_vma_fork(VmAreaStruct vma, VmAreaStruct pvma) except -1
cdef int unlink_anon_vmas(VmAreaStruct vma) except -1
cdef void get_anon_vma(AnonVma anon_vma)
cdef int put_anon_vma(Processes processes, AnonVma anon_vma) except -1
cdef int pre_update_vma(VmAreaStruct vma) except -1
cdef int post_update_vma(VmAreaStruct vma) except -1
