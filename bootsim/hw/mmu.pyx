"""The ARMv7 MMU with short descriptors: from a virtual address, through table bytes in RAM, to a physical one.

It knows the architecture (ARM DDI 0406, B3) and nothing of Linux. Where ID_MMFR0 is 0 it is that of processors before
ARMv6 (ARM DDI 0100, B4): four subpages with permissions of their own, no XN, APX, S or nG, and AP 0 by SCTLR.S and R.
ARMv6 with SCTLR.XP clear and fine tables of pages of 1 KiB, which Linux never has, are not modelled.

    va   31            20 19        12 11         0
         | first-level   | second-    | offset     |
         | index         | level index| in page    |

    TTBR -> 4096 words, 1 MiB each:   ..00 fault
                                      ..01 -> second level, 256 words, 4 KiB each:  ..00 fault
                                      ..10 section, or supersection (bit 18)        ..01 large page (64 KiB)
                                      ..11 section with PXN, where implemented      ..1x small page, bit 0 is XN

Checks come in the architecture's order: translation, access flag, domain, permission. Manager domains skip the last.
A descriptor that no memory answers for is an external abort on the walk. What else an access may meet (alignment, an
address that nothing answers at) the machine tells.
"""

from collections import namedtuple

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from bootsim.hw.memory cimport PhysicalMemory

cdef enum:
    SCTLR_M = 1 << 0
    SCTLR_S = 1 << 8
    SCTLR_R = 1 << 9
    SCTLR_TRE = 1 << 28
    SCTLR_AFE = 1 << 29
    TTBCR_PD0 = 1 << 4
    TTBCR_PD1 = 1 << 5
    DFSR_WNR = 1 << 11

MemoryType = namedtuple("MemoryType", "type inner outer shareable outer_shareable")
MemoryType.__doc__ = """What kind of memory it is: type "strongly-ordered", "device", "normal" or "reserved".

`inner` and `outer` are cacheability of normal memory: "non-cacheable", "write-back write-allocate",
"write-through", "write-back"; empty for other types. `outer_shareable` tells the larger of two shareability domains.
"""

Permissions = namedtuple("Permissions", "privileged user xn pxn")
Permissions.__doc__ = """Who may do what: `privileged` and `user` are "", "r" or "rw"; `xn`, `pxn` forbid execution."""

KINDS = ("off", "section", "supersection", "large", "small")
_PAGE_BYTES = (1 << 32, 1 << 20, 1 << 24, 1 << 16, 1 << 12)
ACCESSES = {"read": ACCESS_READ, "write": ACCESS_WRITE, "execute": ACCESS_EXECUTE}
_ACCESS_NAMES = ("read", "write", "execute")
_DOMAIN_ACCESS = ("none", "client", "reserved", "manager")
_TYPES = ("strongly-ordered", "device", "normal", "reserved")
_CACHEABILITY = ("non-cacheable", "write-back write-allocate", "write-through", "write-back")
# (privileged, user) for AP[2:0]; 0b100 is reserved
_RIGHTS = (("", ""), ("rw", ""), ("rw", "r"), ("rw", "rw"), ("", ""), ("r", ""), ("r", "r"), ("r", "r"))
_FAULTS = {
    FS_ACCESS_FLAG_SECTION: ("access flag", "section"), FS_ACCESS_FLAG_PAGE: ("access flag", "page"),
    FS_TRANSLATION_SECTION: ("translation", "section"), FS_TRANSLATION_PAGE: ("translation", "page"),
    FS_DOMAIN_SECTION: ("domain", "section"), FS_DOMAIN_PAGE: ("domain", "page"),
    FS_PERMISSION_SECTION: ("permission", "section"), FS_PERMISSION_PAGE: ("permission", "page"),
    FS_WALK_SECTION: ("external abort on walk", "section"), FS_WALK_PAGE: ("external abort on walk", "page"),
    FS_ALIGNMENT: ("alignment", ""), FS_EXTERNAL: ("external abort", ""), FS_OLD_EXTERNAL_PAGE: ("external abort", ""),
}


