"""What a processor tells the software that runs on it: its identification registers and its state after reset.

The numbers are those of the processors as QEMU 7.2 models them, read there by a program; the Cortex-A5's, which QEMU
lacks, are those of its Technical Reference Manual (r0p1). For the processors that are made from another one below, only
what the kernel's first lines show is known (MIDR, kind of the instruction cache); the rest is the other one's. Of all
these registers a boot's memory depends on two alone: MPIDR (one processor or several) and ID_MMFR0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bootsim.inputs.tree import Tree

MPIDR_MULTIPROCESSING_EXTENSIONS = 1 << 31
MPIDR_UNIPROCESSOR = 1 << 30
MIDR_IMPLEMENTER_AND_PART = 0xFF0FFFF0


class NoMmuError(InputError):
    """A tree for a processor without an MMU, which this port of the kernel needs."""


class Cpu(NamedTuple):
    """One processor model. Register fields hold the 32-bit values that MRC p15 returns.

    `ccsidr_l1d` and `ccsidr_l1i` are CCSIDR with the level-1 data and instruction cache selected; registers that a
    processor lacks are 0. `sctlr` is the control register as the kernel finds it, `sctlr_ones` are bits of it that read
    as one whatever is written. `aliases` are other names that trees
    and people have for it, beside `compatible` and that without its vendor. `dtcm` to `itcm1` are the region registers
    of two banks each of tightly coupled memory.
    """

    name: str
    compatible: str
    midr: int
    ctr: int
    sctlr: int
    mpidr: int = 0
    id_pfr0: int = 0
    id_pfr1: int = 0
    id_mmfr0: int = 0
    id_mmfr1: int = 0
    id_mmfr2: int = 0
    id_mmfr3: int = 0
    id_isar0: int = 0
    id_isar1: int = 0
    id_isar2: int = 0
    id_isar3: int = 0
    id_isar4: int = 0
    clidr: int = 0
    ccsidr_l1d: int = 0
    ccsidr_l1i: int = 0
    aliases: tuple[str, ...] = ()
    tcmtr: int = 0
    dtcm: int = 0
    dtcm1: int = 0
    itcm: int = 0
    itcm1: int = 0
    sctlr_ones: int = 0

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
    def is_xsc3(self) -> bool:
        """Whether it is an XScale of the third generation, whose MMU has supersections."""
        return self.midr & 0xFFFFE000 in (0x69056000, 0x56056000)

    @property
    def has_pxn(self) -> bool:
        """Whether short descriptors have a privileged-execute-never bit (ID_MMFR0.VMSA at least 4)."""
        return self.id_mmfr0 & 0xF >= 4

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
    clidr=0x09000003, ccsidr_l1d=0xE00FE019, ccsidr_l1i=0x200FE019, sctlr=0x00C50078,
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
    clidr=0x09200003, ccsidr_l1d=0x701FE019, ccsidr_l1i=0x203FE009, sctlr=0x00C50078,
)

# one processor without the multiprocessing extensions: MPIDR reads as zero
CORTEX_A8 = Cpu(
    name="Cortex-A8", compatible="arm,cortex-a8", midr=0x410FC080, ctr=0x82048004, mpidr=0,
    id_pfr0=0x1031, id_pfr1=0x11, id_mmfr0=0x31100003, id_mmfr1=0x20000000, id_mmfr2=0x01202000, id_mmfr3=0x11,
    id_isar0=0x00101111, id_isar1=0x12112111, id_isar2=0x21232031, id_isar3=0x11112131, id_isar4=0x00111142,
    clidr=0x0A000003, ccsidr_l1d=0xE007E01A, ccsidr_l1i=0x2007E01A, sctlr=0x00C50078,
)

# In AArch32, from where a 32-bit kernel sees them as ARMv7 processors.
CORTEX_A53 = Cpu(
    name="Cortex-A53", compatible="arm,cortex-a53", midr=0x410FD034, ctr=0x84448004, mpidr=0x80000000,
    id_pfr0=0x131, id_pfr1=0x11011, id_mmfr0=0x10101105, id_mmfr1=0x40000000, id_mmfr2=0x01260000, id_mmfr3=0x02102211,
    id_isar0=0x02101110, id_isar1=0x13112111, id_isar2=0x21232042, id_isar3=0x01112131, id_isar4=0x00011142,
    clidr=0x0A200023, ccsidr_l1d=0x700FE01A, ccsidr_l1i=0x201FE00A, sctlr=0x00C50838,
)

CORTEX_A72 = Cpu(
    name="Cortex-A72", compatible="arm,cortex-a72", midr=0x410FD083, ctr=0x8444C004, mpidr=0x80000000,
    id_pfr0=0x131, id_pfr1=0x11011, id_mmfr0=0x10201105, id_mmfr1=0x40000000, id_mmfr2=0x01260000, id_mmfr3=0x02102211,
    id_isar0=0x02101110, id_isar1=0x13112111, id_isar2=0x21232042, id_isar3=0x01112131, id_isar4=0x00011142,
    clidr=0x0A200023, ccsidr_l1d=0x701FE00A, ccsidr_l1i=0x201FE012, sctlr=0x00C50838,
)

CORTEX_A12 = CORTEX_A7._replace(name="Cortex-A12", compatible="arm,cortex-a12", midr=0x410FC0D1, ctr=0x84448003)
CORTEX_A17 = CORTEX_A12._replace(name="Cortex-A17", compatible="arm,cortex-a17", midr=0x411FC0E1)
BRAHMA_B15 = CORTEX_A15._replace(name="Brahma-B15", compatible="brcm,brahma-b15", midr=0x420F00F3)
KRAIT = CORTEX_A15._replace(name="Krait", compatible="qcom,krait", midr=0x510F06F2, id_mmfr0=0x10100103,
                            sctlr_ones=1 << 14)
SCORPION = CORTEX_A9._replace(name="Scorpion", compatible="qcom,scorpion", midr=0x510F02D2)
PJ4B = CORTEX_A9._replace(name="Marvell PJ4B", compatible="marvell,pj4b", midr=0x562F5842, ctr=0x8003C003)
SHEEVA_V7 = PJ4B._replace(name="Marvell Sheeva ARMv7", compatible="marvell,sheeva-v7")
# one processor, which says so: as a Dove 88AP510's log has it
PJ4 = PJ4B._replace(name="Marvell PJ4", compatible="marvell,pj4a", midr=0x560F5815, mpidr=0,
                    aliases=("marvell,pj4", "pj4"))

# Before ARMv7, as QEMU 7.2 models them. What chips say in CTR differs: a Raspberry Pi's ARM1176 has 0x1d152152, without
# aliases (--cpu ctr=VALUE).
ARM926 = Cpu("ARM926EJ-S", "arm,arm926ej-s", midr=0x41069265, ctr=0x01DD20D2, sctlr=0x00090078,
             aliases=("arm,arm926", "arm,arm926ejs", "arm926"))
ARM1026 = Cpu("ARM1026EJ-S", "arm,arm1026ej-s", midr=0x4106A262, ctr=0x01DD20D2, sctlr=0x00090078,
              aliases=("arm,arm1026", "arm1026"))
ARM1136 = Cpu(
    "ARM1136", "arm,arm1136jf-s", midr=0x4117B363, ctr=0x01DD20D2, sctlr=0x00050078, id_pfr0=0x111, id_pfr1=0x1,
    id_mmfr0=0x01130003, id_mmfr1=0x10030302, id_mmfr2=0x01222110, id_isar0=0x00140011, id_isar1=0x12002111,
    id_isar2=0x11231111, id_isar3=0x01102131, id_isar4=0x141,
    aliases=("arm,arm1136", "arm,arm1136jf", "arm,arm1136j-s", "arm1136"),
)
ARM1136_R2 = ARM1136._replace(name="ARM1136 r0p2", compatible="arm,arm1136-r2", midr=0x4107B362,
                              aliases=("arm1136-r2",))
ARM1176 = Cpu(
    "ARM1176", "arm,arm1176jzf-s", midr=0x410FB767, ctr=0x01DD20D2, sctlr=0x00050078, id_pfr0=0x111, id_pfr1=0x11,
    id_mmfr0=0x01130003, id_mmfr1=0x10030302, id_mmfr2=0x01222100, id_isar0=0x00140011, id_isar1=0x12002111,
    id_isar2=0x11231121, id_isar3=0x01102131, id_isar4=0x01141,
    aliases=("arm,arm1176", "arm,arm1176jzf", "arm,arm1176jz-s", "arm1176"),
)
ARM11MPCORE = Cpu(
    "ARM11MPCore", "arm,arm11mpcore", midr=0x410FB022, ctr=0x1D192992, sctlr=0, id_pfr0=0x111, id_pfr1=0x1,
    id_mmfr0=0x01100103, id_mmfr1=0x10020302, id_mmfr2=0x01222000, id_isar0=0x00100011, id_isar1=0x12002111,
    id_isar2=0x11221011, id_isar3=0x01102131, id_isar4=0x141,
)
# These are not QEMU's where that is not said: MIDR as the kernel's own list and the SoCs' manuals have it. SCTLR is as
# the kernel's decompressor leaves it, with round robin replacement and without write buffer: bits that crval keeps.
ARM920 = Cpu("ARM920T", "arm,arm920t", midr=0x41129200, ctr=0x0D172172, sctlr=0x00005070,
             aliases=("arm,arm920", "arm920"))
ARM720 = Cpu("ARM720T", "arm,arm720t", midr=0x41807202, ctr=0, sctlr=0x00005070, aliases=("arm,arm720", "arm720"))
ARM922 = ARM920._replace(name="ARM922T", compatible="arm,arm922t", midr=0x41029220, aliases=("arm,arm922", "arm922"))
ARM925 = Cpu("ARM925T", "ti,arm925t", midr=0x54029252, ctr=0, sctlr=0x00000070, aliases=("ti925t",))  # QEMU's
SA1110 = Cpu("SA1110", "intel,sa1110", midr=0x6901B119, ctr=0, sctlr=0x00005070)  # QEMU's
FA526 = Cpu("FA526", "faraday,fa526", midr=0x66015261, ctr=0x0D172172, sctlr=0x00001070)
# as logs of Kirkwood boards have it
FEROCEON = ARM926._replace(name="Feroceon 88FR131", compatible="marvell,feroceon", midr=0x56251311, aliases=(),
                           sctlr=0x00050848, sctlr_ones=1 << 3)
FEROCEON_OLD = FEROCEON._replace(name="Feroceon of Orion", compatible="marvell,feroceon-old", midr=0x41159260)
MOHAWK = ARM926._replace(name="Marvell Mohawk", compatible="marvell,mohawk", midr=0x56158401,
                         aliases=("mrvl,mohawk", "pj1"))
XSCALE_PXA25X = Cpu("XScale PXA255", "marvell,xscale", midr=0x69052D06, ctr=0x0D172172, sctlr=0x00005070,
                    aliases=("intel,xscale", "pxa255"))
XSCALE_PXA27X = XSCALE_PXA25X._replace(name="XScale PXA270", compatible="marvell,pxa270", midr=0x69054114,
                                       ctr=0x0D172172, aliases=("pxa270",))
XSCALE_IXP42X = XSCALE_PXA25X._replace(name="XScale IXP425", compatible="intel,ixp425", midr=0x690541F1, aliases=())
XSC3 = XSCALE_PXA25X._replace(name="XScale PXA3xx", compatible="marvell,pxa300", midr=0x69056880, aliases=("xsc3",))

CPUS = (CORTEX_A9, CORTEX_A15, CORTEX_A7, CORTEX_A5, CORTEX_A8, CORTEX_A53, CORTEX_A72, CORTEX_A12, CORTEX_A17,
        BRAHMA_B15, KRAIT, SCORPION, PJ4B, SHEEVA_V7, PJ4, ARM926, ARM1026, ARM1136, ARM1136_R2, ARM1176, ARM11MPCORE,
        ARM720, ARM920, ARM922, ARM925, SA1110, FA526, FEROCEON, FEROCEON_OLD, MOHAWK, XSCALE_PXA25X,
        XSCALE_PXA27X, XSCALE_IXP42X, XSC3)

# Boards of 5.10 whose trees have no cpu node, or one without a compatible string: the root's compatible string and the
# processor; of boards with several, the one that QEMU gives them.
OTHER_BOARDS = {
    "arm,integrator-ap": ARM926,
    "arm,integrator-cp": ARM926,
    "arm,realview-eb": ARM926,
    "arm,realview-pb1176": ARM1176,
    "arm,versatile-ab": ARM926,
    "arm,versatile-pb": ARM926,
    "brcm,bcm2835": ARM1176,
    "calaosystems,usb-s8815": ARM926,
    "cortina,gemini": FA526,
    "intel,ixp42x": XSCALE_IXP42X,
    "intel,ixp43x": XSCALE_IXP42X._replace(name="XScale IXP435", midr=0x69054041),
    "marvell,orion5x": FEROCEON_OLD,
    "marvell,pxa250": XSCALE_PXA25X,
    "marvell,pxa270": XSCALE_PXA27X,
    "marvell,pxa300": XSC3,
    "mrvl,mmp2": PJ4,
    "mrvl,pxa168": MOHAWK,
    "mrvl,pxa910": MOHAWK,
    "st,nomadik-nhk-15": ARM926,
    "stericsson,u300": ARM926,
    "ti,nspire-clp": ARM926,
    "ti,nspire-cx": ARM926,
    "ti,nspire-tp": ARM926,
}
# Boards that take core modules with different processors, of which their trees do not tell.
CORE_MODULES = {
    "arm,integrator-ap": (ARM926, ARM920, ARM922, ARM720, ARM1026, ARM1136),
    "arm,integrator-cp": (ARM926, ARM920, ARM922, ARM1026, ARM1136),
    "arm,realview-eb": (ARM926, ARM1136, ARM1176, ARM11MPCORE, CORTEX_A9),
}
# Boards without an MMU, which this port of the kernel needs.
NO_MMU_BOARDS = {
    "arm,mps2": "Cortex-M",
    "efm32,dk3750": "Cortex-M3",
    "fsl,vf610m4": "Cortex-M4",
    "st,stm32f429": "Cortex-M4",
    "st,stm32f469": "Cortex-M4",
    "st,stm32f746": "Cortex-M7",
    "st,stm32f769": "Cortex-M7",
    "st,stm32h743": "Cortex-M7",
}


def cpu_for(compatible: str) -> Cpu | None:
    """The processor that a cpu node's compatible string names ("arm,cortex-a9"), or None for one bootsim lacks."""
    return next((cpu for cpu in CPUS if compatible in (cpu.compatible, *cpu.aliases)), None)


