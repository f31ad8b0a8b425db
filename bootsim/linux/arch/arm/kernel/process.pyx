"""Pages of the kernel's own in every process: sigpage, vdso and its data (arch/arm/kernel/process.c, vdso.c)."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.brk cimport install_special_mapping
from bootsim.linux.mm.mmap.map cimport get_unmapped_area
from bootsim.linux.mm.mmap.structs cimport *

cdef enum:
    VDSO_TEXT_PAGES = 1


class VmSpecialMapping:
    """struct vm_special_mapping: the name of a mapping. `pages` are the frames that it shows, where they are known."""

    def __init__(self, name):
        self.name = name
        self.pages = []

    def __deepcopy__(self, memo):
        return self


def special_mapping_close(VmAreaStruct vma not None):
    """Nothing; that there is one keeps the mapping from merging. Source: mm/mmap.c special_mapping_close()"""


def special_mapping_name(VmAreaStruct vma not None):
    """What /proc/PID/maps calls it. Source: mm/mmap.c special_mapping_name()"""
    return vma.vm_private_data.name


def special_mapping_mremap(VmAreaStruct vma not None):
    """Keep the place of the sigpage or the vdso; 0, or -EINVAL for a part of the vdso.

    Source: mm/mmap.c special_mapping_mremap(), arch/arm/kernel/process.c sigpage_mremap(), vdso.c vdso_mremap()
    """
    if vma.vm_private_data is sigpage_mapping:
        vma.vm_mm.sigpage = vma.vm_start
    elif vma.vm_private_data is vdso_text_mapping:
        if vma_pages(vma) != VDSO_TEXT_PAGES:
            return -EINVAL
        vma.vm_mm.vdso = vma.vm_start
    return 0


special_mapping_vmops = VmOperationsStruct("special_mapping_vmops", close=special_mapping_close,
                                           name=special_mapping_name, mremap=special_mapping_mremap)
sigpage_mapping, vdso_data_mapping, vdso_text_mapping = (VmSpecialMapping(n) for n in ("[sigpage]", "[vvar]", "[vdso]"))


cdef uint32_t sigpage_addr(UserMm mm, uint32_t npages) noexcept:
    """Where the sigpage would best be: behind the stack; 0 where there is no room.

    Source: arch/arm/kernel/process.c sigpage_addr()
    Differs: the first of the places that the kernel chooses from by chance.
    """
    cdef uint32_t first = page_align(mm.start_stack)
    return first if first <= mm.task_size - (npages << PAGE_SHIFT) else 0


cdef int64_t arch_setup_additional_pages(UserMm mm) except? NO_ANSWER:
    """Map the sigpage, and the vdso where the kernel has one; 0 or -errno. A vdso that finds no room is done without.

    Source: arch/arm/kernel/process.c arch_setup_additional_pages(), vdso.c arm_install_vdso()
    Differs: the vdso's text is one page, which it is in every 5.10.
    """
    cdef uint32_t npages = 2 + VDSO_TEXT_PAGES if mm.processes.k.build.config.VDSO else 1
    cdef uint32_t code = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    cdef uint32_t addr
    cdef int64_t ret = get_unmapped_area(mm, None, sigpage_addr(mm, npages), npages << PAGE_SHIFT, 0, 0)
    if ret < 0:
        return ret
    addr = <uint32_t>ret
    ret = install_special_mapping(mm, addr, PAGE_SIZE, code, sigpage_mapping, special_mapping_vmops)
    if ret:
        return ret
    mm.sigpage = addr
    mm.vdso = 0
    if npages == 1:
        return 0
    addr += PAGE_SIZE
    if not install_special_mapping(mm, addr, PAGE_SIZE, VM_READ | VM_MAYREAD, vdso_data_mapping,
                                   special_mapping_vmops):
        addr += PAGE_SIZE
        if not install_special_mapping(mm, addr, VDSO_TEXT_PAGES << PAGE_SHIFT, code, vdso_text_mapping,
                                       special_mapping_vmops):
            mm.vdso = addr
    return 0
