# The table walk for other Cython modules.
from libc.stdint cimport uint32_t, uint64_t

from bootsim.hw.memory cimport PhysicalMemory

cdef enum Access:
    ACCESS_READ = 0
    ACCESS_WRITE = 1
    ACCESS_EXECUTE = 2

cdef enum WalkKind:
    WALK_OFF = 0           # MMU off: va is pa
    WALK_SECTION = 1
    WALK_SUPERSECTION = 2
    WALK_LARGE = 3
    WALK_SMALL = 4

cdef enum FaultStatus:     # FS[4:0] of DFSR and IFSR; 0 is no fault
    FS_NONE = 0
    FS_ALIGNMENT = 0x01
    FS_ACCESS_FLAG_SECTION = 0x03
    FS_TRANSLATION_SECTION = 0x05
    FS_ACCESS_FLAG_PAGE = 0x06
    FS_TRANSLATION_PAGE = 0x07
    FS_EXTERNAL = 0x08
    FS_DOMAIN_SECTION = 0x09
    FS_OLD_EXTERNAL_PAGE = 0x0A  # before ARMv6; today's FS_EXTERNAL is of sections there
    FS_DOMAIN_PAGE = 0x0B
    FS_WALK_SECTION = 0x0C
    FS_PERMISSION_SECTION = 0x0D
    FS_WALK_PAGE = 0x0E
    FS_PERMISSION_PAGE = 0x0F

cdef struct Walk:
    uint64_t pa
    uint32_t va
    uint32_t l1_pa         # where the first-level descriptor lies, and the word there
    uint32_t l1
    uint32_t l2_pa         # the same of the second level; 0 when the walk did not get there
    uint32_t l2
    int kind               # WalkKind
    int status             # FaultStatus
    int domain
    int ap                 # AP[2:0]
    int texcb              # TEX[2:0], C, B
    bint xn
    bint pxn
    bint shared            # the S bit
    bint not_global        # the nG bit

cdef class Cp15:
    cdef public uint32_t sctlr, ttbr0, ttbr1, ttbcr, dacr, prrr, nmrr, contextidr, dfsr, dfar, ifsr, ifar
    cdef readonly uint32_t id_mmfr0
    cdef readonly bint supersections

cdef void walk_tables(PhysicalMemory ram, Cp15 cp15, uint32_t va, Walk *w) noexcept nogil
cdef void check_access(Cp15 cp15, Walk *w, int access, bint privileged) noexcept nogil
cdef int translate_fast(PhysicalMemory ram, Cp15 cp15, uint32_t va, int access, bint privileged,
                        uint64_t *pa) noexcept nogil
cdef void old_subpage(uint32_t sctlr, Walk *w) noexcept nogil
cdef object answer(Cp15 cp15, Walk *w, int access)
