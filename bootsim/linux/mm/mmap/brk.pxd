# The heap, and mappings that the kernel itself makes.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, UserMm, VmAreaStruct, VmOperationsStruct

cdef int64_t vm_brk_flags(UserMm mm, uint32_t addr, uint32_t request, uint32_t flags) except? NO_ANSWER
cdef int64_t insert_vm_struct(UserMm mm, VmAreaStruct vma) except? NO_ANSWER
cdef int64_t install_special_mapping(UserMm mm, uint32_t addr, uint32_t length, uint32_t vm_flags, object spec,
                                     VmOperationsStruct ops) except? NO_ANSWER
