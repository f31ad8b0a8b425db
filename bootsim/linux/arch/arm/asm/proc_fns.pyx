"""The functions that differ between processors (struct processor, arch/arm/include/asm/proc-fns.h).

Of them memory sees one: how Linux's second-level entry becomes the hardware's, 2048 bytes above it.

    SET_PTE_V7      TEX remapping: TEX[0], C, B number a memory type (proc-v7-2level.S)
    SET_PTE_V6      extended small pages, TEX, C, B say it themselves (proc-macros.S armv6_set_pte_ext)
    SET_PTE_ARMV3   small pages with four equal subpages (proc-macros.S armv3_set_pte_ext)
    SET_PTE_ARMV3_WB   the same, whatever CONFIG_CPU_DCACHE_WRITETHROUGH says
    SET_PTE_XSCALE, SET_PTE_XSC3   XScale's extended small pages (proc-xscale.S, proc-xsc3.S)
"""

from libc.stdint cimport uint32_t

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.linux.arch.arm.asm.pgtable_2level cimport (
    L_PTE_DIRTY, L_PTE_MT_MASK, L_PTE_MT_WRITEBACK, L_PTE_MT_WRITETHROUGH, L_PTE_NONE, L_PTE_PRESENT, L_PTE_RDONLY,
    L_PTE_SHARED, L_PTE_USER, L_PTE_VALID, L_PTE_XN, L_PTE_YOUNG, PTE_EXT_AP0, PTE_EXT_AP1, PTE_EXT_APX, PTE_EXT_TEX_1,
    PTE_EXT_XN, PTE_HWTABLE_OFF, PTE_TYPE_MASK, PTE_TYPE_SMALL)

SET_PTE_V7, SET_PTE_V6, SET_PTE_ARMV3, SET_PTE_ARMV3_WB, SET_PTE_XSCALE, SET_PTE_XSC3 = range(6)

cdef enum:
    V7, V6, ARMV3, ARMV3_WB, XSCALE, XSC3
    PTE_BUFFERABLE = 1 << 2
    PTE_CACHEABLE = 1 << 3
    PTE_TYPE_EXT = 3
    PTE_SMALL_AP_MASK = 0xFF << 4
    PTE_SMALL_AP_UNO_SRW = 0x55 << 4
    PTE_SMALL_AP_URO_SRW = 0xAA << 4
    PTE_EXT_AP_UNO_SRW = 1 << 4
    PTE_EXT_AP_URO_SRW = 2 << 4
    PTE_EXT_COHERENT = 1 << 9
    TEX_1 = 1 << 6
    TEX_2 = 2 << 6
    TEX_5 = 5 << 6
    CB = 1 << 3 | 1 << 2

# what the sixteen memory types become, by L_PTE_MT >> 2
cdef uint32_t[16] ARMV6_MT_TABLE
cdef uint32_t[16] XSCALE_MT_TABLE
cdef uint32_t[16] XSC3_MT_TABLE
ARMV6_MT_TABLE[:] = [
    0, TEX_1, PTE_CACHEABLE, CB, PTE_BUFFERABLE, 0, 0, TEX_1 | CB, 0, TEX_1, 0, CB, TEX_2, 0, 0, CB | PTE_EXT_APX]
XSCALE_MT_TABLE[:] = [
    0, PTE_BUFFERABLE, PTE_CACHEABLE, CB, TEX_1 | PTE_BUFFERABLE, 0, TEX_1 | PTE_CACHEABLE, TEX_1 | CB,
    0, PTE_BUFFERABLE, 0, CB, 0, 0, 0, 0]
XSC3_MT_TABLE[:] = [
    0, TEX_1, TEX_5 | PTE_CACHEABLE, CB, TEX_1 | PTE_BUFFERABLE, 0, 0, TEX_5 | CB, 0, TEX_1, 0, CB, TEX_2, 0, 0, 0]


cdef inline uint32_t v7_pte(uint32_t pte, uint32_t ext) noexcept nogil:
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


cdef inline uint32_t v6_pte(uint32_t pte, uint32_t ext) noexcept nogil:
    # a user's read-only page is read-only for the kernel too, but not the vectors', whose type turns APX round
    cdef uint32_t hw
    if not pte & L_PTE_YOUNG or not pte & L_PTE_PRESENT or pte & L_PTE_NONE:
        return 0
    hw = (pte & ~<uint32_t>(0x3FC | PTE_TYPE_MASK)) | ext | PTE_EXT_AP0 | 2
    if pte & L_PTE_RDONLY or not pte & L_PTE_DIRTY:
        hw |= PTE_EXT_APX
    if pte & L_PTE_USER:
        hw |= PTE_EXT_AP1
        if hw & PTE_EXT_APX:
            hw &= ~<uint32_t>PTE_EXT_AP0
    if pte & L_PTE_XN:
        hw |= PTE_EXT_XN
    return hw ^ ARMV6_MT_TABLE[(pte & L_PTE_MT_MASK) >> 2]