@cython.final
cdef class Cp15:
    """The system control registers that translation reads; `id_mmfr0` says what the MMU implements.

    Before ARMv6 `supersections` says that bit 18 of a section makes it one of 16 MiB: XScale of the third generation.
    `dfsr`, `dfar`, `ifsr` and `ifar` tell the latest fault of data and of an instruction: status and address.
    """

    def __init__(self, sctlr=0, ttbr0=0, ttbr1=0, ttbcr=0, dacr=0, prrr=0, nmrr=0, contextidr=0, id_mmfr0=3,
                 supersections=False):
        self.sctlr = sctlr
        self.ttbr0 = ttbr0
        self.ttbr1 = ttbr1
        self.ttbcr = ttbcr
        self.dacr = dacr
        self.prrr = prrr
        self.nmrr = nmrr
        self.contextidr = contextidr
        self.id_mmfr0 = id_mmfr0
        self.supersections = supersections

    @property
    def asid(self):
        """The address space identifier in CONTEXTIDR[7:0]."""
        return self.contextidr & 0xFF

    def copy(self):
        """Another set of registers with the same values."""
        cdef Cp15 new = Cp15(self.sctlr, self.ttbr0, self.ttbr1, self.ttbcr, self.dacr, self.prrr, self.nmrr,
                             self.contextidr, self.id_mmfr0, self.supersections)
        new.dfsr, new.dfar, new.ifsr, new.ifar = self.dfsr, self.dfar, self.ifsr, self.ifar
        return new

    def take(self, Fault fault not None):
        """Note a fault in the fault status and address registers, as the processor does when it takes the abort."""
        if fault.access_ == ACCESS_EXECUTE:
            self.ifsr, self.ifar = fault.fsr, fault.w.va
        else:
            self.dfsr, self.dfar = fault.fsr, fault.w.va

    def __deepcopy__(self, memo):
        return self.copy()

    def __repr__(self):
        return (f"Cp15(sctlr={self.sctlr:#x}, ttbr0={self.ttbr0:#x}, ttbr1={self.ttbr1:#x}, ttbcr={self.ttbcr:#x}, "
                f"dacr={self.dacr:#x}, prrr={self.prrr:#x}, nmrr={self.nmrr:#x}, contextidr={self.contextidr:#x}, "
                f"id_mmfr0={self.id_mmfr0:#x})")


# ---------------------------------------------------------------- the walk


cdef inline uint32_t first_level_pa(Cp15 c, uint32_t va, bint *disabled) noexcept nogil:
    # Which table, by TTBCR.N: addresses with their top N bits clear go through TTBR0, the others through TTBR1.
    cdef uint32_t n = c.ttbcr & 7
    if n and va >> (32 - n):
        disabled[0] = (c.ttbcr & TTBCR_PD1) != 0
        return (c.ttbr1 & 0xFFFFC000U) | (va >> 20) << 2
    disabled[0] = (c.ttbcr & TTBCR_PD0) != 0
    return (c.ttbr0 & ~((<uint32_t>1 << (14 - n)) - 1)) | ((va << n) >> (20 + n)) << 2


cdef void walk_tables(PhysicalMemory ram, Cp15 c, uint32_t va, Walk *w) noexcept nogil:
    """Follow the tables for `va`; w.status is FS_NONE or a translation fault. No access checks."""
    cdef bint disabled = False
    cdef uint32_t l1
    cdef uint32_t kind
    cdef bint pxn = (c.id_mmfr0 & 0xF) >= 4
    cdef bint old = c.id_mmfr0 == 0
    w.va = va
    w.l1_pa = w.l1 = w.l2_pa = w.l2 = 0
    w.domain = 0
    w.status = FS_NONE
    if not c.sctlr & SCTLR_M:
        w.kind = WALK_OFF
        w.pa = va
        w.ap = 3
        w.texcb = 0
        w.xn = w.pxn = w.shared = w.not_global = False
        return
    w.kind = WALK_SECTION
    w.l1_pa = first_level_pa(c, va, &disabled)
    if disabled:
        w.status = FS_TRANSLATION_SECTION
        return
    if not ram.fitted(w.l1_pa):
        w.status = FS_WALK_SECTION
        return
    l1 = w.l1 = ram.load32(w.l1_pa)
    kind = l1 & 3
    if kind == 0 or (kind == 3 and not pxn):
        w.status = FS_TRANSLATION_SECTION
    elif kind == 1:
        w.domain = l1 >> 5 & 0xF
        w.pxn = pxn and (l1 & 4) != 0
        w.l2_pa = (l1 & 0xFFFFFC00U) | (va >> 12 & 0xFF) << 2
        if not ram.fitted(w.l2_pa):
            w.status = FS_WALK_PAGE
        elif old:
            old_second_level(ram, c.sctlr, va, w)
        else:
            second_level(ram, va, w)
    elif old:
        old_section(l1, c, va, w)
    else:
        section(l1, va, pxn, w)