def of_tree(tree: Tree) -> Cpu:
    """The processor that boots by the tree: of the first cpu node with a model that bootsim knows.

    Its reg is what the processor says of itself in MPIDR. A tree that tells nothing has a Cortex-A9. Raises InputError
    for a processor that is not modelled.
    """
    cpu = _model_of_tree(tree)
    affinity = next((processor.affinity for processor in tree.processors if processor.compatible), 0)
    return cpu._replace(mpidr=cpu.mpidr | affinity) if cpu.mpidr and affinity <= 0xFFFFFF else cpu


def core_modules(tree: Tree) -> tuple[Cpu, ...]:
    """The processors that a board may have whose tree tells of none; none where it tells, or there is but one."""
    if any(names for _, names in _processors(tree)):
        return ()
    return next((CORE_MODULES[name] for name in tree.board if name in CORE_MODULES), ())


def _model_of_tree(tree: Tree) -> Cpu:
    unknown = None
    for path, names in _processors(tree):
        cpu = next(filter(None, map(cpu_for, names)), None)
        if cpu is not None:
            return cpu
        unknown = unknown or (path, names)
    if unknown is not None:
        path, names = unknown
        if any(name.startswith("arm,cortex-m") for name in names):
            raise NoMmuError(f"{tree.place(path, 'compatible')}: {escaped(', '.join(names))} has no MMU, expected a "
                             "processor with one")
        known = ", ".join(cpu.compatible for cpu in CPUS)
        raise InputError(
            f"{tree.place(path, 'compatible')}: compatible is {escaped(', '.join(names))}, expected {known}; "
            "or say which it is (--cpu)"
        )
    other = next((name for name in tree.board if name in NO_MMU_BOARDS), None)
    if other is not None:
        raise NoMmuError(f"{tree.where('/', 'compatible')} /: {other} has a {NO_MMU_BOARDS[other]}, which has no MMU, "
                         "expected a processor with one; or say which it has (--cpu)")
    return next((OTHER_BOARDS[name] for name in tree.board if name in OTHER_BOARDS), CORTEX_A9)


