"""The power firmware's node (drivers/firmware/psci/psci.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.base import of_device_is_available, of_device_is_compatible
from bootsim.linux.kernel.printk import KERN_INFO, printk, step

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def psci_dt_init(k: Kernel) -> bool:
    """Look for a PSCI node; whether one can start processors.

    Source: drivers/firmware/psci/psci.c psci_dt_init()
    Differs: what the firmware answers is not modelled, so the lines after the first are missing.
    """
    if not k.build.config.ARM_PSCI:
        return False
    for node in k.of.of_root.walk():
        versions = ("arm,psci-1.0", "arm,psci-0.2", "arm,psci")
        if of_device_is_available(node) and any(of_device_is_compatible(node, v) for v in versions):
            printk(k, KERN_INFO, "psci: probing for conduit method from DT.")
            if of_device_is_compatible(node, "arm,psci"):
                printk(k, KERN_INFO, "psci: Using PSCI v0.1 Function IDs from DT")
            else:
                step(k, "{path}: the firmware's PSCI version is not known here; its lines are left out", path=node.path)
            return True
    return False