cdef inline void supersection(uint32_t l1, uint32_t va, Walk *w) noexcept nogil:
    w.kind = WALK_SUPERSECTION  # always in domain 0: bits 8:5 and 23:20 hold physical address bits 39:32
    w.pa = (<uint64_t>(l1 >> 5 & 0xF) << 36) | (<uint64_t>(l1 >> 20 & 0xF) << 32) | (l1 & 0xFF000000U)
    w.pa |= va & 0x00FFFFFF


cdef inline void section(uint32_t l1, uint32_t va, bint pxn, Walk *w) noexcept nogil:
    w.texcb = (l1 >> 12 & 7) << 2 | (l1 >> 2 & 3)
    w.ap = (l1 >> 15 & 1) << 2 | (l1 >> 10 & 3)
    w.xn = l1 >> 4 & 1
    w.pxn = pxn and (l1 & 1) != 0
    w.shared = l1 >> 16 & 1
    w.not_global = l1 >> 17 & 1
    if l1 & 1 << 18:
        supersection(l1, va, w)
    else:
        w.domain = l1 >> 5 & 0xF
        w.pa = (l1 & 0xFFF00000U) | (va & 0x000FFFFF)


cdef inline void second_level(PhysicalMemory ram, uint32_t va, Walk *w) noexcept nogil:
    cdef uint32_t l2
    w.kind = WALK_SMALL
    l2 = w.l2 = ram.load32(w.l2_pa)
    if l2 & 3 == 0:
        w.status = FS_TRANSLATION_PAGE
        return
    w.ap = (l2 >> 9 & 1) << 2 | (l2 >> 4 & 3)
    w.shared = l2 >> 10 & 1
    w.not_global = l2 >> 11 & 1
    if l2 & 2:
        w.texcb = (l2 >> 6 & 7) << 2 | (l2 >> 2 & 3)
        w.xn = l2 & 1
        w.pa = (l2 & 0xFFFFF000U) | (va & 0xFFF)
    else:
        w.kind = WALK_LARGE
        w.texcb = (l2 >> 12 & 7) << 2 | (l2 >> 2 & 3)
        w.xn = l2 >> 15 & 1
        w.pa = (l2 & 0xFFFF0000U) | (va & 0xFFFF)


# ---------------------------------------------------------------- before ARMv6


cdef inline int old_ap(uint32_t ap, uint32_t sctlr) noexcept nogil:
    # AP[1:0] as today's AP[2:0]: 0 is nothing, or read-only for all (R) or for the kernel (S)
    if ap:
        return ap
    return 7 if sctlr & SCTLR_R else 5 if sctlr & SCTLR_S else 0


cdef inline void old_section(uint32_t l1, Cp15 c, uint32_t va, Walk *w) noexcept nogil:
    w.texcb = (l1 >> 12 & 7) << 2 | (l1 >> 2 & 3)
    w.ap = old_ap(l1 >> 10 & 3, c.sctlr)
    w.xn = w.pxn = w.shared = w.not_global = False
    if c.supersections and l1 & 1 << 18:
        supersection(l1, va, w)
        return
    w.domain = l1 >> 5 & 0xF
    w.pa = (l1 & 0xFFF00000U) | (va & 0x000FFFFF)