def _processors(tree: Tree) -> list[tuple[str, list[str]]]:
    # the processors that say what they are: by device_type, or else below /cpus, as old trees have them
    listed = [(processor.path, processor.compatible) for processor in tree.processors if processor.compatible]
    cpus = tree.paths.get("/cpus")
    below = [(f"/cpus/{node.name}", node.strings("compatible")) for node in cpus.nodes] if cpus is not None else []
    return listed or [(path, names) for path, names in below if names and path.partition("@")[0] == "/cpus/cpu"]


_STATED = ("midr", "mpidr", "ctr", "tcmtr", "dtcm", "dtcm1", "itcm", "itcm1")


def stated(words: Sequence[str], default: Callable[[], Cpu]) -> Cpu:
    """Return the processor that words of --cpu state: a model, NAME=VALUE of _STATED; else it is `default`'s.

    A MIDR chooses the model as well. Raises InputError for a word that is neither, or a processor that is not modelled.
    """
    if not words:
        return default()
    words = [each for word in words for each in _spelt_out(word)]
    pairs = [_register(word) for word in words if "=" in word]
    registers = dict(pairs)
    models = [_model(word) for word in words if "=" not in word]
    if len(registers) < len(pairs) or len(models) > 1:
        raise InputError(f"--cpu {' --cpu '.join(words)}: expected one model, and each register once")
    if models:
        cpu = models[-1]
    elif "midr" in registers:
        cpu = _model_of_midr(registers["midr"])
    else:
        cpu = default()
    return Cpu(**(cpu._asdict() | registers))


