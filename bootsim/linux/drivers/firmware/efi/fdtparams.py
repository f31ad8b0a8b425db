"""Where UEFI's tables are, by the device tree (drivers/firmware/efi/fdtparams.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.lib.fdt import fdt_path_offset
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# (path, the properties that must be there: system table, then the memory map's address, size, entry size and version)
_MAP = ("mmap-start", "mmap-size", "mmap-desc-size", "mmap-desc-ver")
_XEN = ("/hypervisor/uefi", tuple(f"xen,uefi-{name}" for name in ("system-table", *_MAP)))
_CHOSEN = ("/chosen", (*(f"linux,uefi-{name}" for name in ("system-table", *_MAP)), "linux,uefi-secure-boot"))


def efi_get_fdt_params(k: Kernel) -> None:
    """Say whether a UEFI stub has left its tables' addresses in the tree.

    Raises InputError when it has: then memory is what the firmware's map says, which bootsim does not have.
    Source: drivers/firmware/efi/fdtparams.c efi_get_fdt_params()
    Differs: properties that are there are not shown by efi=debug.
    """
    for path, names in ((_XEN, _CHOSEN) if k.build.config.XEN else (_CHOSEN,)):
        node = fdt_path_offset(k.of.fdt, path)
        if node is None:
            continue
        if k.options.get("efi_debug"):
            printk(k, KERN_INFO, "efi: Getting UEFI parameters from {path} in DT:", path=path)
        missing = next((name for name in names if name not in node.first), None)
        if missing is None:
            raise InputError(f"{place_of(k, path, names[0])}: a tree that a UEFI stub has edited: the memory map that "
                             "it points to is the firmware's, which is not in the tree; expected the tree before that")
        if missing == names[0]:
            break
        printk(k, KERN_ERR, "efi: Can't find property '{name}' in DT!", name=missing)
        step(k, "cause: {place} without {missing}", place=place_of(k, path, names[0]), missing=missing)
        return
    printk(k, KERN_INFO, "efi: UEFI not found.")
