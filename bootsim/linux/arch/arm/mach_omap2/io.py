"""The devices that OMAP2+ kernels map for good, and what their init_early hooks take (arch/arm/mach-omap2/io.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.mach.map import io_desc, io_table
from bootsim.linux.arch.arm.asm.memory import SZ_1M, SZ_2M, SZ_8M
from bootsim.linux.arch.arm.mach_omap2.clockdomains81xx_data import (
    clockdomains_ti814x,
    clockdomains_ti816x,
    ti81xx_clockdomains_init,
)
from bootsim.linux.arch.arm.mach_omap2.id import (
    AM335X_CLASS,
    DRA7XX_CLASS,
    OMAP54XX_CLASS,
    OMAP242X_CLASS,
    OMAP243X_CLASS,
    OMAP343X_CLASS,
    OMAP443X_CLASS,
    TI814X_CLASS,
    TI816X_CLASS,
    am33xx_check_features,
    dra7xxx_check_revision,
    omap2_set_globals_tap,
    omap2xxx_check_revision,
    omap3xxx_check_features,
    omap3xxx_check_revision,
    omap4xxx_check_revision,
    omap5xxx_check_revision,
    ti81xx_check_features,
)
from bootsim.linux.arch.arm.mach_omap2.iomap import AM33XX_L4_WK_IO_OFFSET, OMAP2_L4_IO_OFFSET
from bootsim.linux.arch.arm.mach_omap2.omap4_common import omap_barriers_init
from bootsim.linux.arch.arm.mach_omap2.omap_hwmod import omap_hwmod_init
from bootsim.linux.arch.arm.mach_omap2.prm_common import omap2_prcm_base_init
from bootsim.linux.arch.arm.mm.mmu.static_mappings import iotable_init

if TYPE_CHECKING:
    from bootsim.linux import Kernel


omap24xx_io_desc = (
    io_desc(0xF8000000, 0x68000000, SZ_1M),  # L3
    io_desc(0xFA000000, 0x48000000, SZ_1M),  # L4
)
omap242x_io_desc = (
    io_desc(0xFC100000, 0x58000000, 0x28000),  # the signal processor's memory
    io_desc(0xFC128000, 0x59000000, 0x1000),  # its interface
    io_desc(0xFC129000, 0x5A000000, 0x1000),  # its MMU
)
omap243x_io_desc = (
    io_desc(0xFB000000, 0x49000000, SZ_1M),  # L4 wakeup
    io_desc(0xFE000000, 0x6E000000, SZ_1M),  # GPMC
    io_desc(0xFD000000, 0x6D000000, SZ_1M),  # SDRC
    io_desc(0xFC000000, 0x6C000000, SZ_1M),  # SMS
)
_L4_34XX = io_desc(0xFA000000, 0x48000000, 4 * SZ_1M)
omap34xx_io_desc = (
    io_desc(0xF8000000, 0x68000000, SZ_1M),  # L3
    _L4_34XX,
    io_desc(0xFE000000, 0x6E000000, SZ_1M),  # GPMC
    io_desc(0xFC000000, 0x6C000000, SZ_1M),  # SMS
    io_desc(0xFD000000, 0x6D000000, SZ_1M),  # SDRC
    io_desc(0xFB000000, 0x49000000, SZ_1M),  # L4 peripherals
    io_desc(0xFE800000, 0x54000000, SZ_8M),  # L4 emulation
)
omapti81xx_io_desc = (_L4_34XX,)
omapam33xx_io_desc = (_L4_34XX, io_desc(0xF9C00000, 0x44C00000, 4 * SZ_1M))  # L4 wakeup
omap44xx_io_desc = (
    io_desc(0xF8000000, 0x44000000, SZ_1M),  # L3
    io_desc(0xFC000000, 0x4A000000, 4 * SZ_1M),  # L4
    io_desc(0xFA000000, 0x48000000, 4 * SZ_1M),  # L4 peripherals
)
omap54xx_io_desc = (
    io_desc(0xF8000000, 0x44000000, SZ_1M),  # L3
    io_desc(0xFC000000, 0x4A000000, 4 * SZ_1M),  # L4
    io_desc(0xFCE00000, 0x4AE00000, SZ_2M),  # L4 wakeup
    io_desc(0xFA000000, 0x48000000, 4 * SZ_1M),  # L4 peripherals
)
dra7xx_io_desc = (
    io_desc(0xFA210000, 0x48210000, SZ_1M),  # L4 configuration of the MPU
    io_desc(0xF8000000, 0x44000000, SZ_1M),  # L3 main
    io_desc(0xFA000000, 0x48000000, SZ_1M),  # L4 peripherals 1
    io_desc(0xFA400000, 0x48400000, SZ_1M),  # L4 peripherals 2
    io_desc(0xFA800000, 0x48800000, SZ_2M),  # L4 peripherals 3
    io_desc(0xFC000000, 0x4A000000, SZ_1M + SZ_2M),  # L4 configuration
    io_desc(0xFCE00000, 0x4AE00000, SZ_1M),  # L4 wakeup
)


def omap242x_map_io(k: Kernel) -> None:
    """Map the buses and the signal processor of OMAP2420.

    Source: arch/arm/mach-omap2/io.c omap242x_map_io()
    """
    iotable_init(k, io_table(k, "omap24xx_io_desc", omap24xx_io_desc))
    iotable_init(k, io_table(k, "omap242x_io_desc", omap242x_io_desc))


def omap243x_map_io(k: Kernel) -> None:
    """Map the buses and memory controllers of OMAP2430.

    Source: arch/arm/mach-omap2/io.c omap243x_map_io()
    """
    iotable_init(k, io_table(k, "omap24xx_io_desc", omap24xx_io_desc))
    iotable_init(k, io_table(k, "omap243x_io_desc", omap243x_io_desc))


def omap3_map_io(k: Kernel) -> None:
    """Map the buses of OMAP3, AM35xx and DM37xx.

    Source: arch/arm/mach-omap2/io.c omap3_map_io()
    """
    iotable_init(k, io_table(k, "omap34xx_io_desc", omap34xx_io_desc))


def ti81xx_map_io(k: Kernel) -> None:
    """Map the peripheral bus of DM814x and DM816x.

    Source: arch/arm/mach-omap2/io.c ti81xx_map_io()
    """
    iotable_init(k, io_table(k, "omapti81xx_io_desc", omapti81xx_io_desc))


def am33xx_map_io(k: Kernel) -> None:
    """Map the peripheral and wakeup buses of AM335x and AM437x.

    Source: arch/arm/mach-omap2/io.c am33xx_map_io()
    """
    iotable_init(k, io_table(k, "omapam33xx_io_desc", omapam33xx_io_desc))


def omap4_map_io(k: Kernel) -> None:
    """Map the buses of OMAP4, and the barrier's memory.

    Source: arch/arm/mach-omap2/io.c omap4_map_io()
    """
    iotable_init(k, io_table(k, "omap44xx_io_desc", omap44xx_io_desc))
    omap_barriers_init(k)


def omap5_map_io(k: Kernel) -> None:
    """Map the buses of OMAP5, and the barrier's memory.

    Source: arch/arm/mach-omap2/io.c omap5_map_io()
    """
    iotable_init(k, io_table(k, "omap54xx_io_desc", omap54xx_io_desc))
    omap_barriers_init(k)


def dra7xx_map_io(k: Kernel) -> None:
    """Map the buses of DRA7xx and AM57xx, and the barrier's memory.

    Source: arch/arm/mach-omap2/io.c dra7xx_map_io()
    """
    iotable_init(k, io_table(k, "dra7xx_io_desc", dra7xx_io_desc))
    omap_barriers_init(k)


# The init_early hooks. Voltage, power and clock domains and modules are tables in the kernel image; of what is done
# with them before the allocators run, only the lines and the memblock requests below are seen.


def omap2420_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c omap2420_init_early()
    """
    _omap24xx_init_early(k, OMAP242X_CLASS, 0x48014000)


