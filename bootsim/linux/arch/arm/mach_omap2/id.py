"""Which chip of the OMAP families this is (arch/arm/mach-omap2/id.c, soc.h, control.h).

omap_revision has the family in its lowest byte, the chip in its upper half, and the revision between them. The static
variables of the file are in k.mach: omap_revision, tap_base (va), soc_rev.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.io import readl
from bootsim.linux.arch.arm.mach_omap2.iomap import AM33XX_L4_WK_IO_OFFSET, OMAP2_L4_IO_OFFSET
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_WARNING, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

OMAP242X_CLASS = 0x24200024
OMAP243X_CLASS = 0x24300024
OMAP343X_CLASS = 0x34300034
OMAP363X_CLASS = 0x36300034
AM35XX_CLASS = 0x35170034
TI816X_CLASS = 0x81600081
TI814X_CLASS = 0x81400081
AM335X_CLASS = 0x33500033
AM437X_CLASS = 0x43700000
OMAP443X_CLASS = 0x44300044
OMAP446X_CLASS = 0x44600044
OMAP447X_CLASS = 0x44700044
OMAP54XX_CLASS = 0x54000054
DRA7XX_CLASS = 0x07000000
OMAP_TAP_IDCODE = 0x204
OMAP24XX_TAP_PROD_ID = 0x208
OMAP_TAP_DIE_ID_44XX_2 = 0x20C
OMAP3_CONTROL_OMAP_STATUS = 0x4800244C
AM33XX_DEV_FEATURE = 0x44E10604
CORTEX_A8 = 0xC08

# omap2xxx_check_revision(): hawkeye: chip, and the device types that it is known with
_OMAP2 = {0xB5D9: (0x2420, (0, 1, 2, 4, 8)), 0xB68A: (0x2430, (0,))}
# omap3xxx_check_revision(): hawkeye: class, and by revision field what is added to it and called; the last is for all
# that follow. Chips that the build has no machine for are known all the same.
_OMAP3 = {
    0xB7AE: (OMAP343X_CLASS, ((1, "2.0"), (1, "2.0"), (2, "2.1"), (3, "3.0"), (4, "3.1"), (5, "3.1.2"))),
    0xB868: (AM35XX_CLASS, ((0, "1.0"), (1, "1.1"))),
    0xB891: (OMAP363X_CLASS, ((0, "1.0"), (1, "1.1"), (2, "1.2"))),
    0xB81E: (TI816X_CLASS, ((0, "1.0"), (1, "1.1"), (2, "2.0"), (3, "2.1"))),
    0xB944: (AM335X_CLASS, ((0, "1.0"), (1, "2.0"), (2, "2.1"))),
    0xB98C: (AM437X_CLASS, ((0x10, "1.0"), (0x11, "1.1"), (0x12, "1.2"))),
    0xB8F2: (TI814X_CLASS, ((0, "1.0"), (0, "1.0"), (1, "2.0"), (2, "2.1"))),
    0xB968: (TI814X_CLASS, ((0, "1.0"), (0, "1.0"), (1, "2.0"), (2, "2.1"))),
}
# omap4xxx_check_revision(): hawkeye: class, revision of the field's value, revision of any other
_OMAP4 = {
    0xB852: (OMAP443X_CLASS, {0: 0x10}, 0x20),
    0xB95C: (OMAP443X_CLASS, {3: 0x21, 4: 0x22}, 0x23),
    0xB94E: (OMAP446X_CLASS, {0: 0x10}, 0x11),
    0xB975: (OMAP447X_CLASS, {}, 0x10),
}
# dra7xxx_check_revision(): hawkeye: chip, revision of the field's value, revision of any other
_DRA7 = {
    0xBB50: (0x62, {}, 0x10),
    0xB990: (0x52, {0: 0x10, 1: 0x11}, 0x20),
    0xB9BC: (0x22, {0: 0x10, 1: 0x20}, 0x21),
}


def omap2_set_globals_tap(k: Kernel, soc_class: int, tap: int) -> None:
    """Note the family, and where its identification registers are (va).

    Source: arch/arm/mach-omap2/id.c omap2_set_globals_tap()
    """
    k.mach["omap_revision"] = soc_class
    k.mach["tap_base"] = tap & 0xFFFFFFFF


def omap2xxx_check_revision(k: Kernel) -> None:
    """Read which chip of OMAP2's kind this is, and tell.

    Source: arch/arm/mach-omap2/id.c omap2xxx_check_revision()
    """
    _, hawkeye, _ = _idcode(k)
    if hawkeye not in _OMAP2:
        printk(k, KERN_ERR, "Unknown OMAP CPU id")
        return
    chip, types = _OMAP2[hawkeye]
    dev_type = readl(k, k.mach["tap_base"] + OMAP24XX_TAP_PROD_ID, "product id") >> 16 & 0xF
    if dev_type not in types:
        printk(k, KERN_ERR, "Unknown OMAP device type. Handling it as OMAP{chip:04x}", chip=chip)
    printk(k, KERN_INFO, "OMAP{chip:04x}", chip=k.mach["omap_revision"] >> 16)


def omap3xxx_check_revision(k: Kernel) -> None:
    """Read which chip of OMAP3's kind this is. The first Cortex-A8 is in a chip whose register cannot be read.

    Source: arch/arm/mach-omap2/id.c omap3xxx_check_revision()
    """
    if k.processor_id >> 4 & 0xFFF == CORTEX_A8 and not k.processor_id & 0xF:
        k.mach["omap_revision"] = OMAP343X_CLASS
        return
    _, hawkeye, rev = _idcode(k)
    if hawkeye in _OMAP3:
        soc_class, revisions = _OMAP3[hawkeye]
        added, es = revisions[min(rev, len(revisions) - 1)]
    else:
        soc_class, added, es = OMAP363X_CLASS, 2, "1.2"
        printk(k, KERN_WARNING, "Warning: unknown chip type: hawkeye {hawkeye:04x}, assuming OMAP3630ES1.2",
               hawkeye=hawkeye)
    k.mach["omap_revision"] = soc_class | added << 8
    k.mach["soc_rev"] = f"ES{es}"


def omap3xxx_check_features(k: Kernel) -> None:
    """Read which units an OMAP3 has, and tell the chip.

    Source: arch/arm/mach-omap2/id.c omap3xxx_check_features()
    """
    status = readl(k, OMAP3_CONTROL_OMAP_STATUS + OMAP2_L4_IO_OFFSET & 0xFFFFFFFF, "OMAP3 status")
    features = {"l2cache": status >> 10 & 3 != 0, "iva": status >> 12 & 1 != 1, "sgx": status >> 13 & 3 != 2,
                "neon": status >> 4 & 1 != 1, "isp": status >> 5 & 1 != 1,
                "192mhz_clk": _subclass(k) == 0x363}
    if k.mach["omap_revision"] >> 24 == 0x35:
        features["iva"] = features["isp"] = False
    omap3_cpuinfo(k, {name for name, there in features.items() if there})


def ti81xx_check_features(k: Kernel) -> None:
    """Tell a DM814x or DM816x.

    Source: arch/arm/mach-omap2/id.c ti81xx_check_features()
    """
    omap3_cpuinfo(k, {"neon"})


def am33xx_check_features(k: Kernel) -> None:
    """Read whether there is a graphics unit, and tell the chip.

    Source: arch/arm/mach-omap2/id.c am33xx_check_features()
    """
    status = readl(k, AM33XX_DEV_FEATURE + AM33XX_L4_WK_IO_OFFSET & 0xFFFFFFFF, "AM33xx features")
    omap3_cpuinfo(k, {"neon", "sgx"} if status & 1 << 29 else {"neon"})


def omap3_cpuinfo(k: Kernel, features: set[str]) -> None:
    """Tell the chip by its features, and these.

    Source: arch/arm/mach-omap2/id.c omap3_cpuinfo()
    """
    units = " ".join(name for name in ("l2cache", "iva", "sgx", "neon", "isp", "192mhz_clk") if name in features)
    printk(k, KERN_INFO, "{soc_name} {soc_rev} ({units})", soc_name=_omap3_name(k, features),
           soc_rev=k.mach.get("soc_rev", ""), units=units)


def _omap3_name(k: Kernel, has: set[str]) -> str:
    names = {0x816: "TI816X", 0x335: "AM335X", 0x437: "AM437x", 0x814: "TI814X"}
    subclass = _subclass(k)
    if subclass == 0x363 and _built_for(k, "omap3_map_io"):
        if {"iva", "sgx"} <= has:
            return "OMAP3630/DM3730" if "isp" in has else "OMAP3621"
        if "iva" in has:
            return "DM3725"
        if "sgx" in has:
            return "OMAP3615/AM3715"
        return "AM3703" if "isp" in has else "OMAP3611"
    if k.mach["omap_revision"] >> 24 == 0x35 and _built_for(k, "omap3_map_io"):
        return "AM3517" if "sgx" in has else "AM3505"
    if subclass in names and _built_for(k, "ti81xx_map_io" if subclass in (0x816, 0x814) else "am33xx_map_io"):
        return names[subclass]
    if {"iva", "sgx"} <= has:
        return "OMAP3430/3530"
    return "OMAP3525" if "iva" in has else "OMAP3515" if "sgx" in has else "OMAP3503"


def omap4xxx_check_revision(k: Kernel) -> None:
    """Read which OMAP4 this is, and tell it.

    Source: arch/arm/mach-omap2/id.c omap4xxx_check_revision()
    """
    _, hawkeye, rev = _idcode(k)
    if not rev and hawkeye not in (0xB94E, 0xB975):
        rev = (k.processor_id & 0xF) - 1 & 0xFF  # samples that all say 0: the processor knows
    soc_class, known, other = _OMAP4.get(hawkeye, (OMAP443X_CLASS, {}, 0x23))
    _tell(k, soc_class | known.get(rev, other) << 8, "OMAP{:04x}")


def omap5xxx_check_revision(k: Kernel) -> None:
    """Read which OMAP5 this is, and tell it.

    Source: arch/arm/mach-omap2/id.c omap5xxx_check_revision()
    Differs: the test chip ES1.0, for which the kernel stops with BUG(), is taken for ES2.0.
    """
    _, hawkeye, _rev = _idcode(k)
    k.mach["omap_revision"] = rev = OMAP54XX_CLASS | (0x32 if hawkeye == 0xB998 else 0x30) << 16 | 0x20 << 8
    printk(k, KERN_INFO, "{soc_name} {soc_rev}", soc_name=f"OMAP{rev >> 16:04x}", soc_rev=f"ES{rev >> 12 & 0xF}.0")


def dra7xxx_check_revision(k: Kernel) -> None:
    """Read which DRA7xx or AM57xx this is, and tell it.

    Source: arch/arm/mach-omap2/id.c dra7xxx_check_revision()
    """
    package = readl(k, k.mach["tap_base"] + OMAP_TAP_DIE_ID_44XX_2, "die id") >> 16 & 3
    idcode, hawkeye, rev = _idcode(k)
    if hawkeye not in _DRA7:
        printk(k, KERN_WARNING, "dra7xxx_check_revision: unknown idcode={idcode:#010x} (hawkeye={hawkeye:#010x},"
               "rev={rev:#x})", idcode=idcode, hawkeye=hawkeye, rev=rev)
    chip, known, other = _DRA7.get(hawkeye, (0x52, {}, 0x20))
    revision = DRA7XX_CLASS | chip << 16 | known.get(rev, other) << 8
    if chip == 0x62 and package in (2, 3):
        revision |= package
    _tell(k, revision, "DRA{:03x}")


def _tell(k: Kernel, revision: int, name: str) -> None:
    # the end of omap4xxx_check_revision() and dra7xxx_check_revision()
    k.mach["omap_revision"] = revision
    printk(k, KERN_INFO, "{soc_name} {soc_rev}", soc_name=name.format(revision >> 16),
           soc_rev=f"ES{revision >> 12 & 0xF}.{revision >> 8 & 0xF}")


def _idcode(k: Kernel) -> tuple[int, int, int]:
    # the identification register, and the chip and revision in it
    idcode = readl(k, k.mach["tap_base"] + OMAP_TAP_IDCODE, "device id")
    return idcode, idcode >> 12 & 0xFFFF, idcode >> 28


def _subclass(k: Kernel) -> int:
    # GET_OMAP_SUBCLASS
    revision: int = k.mach["omap_revision"]
    return revision >> 20


def _built_for(k: Kernel, map_io: str) -> bool:
    # CONFIG_ARCH_OMAP3 and its like: a chip is recognised by a kernel that has a machine for it
    return any(machine.map_io == map_io for machine in k.build.machines)