cdef inline void old_second_level(PhysicalMemory ram, uint32_t sctlr, uint32_t va, Walk *w) noexcept nogil:
    # of a coarse table: a large or small page of four subpages, or an extended small page with TEX
    cdef uint32_t l2
    w.kind = WALK_SMALL
    l2 = w.l2 = ram.load32(w.l2_pa)
    w.xn = w.pxn = w.shared = w.not_global = False
    w.texcb = l2 >> 2 & 3
    w.pa = (l2 & 0xFFFFF000U) | (va & 0xFFF)
    if l2 & 3 == 0:
        w.status = FS_TRANSLATION_PAGE
        return
    if l2 & 3 == 1:
        w.kind = WALK_LARGE
        w.texcb |= (l2 >> 12 & 7) << 2
        w.pa = (l2 & 0xFFFF0000U) | (va & 0xFFFF)
    elif l2 & 3 == 3:
        w.texcb |= (l2 >> 6 & 7) << 2
    old_subpage(sctlr, w)


cdef void old_subpage(uint32_t sctlr, Walk *w) noexcept nogil:
    """Set w.ap by the subpage that w.va lies in, where w is of a page."""
    cdef uint32_t kind = w.l2 & 3
    if w.kind == WALK_LARGE:
        w.ap = old_ap(w.l2 >> (4 + 2 * (w.va >> 14 & 3)) & 3, sctlr)
    elif w.kind == WALK_SMALL:
        w.ap = old_ap(w.l2 >> (4 + 2 * (w.va >> 10 & 3)) & 3 if kind == 2 else w.l2 >> 4 & 3, sctlr)


cdef inline int effective_ap(Cp15 c, int ap) noexcept nogil:
    # With SCTLR.AFE, AP[0] is the access flag and AP[2:1] the simplified model: as if AP[0] were 1.
    return ap | 1 if c.sctlr & SCTLR_AFE else ap


cdef inline bint may_read(int ap, bint privileged) noexcept nogil:
    if privileged:
        return ap != 0 and ap != 4
    return ap == 2 or ap == 3 or ap == 6 or ap == 7


cdef inline bint may_write(int ap, bint privileged) noexcept nogil:
    return (1 <= ap <= 3) if privileged else ap == 3


cdef void check_access(Cp15 c, Walk *w, int access, bint privileged) noexcept nogil:
    """Set w.status to the fault the access takes on a walk that found a translation."""
    cdef bint page = w.kind >= WALK_LARGE
    cdef uint32_t rights = c.dacr >> (2 * w.domain) & 3
    cdef int ap = effective_ap(c, w.ap)
    cdef bint allowed
    if w.status != FS_NONE or w.kind == WALK_OFF:
        return
    if c.sctlr & SCTLR_AFE and not w.ap & 1:
        w.status = FS_ACCESS_FLAG_PAGE if page else FS_ACCESS_FLAG_SECTION
        return
    if rights == 3:
        return
    if rights != 1:
        w.status = FS_DOMAIN_PAGE if page else FS_DOMAIN_SECTION
        return
    if access == ACCESS_WRITE:
        allowed = may_write(ap, privileged)
    else:
        allowed = may_read(ap, privileged)
        if access == ACCESS_EXECUTE:
            allowed = allowed and not w.xn and not (privileged and w.pxn)
    if not allowed:
        w.status = FS_PERMISSION_PAGE if page else FS_PERMISSION_SECTION


cdef int translate_fast(PhysicalMemory ram, Cp15 cp15, uint32_t va, int access, bint privileged,
                        uint64_t *pa) noexcept nogil:
    """Translate `va`: 0 and *pa set, or the fault status."""
    cdef Walk w
    walk_tables(ram, cp15, va, &w)
    check_access(cp15, &w, access, privileged)
    if w.status == FS_NONE:
        pa[0] = w.pa
    return w.status


# ---------------------------------------------------------------- what a walk means