def omap2430_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c omap2430_init_early()
    """
    _omap24xx_init_early(k, OMAP243X_CLASS, 0x4900A000)


def _omap24xx_init_early(k: Kernel, soc_class: int, tap_pa: int) -> None:
    omap2_set_globals_tap(k, soc_class, tap_pa + OMAP2_L4_IO_OFFSET)
    omap2xxx_check_revision(k)
    omap2_prcm_base_init(k)
    omap_hwmod_init(k)


def omap3_init_early(k: Kernel) -> None:
    """Tell the chip; note clock registers and clock controllers.

    Source: arch/arm/mach-omap2/io.c omap3_init_early(), omap3430_init_early(), omap3630_init_early(),
        am35xx_init_early()
    """
    omap2_set_globals_tap(k, OMAP343X_CLASS, 0x4830A000 + OMAP2_L4_IO_OFFSET)
    omap3xxx_check_revision(k)
    omap3xxx_check_features(k)
    omap2_prcm_base_init(k)
    omap_hwmod_init(k)


def ti814x_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c ti814x_init_early()
    """
    _ti81xx_init_early(k, TI814X_CLASS, clockdomains_ti814x)


def ti816x_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c ti816x_init_early()
    """
    _ti81xx_init_early(k, TI816X_CLASS, clockdomains_ti816x)


def _ti81xx_init_early(k: Kernel, soc_class: int, clockdomains: tuple[tuple[str, str], ...]) -> None:
    # the device id is at offset 0x600 of the control module, and is read at offset 0x204 of the tap
    omap2_set_globals_tap(k, soc_class, 0x48140600 - 0x204 + OMAP2_L4_IO_OFFSET)
    omap3xxx_check_revision(k)
    ti81xx_check_features(k)
    omap2_prcm_base_init(k)
    ti81xx_clockdomains_init(k, clockdomains)
    omap_hwmod_init(k)


def am33xx_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c am33xx_init_early()
    """
    omap2_set_globals_tap(k, AM335X_CLASS, 0x44E103FC + AM33XX_L4_WK_IO_OFFSET)
    omap3xxx_check_revision(k)
    am33xx_check_features(k)
    omap2_prcm_base_init(k)
    omap_hwmod_init(k)


