# What flags of a mapping become in its descriptors.
from libc.stdint cimport uint32_t

from bootsim.linux.mm.mmap.structs cimport Processes, VmAreaStruct

cdef uint32_t vm_get_page_prot(Processes processes, uint32_t vm_flags) noexcept
cdef uint32_t pgprot_modify(uint32_t oldprot, uint32_t newprot) noexcept
cdef bint vma_wants_writenotify(VmAreaStruct vma, uint32_t vm_page_prot) except -1
cdef int vma_set_page_prot(VmAreaStruct vma) except -1