cdef inline uint32_t armv3_pte(uint32_t pte, bint writethrough) noexcept nogil:
    cdef uint32_t hw
    if not pte & L_PTE_YOUNG or not pte & L_PTE_PRESENT:
        return 0
    hw = (pte & ~<uint32_t>(PTE_SMALL_AP_MASK | PTE_TYPE_MASK)) | PTE_TYPE_SMALL
    if pte & L_PTE_USER:
        hw |= PTE_SMALL_AP_URO_SRW
    if pte & L_PTE_DIRTY and not pte & L_PTE_RDONLY:
        hw |= PTE_SMALL_AP_UNO_SRW
    if writethrough and hw & PTE_CACHEABLE:
        hw &= ~<uint32_t>PTE_BUFFERABLE
    return hw


cdef inline uint32_t xscale_pte(uint32_t pte, bint third) noexcept nogil:
    # `third`: XScale-V3
    cdef uint32_t hw
    cdef uint32_t mt = pte & L_PTE_MT_MASK
    cdef uint32_t user = L_PTE_USER | L_PTE_RDONLY
    if not pte & L_PTE_YOUNG or not pte & L_PTE_PRESENT:
        return 0
    hw = (pte & ~<uint32_t>PTE_SMALL_AP_MASK) | PTE_TYPE_EXT
    if pte & L_PTE_USER:
        hw |= PTE_EXT_AP_URO_SRW
    if pte & L_PTE_DIRTY and not pte & L_PTE_RDONLY:
        hw |= PTE_EXT_AP_UNO_SRW
    hw &= ~<uint32_t>CB
    if third:
        return hw | XSC3_MT_TABLE[mt >> 2] | (PTE_EXT_COHERENT if pte & L_PTE_SHARED else 0)
    # erratum 40: a user's read-only page is written through
    if (mt & ~<uint32_t>(4 << 2)) == L_PTE_MT_WRITEBACK and pte & user == user:
        mt = L_PTE_MT_WRITETHROUGH
    return hw | XSCALE_MT_TABLE[mt >> 2]


cdef class Processor:
    """Of struct processor what memory sees: `set_pte` is one of SET_PTE_*, `writethrough` the build's
    CONFIG_CPU_DCACHE_WRITETHROUGH.
    """

    def __init__(self, int set_pte=V7, bint writethrough=False):
        if not 0 <= set_pte <= XSC3:
            raise ValueError(f"{set_pte}: expected one of SET_PTE_*")
        self.set_pte = set_pte
        self.writethrough = writethrough

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return f"Processor(set_pte={self.set_pte}, writethrough={self.writethrough})"

    cdef uint32_t hardware_pte(self, uint32_t pte, uint32_t ext) noexcept nogil:
        if self.set_pte == V7:
            return v7_pte(pte, ext)
        if self.set_pte == V6:
            return v6_pte(pte, ext)
        if self.set_pte == ARMV3 or self.set_pte == ARMV3_WB:
            return armv3_pte(pte, self.writethrough and self.set_pte == ARMV3)
        return xscale_pte(pte, self.set_pte == XSC3)

    cdef void set_pte_ext(self, PhysicalMemory ram, uint32_t ptep_pa, uint32_t pte, uint32_t ext) noexcept nogil:
        ram.store32(ptep_pa, pte)
        ram.store32(ptep_pa + PTE_HWTABLE_OFF, self.hardware_pte(pte, ext))

    def hardware_entry(self, uint32_t pte, uint32_t ext=0):
        """The hardware's entry for Linux's `pte`; `ext` holds bits that only that copy gets (PTE_EXT_NG)."""
        return self.hardware_pte(pte, ext)

    def cpu_set_pte_ext(self, PhysicalMemory ram not None, uint32_t ptep_pa, uint32_t pte, uint32_t ext=0):
        """Store Linux's entry at `ptep_pa` and the hardware's 2048 bytes above it. Raises ValueError between words.

        Source: arch/arm/include/asm/proc-fns.h cpu_set_pte_ext
        """
        if ptep_pa & 3:
            raise ValueError(f"{ptep_pa:#x} is no address of an entry: it is no multiple of 4")
        self.set_pte_ext(ram, ptep_pa, pte, ext)