def am43xx_init_early(k: Kernel) -> None:
    """Note the clock controllers; the chip is read, not told.

    Source: arch/arm/mach-omap2/io.c am43xx_init_early()
    """
    omap2_set_globals_tap(k, AM335X_CLASS, 0x44E103FC + AM33XX_L4_WK_IO_OFFSET)
    omap3xxx_check_revision(k)
    am33xx_check_features(k)
    omap2_prcm_base_init(k)
    omap_hwmod_init(k)


def omap4430_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c omap4430_init_early()
    """
    omap2_set_globals_tap(k, OMAP443X_CLASS, 0x4A002000 + OMAP2_L4_IO_OFFSET)
    omap4xxx_check_revision(k)
    omap2_prcm_base_init(k)
    omap_hwmod_init(k)


def omap5_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c omap5_init_early()
    """
    omap2_set_globals_tap(k, OMAP54XX_CLASS, 0x4A002000 + OMAP2_L4_IO_OFFSET)
    omap2_prcm_base_init(k)
    omap5xxx_check_revision(k)
    omap_hwmod_init(k)


def dra7xx_init_early(k: Kernel) -> None:
    """Tell the chip; note its clock controllers.

    Source: arch/arm/mach-omap2/io.c dra7xx_init_early()
    """
    omap2_set_globals_tap(k, DRA7XX_CLASS, 0x4AE0C000 + OMAP2_L4_IO_OFFSET)
    omap2_prcm_base_init(k)
    dra7xxx_check_revision(k)
    omap_hwmod_init(k)
