"""The power firmware (drivers/firmware/psci/psci.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.base import DeviceNode, of_device_is_available, of_find_matching_node_and_match
from bootsim.linux.include.linux.errno import EINVAL, ENXIO
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_PSCI_OF_MATCH = ("arm,psci", "arm,psci-0.2", "arm,psci-1.0")
FIRMWARE_VERSION = (1, 1)  # what QEMU's firmware, and most others, answer to PSCI_VERSION


def get_set_conduit_method(k: Kernel, np: DeviceNode) -> int:
    """Find out how the firmware is called. Returns 0 or a negative errno.

    Source: drivers/firmware/psci/psci.c get_set_conduit_method()
    """
    printk(k, KERN_INFO, "psci: probing for conduit method from DT.")
    prop = np.properties.get("method")
    if not prop or b"\0" not in prop:
        printk(k, KERN_WARNING, 'psci: missing "method" property')
        return -ENXIO
    method = prop.split(b"\0", 1)[0].decode("latin-1")
    if method not in ("hvc", "smc"):
        printk(k, KERN_WARNING, 'psci: invalid "method" property: {method}', method=method)
        return -EINVAL
    return 0


def psci_probe(k: Kernel, np: DeviceNode) -> None:
    """Ask the firmware what it can do.

    Source: drivers/firmware/psci/psci.c psci_probe(), psci_init_migrate(), psci_init_smccc()
    Differs: the firmware is taken to answer as QEMU's does.
    """
    major, minor = FIRMWARE_VERSION
    step(k, "{place}: the firmware is taken to be PSCI v{major}.{minor}, as QEMU's is", func="psci_probe", major=major,
         minor=minor, place=place_of(k, np.path, "compatible"))
    printk(k, KERN_INFO, "psci: PSCIv{major}.{minor} detected in firmware.", major=major, minor=minor)
    printk(k, KERN_INFO, "psci: Using standard PSCI v0.2 function IDs", func="psci_0_2_set_functions")
    printk(k, KERN_INFO, "psci: Trusted OS migration not required", func="psci_init_migrate")
    printk(k, KERN_INFO, "psci: SMC Calling Convention v{major}.{minor}", func="psci_init_smccc", major=1, minor=0)


def psci_dt_init(k: Kernel) -> bool:
    """Start the first PSCI node by its most specific compatible; whether it can start processors.

    Source: drivers/firmware/psci/psci.c psci_dt_init(), psci_0_1_init(), psci_0_2_init(), psci_1_0_init();
        arch/arm/kernel/psci_smp.c psci_smp_available()
    """
    if not k.build.config.ARM_PSCI_FW:
        return False
    np, compatible = of_find_matching_node_and_match(k, _PSCI_OF_MATCH)
    if np is None or not of_device_is_available(np) or get_set_conduit_method(k, np):
        return False
    if compatible == "arm,psci":
        printk(k, KERN_INFO, "psci: Using PSCI v0.1 Function IDs from DT", func="psci_0_1_init")
        return len(np.properties.get("cpu_on", b"")) >= 4
    psci_probe(k, np)
    return True
