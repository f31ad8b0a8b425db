"""What a processor tells the software that runs on it: its identification registers and its state after reset.

The numbers are those of the processors as QEMU 7.2 models them, read there by a program; the Cortex-A5's, which QEMU
lacks, are those of its Technical Reference Manual (r0p1).
"""

from __future__ import annotations

from dataclasses import dataclass

MPIDR_MULTIPROCESSING_EXTENSIONS = 1 << 31
MPIDR_UNIPROCESSOR = 1 << 30


@dataclass(frozen=True, slots=True)
class Cpu:
    """One processor model. Register fields hold the 32-bit values that MRC p15 returns.

    `scu_base_pa` is what the first processor reads as the base of its private peripherals (Cortex-A5 and A9 with a
    Snoop Control Unit), None where there is no such register. `ccsidr_l1d` and `ccsidr_l1i` are CCSIDR with the
    level-1 data and instruction cache selected. `sctlr` is the control register after reset.
    """

    name: str
    compatible: str
    midr: int
    ctr: int
    mpidr: int
    id_pfr0: int
    id_pfr1: int
    id_mmfr0: int
    id_mmfr1: int
    id_mmfr2: int
    id_mmfr3: int
    id_isar0: int
    id_isar1: int
    id_isar2: int
    id_isar3: int
    id_isar4: int
    clidr: int
    ccsidr_l1d: int
    ccsidr_l1i: int
    sctlr: int
    scu_base_pa: int | None = None

    @property
    def variant(self) -> int:
        """Major revision, the N of rNpM."""
        return self.midr >> 20 & 0xF

    @property
    def revision(self) -> int:
        """Minor revision, the M of rNpM."""
        return self.midr & 0xF

    @property
    def part(self) -> int:
        """Primary part number, 0xc09 for a Cortex-A9."""
        return self.midr >> 4 & 0xFFF

    @property
    def has_pxn(self) -> bool:
        """Whether short descriptors have a privileged-execute-never bit (ID_MMFR0.VMSA at least 4)."""
        return self.id_mmfr0 & 0xF >= 4

    @property
    def has_long_descriptors(self) -> bool:
        """Whether the MMU can also walk long-descriptor tables (ID_MMFR0.VMSA at least 5)."""
        return self.id_mmfr0 & 0xF >= 5

    @property
    def divides(self) -> int:
        """ID_ISAR0.Divide: 0 no SDIV and UDIV, 1 in Thumb code, 2 in ARM code too."""
        return self.id_isar0 >> 24 & 0xF

    @property
    def l1i_way_bytes(self) -> int:
        """Bytes of one way of the level-1 instruction cache; above a page, a VIPT cache has aliases."""
        line_bytes = 4 << (self.ccsidr_l1i & 7) + 2
        return line_bytes * ((self.ccsidr_l1i >> 13 & 0x7FFF) + 1)


CORTEX_A9 = Cpu(
    name="Cortex-A9", compatible="arm,cortex-a9", midr=0x410FC090, ctr=0x80038003, mpidr=0x80000000,
    id_pfr0=0x1031, id_pfr1=0x11, id_mmfr0=0x00100103, id_mmfr1=0x20000000, id_mmfr2=0x01230000, id_mmfr3=0x2111,
    id_isar0=0x00101111, id_isar1=0x13112111, id_isar2=0x21232041, id_isar3=0x11112131, id_isar4=0x00111142,
    clidr=0x09000003, ccsidr_l1d=0xE00FE019, ccsidr_l1i=0x200FE019, sctlr=0x00C50078, scu_base_pa=0x1E000000,
)

CORTEX_A15 = Cpu(
    name="Cortex-A15", compatible="arm,cortex-a15", midr=0x414FC0F0, ctr=0x8444C004, mpidr=0x80000000,
    id_pfr0=0x1131, id_pfr1=0x11011, id_mmfr0=0x10201105, id_mmfr1=0x20000000, id_mmfr2=0x01240000, id_mmfr3=0x02102211,
    id_isar0=0x02101110, id_isar1=0x13112111, id_isar2=0x21232041, id_isar3=0x11112131, id_isar4=0x10011142,
    clidr=0x0A200023, ccsidr_l1d=0x701FE00A, ccsidr_l1i=0x201FE00A, sctlr=0x00C50078,
)

CORTEX_A7 = Cpu(
    name="Cortex-A7", compatible="arm,cortex-a7", midr=0x410FC075, ctr=0x84448003, mpidr=0x80000000,
    id_pfr0=0x1131, id_pfr1=0x11011, id_mmfr0=0x10101105, id_mmfr1=0x40000000, id_mmfr2=0x01240000, id_mmfr3=0x02102211,
    id_isar0=0x02101110, id_isar1=0x13112111, id_isar2=0x21232041, id_isar3=0x11112131, id_isar4=0x10011142,
    clidr=0x0A200023, ccsidr_l1d=0x701FE00A, ccsidr_l1i=0x201FE00A, sctlr=0x00C50078,
)

CORTEX_A5 = Cpu(
    name="Cortex-A5", compatible="arm,cortex-a5", midr=0x410FC051, ctr=0x83338003, mpidr=0x80000000,
    id_pfr0=0x1231, id_pfr1=0x11, id_mmfr0=0x00100103, id_mmfr1=0x40000000, id_mmfr2=0x01230000, id_mmfr3=0x00102211,
    id_isar0=0x00101111, id_isar1=0x13112111, id_isar2=0x21232041, id_isar3=0x11112131, id_isar4=0x00011142,
    clidr=0x09200003, ccsidr_l1d=0x701FE019, ccsidr_l1i=0x203FE009, sctlr=0x00C50078, scu_base_pa=0x2C000000,
)

CPUS = (CORTEX_A9, CORTEX_A15, CORTEX_A7, CORTEX_A5)


def cpu_for(compatible: str) -> Cpu | None:
    """The processor that a cpu node's compatible string names ("arm,cortex-a9"), or None for one bootsim lacks."""
    return next((cpu for cpu in CPUS if cpu.compatible == compatible), None)
