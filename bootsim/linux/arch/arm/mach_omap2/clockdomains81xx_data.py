"""Clock domains of DM814x and DM816x (arch/arm/mach-omap2/clockdomains81xx_data.c, clockdomain.c).

A kernel that takes the chip for another one has that one's power domains, and says which are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.mach_omap2.id import TI814X_CLASS, TI816X_CLASS
from bootsim.linux.kernel.printk import KERN_ERR, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_ALWON = ("alwon_l3s", "alwon_l3_med", "alwon_l3_fast", "alwon_ethernet", "mmu", "mmu_cfg")
clockdomains_ti814x = (*((name, "alwon") for name in _ALWON), ("default_l3_slow", "default"), ("default", "default"))
clockdomains_ti816x = (
    *((name, "alwon") for name in ("alwon_mpu", *_ALWON)),
    ("active_gem", "active"), ("ivahd0", "ivahd0"), ("ivahd1", "ivahd1"), ("ivahd2", "ivahd2"), ("sgx", "sgx"),
    *((name, "default") for name in ("default_l3_med", "default_ducati", "default_pci", "default_l3_slow", "default")),
)  # fmt: skip

# powerdomains3xxx_data.c: those of the clock domains' power domains that a chip has
_POWERDOMAINS = {
    TI814X_CLASS: {"alwon", "active", "default", "sgx"},
    TI816X_CLASS: {"alwon", "active", "default", "ivahd0", "ivahd1", "ivahd2", "sgx"},
}
OMAP3430_REV_ES1_0 = 0x34300034


def ti81xx_clockdomains_init(k: Kernel, clockdomains: tuple[tuple[str, str], ...]) -> None:
    """Register clock domains, each in its power domain.

    Source: arch/arm/mach-omap2/clockdomains81xx_data.c ti814x_clockdomains_init(), ti816x_clockdomains_init(),
        clockdomain.c _clkdm_register(), powerdomains3xxx_data.c omap3xxx_powerdomains_init()
    """
    rev = k.mach["omap_revision"]
    powerdomains = _POWERDOMAINS.get(rev & 0xFFF000FF, set() if rev == OMAP3430_REV_ES1_0 else {"sgx"})
    for name, powerdomain in clockdomains:
        if powerdomain not in powerdomains:
            printk(k, KERN_ERR, "clockdomain: {name}_clkdm: powerdomain {powerdomain}_pwrdm does not exist",
                   func="_clkdm_register", name=name, powerdomain=powerdomain)