def memory_type(texcb, shared, sctlr, prrr=0, nmrr=0):
    """Decode TEX[2:0], C, B (as one 5-bit number) and the S bit to a MemoryType; with SCTLR.TRE by PRRR and NMRR."""
    if sctlr & SCTLR_TRE:
        return _remapped(texcb & 7, shared, prrr, nmrr)
    tex, cb = texcb >> 2, texcb & 3
    if tex & 4:
        return MemoryType("normal", _CACHEABILITY[cb], _CACHEABILITY[tex & 3], bool(shared), bool(shared))
    kind = {0: ("strongly-ordered", "", True), 1: ("device", "", True), 2: ("normal", "write-through", shared),
            3: ("normal", "write-back", shared), 4: ("normal", "non-cacheable", shared),
            7: ("normal", "write-back write-allocate", shared), 8: ("device", "", False)}.get(texcb)
    if kind is None:
        return MemoryType("reserved", "", "", bool(shared), bool(shared))
    return MemoryType(kind[0], kind[1], kind[1], bool(kind[2]), bool(kind[2]))


def _remapped(n, shared, prrr, nmrr):
    # TEX remap: n = TEX[0], C, B picks the type from PRRR[2n+1:2n] and the cacheability from NMRR
    kind = _TYPES[prrr >> 2 * n & 3]
    if kind == "strongly-ordered":
        return MemoryType(kind, "", "", True, True)
    shareable = bool(prrr >> ((18 if kind == "normal" else 16) + bool(shared)) & 1)
    outer_shareable = shareable and not prrr >> 24 + n & 1
    if kind != "normal":
        return MemoryType(kind, "", "", shareable, outer_shareable)
    inner, outer = _CACHEABILITY[nmrr >> 2 * n & 3], _CACHEABILITY[nmrr >> 2 * n + 16 & 3]
    return MemoryType(kind, inner, outer, shareable, outer_shareable)


@cython.final
cdef class Translation:
    """What `translate` found at a mapped address; true in a condition. Attributes decode the descriptors when read."""

    cdef Walk w
    cdef uint32_t sctlr, dacr, prrr, nmrr

    @property
    def va(self):
        """The virtual address asked for."""
        return self.w.va

    @property
    def pa(self):
        """The physical address it stands for."""
        return self.w.pa

    @property
    def kind(self):
        """The unit that maps it: "section", "supersection", "large", "small", or "off" with the MMU off."""
        return KINDS[self.w.kind]

    @property
    def page_bytes(self):
        """The size of that unit."""
        return _PAGE_BYTES[self.w.kind]

    @property
    def memory(self):
        """The MemoryType."""
        return memory_type(self.w.texcb, self.w.shared, self.sctlr, self.prrr, self.nmrr)

    @property
    def permissions(self):
        """The Permissions that the descriptors hold; a manager domain does not ask for them."""
        ap = self.w.ap | 1 if self.sctlr & SCTLR_AFE else self.w.ap
        return Permissions(*_RIGHTS[ap], self.w.xn, self.w.pxn)

    @property
    def ap(self):
        """AP[2:0] as in the descriptor."""
        return self.w.ap

    @property
    def domain(self):
        """The number of its domain."""
        return self.w.domain

    @property
    def domain_access(self):
        """What DACR says of the domain: "none", "client", "reserved" or "manager"."""
        return _DOMAIN_ACCESS[self.dacr >> (2 * self.w.domain) & 3]

    @property
    def is_global(self):
        """Whether the mapping holds in every address space."""
        return not self.w.not_global

    @property
    def descriptors(self):
        """((pa, word), ...) of the descriptors read, first level first."""
        if self.w.kind == WALK_OFF:
            return ()
        first = ((self.w.l1_pa, self.w.l1),)
        return first + ((self.w.l2_pa, self.w.l2),) if self.w.kind >= WALK_LARGE else first

    def __bool__(self):
        return True

    def __repr__(self):
        p = self.permissions
        return (f"<Translation {self.va:#010x} -> {self.pa:#010x} {self.kind} {self.memory.type} "
                f"priv={p.privileged or '-'} user={p.user or '-'}{' xn' if p.xn else ''} domain={self.domain}>")