def _spelt_out(word: str) -> list[str]:
    # MIDR[,MPIDR] is short for both
    if not word[:1].isdigit():
        return [word]
    return [f"{name}={value}" for name, value in zip(("midr", "mpidr"), word.split(",", 1), strict=False)]


def _register(word: str) -> tuple[str, int]:
    name, _, value = word.partition("=")
    try:
        number = int(value, 0)
    except ValueError:
        number = -1
    if name not in _STATED or not 0 <= number <= 0xFFFFFFFF:
        raise InputError(f"--cpu {word}: expected NAME=VALUE with a 32-bit value (mpidr=0x80000000) and a name of "
                         f"{', '.join(_STATED)}")  # fmt: skip
    return name, number


def _model(word: str) -> Cpu:
    for cpu in CPUS:
        if word in (cpu.compatible, cpu.compatible.partition(",")[2], *cpu.aliases):
            return cpu
    raise InputError(f"--cpu {word}: expected {_known_models()}, or NAME=VALUE with a name of "
                     f"{', '.join(_STATED)}")


def _model_of_midr(midr: int) -> Cpu:
    for cpu in CPUS:
        if (cpu.midr ^ midr) & MIDR_IMPLEMENTER_AND_PART == 0:
            return cpu
    raise InputError(f"--cpu midr={midr:#010x}: no processor that is modelled; expected one of {_known_models()}")


def _known_models() -> str:
    return ", ".join(cpu.compatible.partition(",")[2] for cpu in CPUS)
