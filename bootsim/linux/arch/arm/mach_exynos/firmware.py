"""The secure firmware of Exynos boards (arch/arm/mach-exynos/firmware.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.base import of_find_compatible_node
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def exynos_firmware_init(k: Kernel) -> None:
    """Say whether there is secure firmware.

    Source: arch/arm/mach-exynos/firmware.c exynos_firmware_init(), exynos_secure_firmware_available()
    """
    node = of_find_compatible_node(k, "samsung,secure-firmware")
    if node is None:
        return
    if not node.properties.get("reg"):
        printk(k, KERN_ERR, "exynos_secure_firmware_available: No address specified.",
               func="exynos_secure_firmware_available")
        return
    printk(k, KERN_INFO, "Running under secure firmware.")
