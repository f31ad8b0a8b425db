# Finding, linking, splitting and merging VMAs.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport *

cdef struct Links:
    uint32_t parent     # below which node of mm_rb a VMA belongs
    int side
    uint32_t prev       # the node of the VMA before it, 0 where there is none

cdef VmAreaStruct find_vma(UserMm mm, uint32_t addr)
cdef VmAreaStruct find_vma_intersection(UserMm mm, uint32_t start, uint32_t end)
cdef VmAreaStruct last_vma(UserMm mm)
cdef int64_t find_vma_links(UserMm mm, uint32_t addr, uint32_t end, Links *links)
cdef uint32_t vm_start_gap(VmAreaStruct vma) noexcept
cdef void vma_gap_update(VmAreaStruct vma) noexcept
cdef void link_list(UserMm mm, VmAreaStruct vma, VmAreaStruct prev)
cdef int link_rb(UserMm mm, VmAreaStruct vma, uint32_t parent, int side) except -1
cdef int vma_link(UserMm mm, VmAreaStruct vma, Links *links) except -1
cdef int64_t vma_adjust(VmAreaStruct vma, uint32_t start, uint32_t end, uint32_t pgoff, VmAreaStruct insert,
                        VmAreaStruct expand) except? NO_ANSWER
cdef VmAreaStruct vma_merge(UserMm mm, VmAreaStruct prev, uint32_t addr, uint32_t end, uint32_t vm_flags,
                            AnonVma anon_vma, object file, uint32_t pgoff)
cdef int64_t __split_vma(UserMm mm, VmAreaStruct vma, uint32_t addr, bint new_below) except? NO_ANSWER
cdef int64_t split_vma(UserMm mm, VmAreaStruct vma, uint32_t addr, bint new_below) except? NO_ANSWER
cdef VmAreaStruct vm_area_alloc(UserMm mm)
cdef VmAreaStruct vm_area_dup(VmAreaStruct orig)
cdef int detach_vmas(UserMm mm, VmAreaStruct vma, VmAreaStruct prev, uint32_t end) except -1
cdef int unlink_file_vma(VmAreaStruct vma) except -1
cdef int remove_shared_vm_struct(VmAreaStruct vma, object file) except -1
cdef int get_file(object file) except -1
cdef int fput(object file) except -1
