# Second-level entries for other Cython modules (arch/arm/mm/proc-v7-2level.S).
from libc.stdint cimport uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.pgtable_2level cimport (
    L_PTE_DIRTY, L_PTE_NONE, L_PTE_RDONLY, L_PTE_USER, L_PTE_VALID, L_PTE_XN, L_PTE_YOUNG,
    PTE_EXT_AP0, PTE_EXT_AP1, PTE_EXT_APX, PTE_EXT_TEX_1, PTE_EXT_XN, PTE_HWTABLE_OFF, PTE_TYPE_MASK)


cdef inline uint32_t hardware_pte(uint32_t pte, uint32_t ext) noexcept nogil:
    # The hardware's entry for Linux's; 0 when the page is not young, not valid, or PROT_NONE.
    cdef uint32_t hw
    if not pte & L_PTE_YOUNG or not pte & L_PTE_VALID or pte & L_PTE_NONE:
        return 0
    hw = (pte & ~<uint32_t>(0x3F0 | PTE_TYPE_MASK)) | ext | PTE_EXT_AP0 | 2
    if pte & 1 << 4:
        hw |= PTE_EXT_TEX_1
    if pte & L_PTE_RDONLY or not pte & L_PTE_DIRTY:
        hw |= PTE_EXT_APX
    if pte & L_PTE_USER:
        hw |= PTE_EXT_AP1
    if pte & L_PTE_XN:
        hw |= PTE_EXT_XN
    return hw


cdef inline void set_pte_ext(PhysicalMemory ram, uint32_t ptep_pa, uint32_t pte, uint32_t ext) noexcept nogil:
    ram.store32(ptep_pa, pte)
    ram.store32(ptep_pa + PTE_HWTABLE_OFF, hardware_pte(pte, ext))