@cython.final
cdef class Fault:
    """Why `translate` found nothing, or what stopped the access behind it; false in a condition."""

    cdef Walk w
    cdef int access_
    cdef bint old

    @property
    def va(self):
        """The virtual address asked for."""
        return self.w.va

    @property
    def kind(self):
        """"translation", "access flag", "domain", "permission", "alignment", "external abort" (also "... on walk")."""
        return _FAULTS[self.w.status][0]

    @property
    def level(self):
        """"section" for the first level, "page" for the second, "" for a fault of neither."""
        return _FAULTS[self.w.status][1]

    @property
    def access(self):
        """The access that faulted: "read", "write" or "execute"."""
        return _ACCESS_NAMES[self.access_]

    @property
    def domain(self):
        """The number of the domain, 0 where the walk did not learn it."""
        return self.w.domain

    @property
    def status(self):
        """FS[4:0], the fault status."""
        return self.w.status

    @property
    def fsr(self):
        """DFSR as the processor sets it (IFSR for a fetch): status, domain, and WnR for writes from ARMv6 on.

        No domain is told of a first-level translation fault, of alignment, nor of what happens behind the MMU.
        """
        fs = self.w.status & 0xF | (self.w.status >> 4) << 10
        if self.access_ == ACCESS_EXECUTE:
            return fs
        return fs | self.w.domain << 4 | (DFSR_WNR if self.access_ == ACCESS_WRITE and not self.old else 0)

    @property
    def descriptors(self):
        """((pa, word), ...) of the descriptors read, first level first."""
        if self.w.kind == WALK_OFF or self.w.status == FS_WALK_SECTION:
            return ()
        first = ((self.w.l1_pa, self.w.l1),)
        return first + ((self.w.l2_pa, self.w.l2),) if self.w.l2_pa and self.w.status != FS_WALK_PAGE else first

    def __bool__(self):
        return False

    def __repr__(self):
        words = f"{self.level} {self.kind}".strip() + ("" if "abort" in self.kind else " fault")
        return f"<Fault {self.access} {self.va:#010x}: {words}, status {self.status:#x}>"


def translate(PhysicalMemory ram not None, Cp15 cp15 not None, va, access="read", bint privileged=True):
    """Translate a virtual address through the tables in `ram`: a Translation, or the Fault the access takes.

    `access` is "read", "write" or "execute". The address is taken modulo 2**32.
    """
    cdef Walk w
    cdef int kind = ACCESSES[access]
    walk_tables(ram, cp15, va & 0xFFFFFFFF, &w)
    check_access(cp15, &w, kind, privileged)
    return answer(cp15, &w, kind)


cdef object answer(Cp15 cp15, Walk *w, int access):
    """What a walk and the check of an access came to: a Translation, or a Fault."""
    cdef Translation t
    cdef Fault f
    if w.status != FS_NONE:
        f = Fault.__new__(Fault)
        f.w = w[0]
        f.access_ = access
        f.old = cp15.id_mmfr0 == 0
        return f
    t = Translation.__new__(Translation)
    t.w = w[0]
    t.sctlr, t.dacr, t.prrr, t.nmrr = cp15.sctlr, cp15.dacr, cp15.prrr, cp15.nmrr
    return t


def alignment_fault(Cp15 cp15 not None, va, access):
    """The Fault of an access to an address that is no multiple of what it needs; no table is read for it."""
    cdef Walk w
    w.va = va & 0xFFFFFFFF
    w.pa = 0
    w.l1_pa = w.l1 = w.l2_pa = w.l2 = 0
    w.kind = WALK_OFF
    w.domain = w.ap = w.texcb = 0
    w.xn = w.pxn = w.shared = w.not_global = False
    w.status = FS_ALIGNMENT
    return answer(cp15, &w, ACCESSES[access])


def external_abort(Cp15 cp15 not None, Translation found not None, access):
    """The Fault of an access whose physical address nothing answers for."""
    cdef Walk w = found.w
    w.domain = 0
    w.status = FS_EXTERNAL
    if cp15.id_mmfr0 == 0 and w.kind >= WALK_LARGE:
        w.status = FS_OLD_EXTERNAL_PAGE
    return answer(cp15, &w, ACCESSES[access])
