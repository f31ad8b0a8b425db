"""Where UEFI's tables are, by the device tree (drivers/firmware/efi/fdtparams.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.linux.lib.fdt import fdt_path_offset
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# what is asked for: the words of efi=debug and how many bytes the kernel's variable has
_NAMES = (("System Table         ", 4), ("MemMap Address       ", 4), ("MemMap Size          ", 4),
          ("MemMap Desc. Size    ", 4), ("MemMap Desc. Version ", 4), ("Secure Boot Enabled  ", 4))  # fmt: skip
_MAP = ("mmap-start", "mmap-size", "mmap-desc-size", "mmap-desc-ver")
_XEN = ("/hypervisor/uefi", (*(f"xen,uefi-{name}" for name in ("system-table", *_MAP)), ""))
_CHOSEN = ("/chosen", (*(f"linux,uefi-{name}" for name in ("system-table", *_MAP)), "linux,uefi-secure-boot"))
_U32 = 0xFFFFFFFF


class MemoryMap(NamedTuple):
    """The place in the tree that tells of it, struct efi_memory_map_data, and the mode of secure boot."""

    place: str
    phys_map: int
    size: int
    desc_size: int
    desc_version: int
    secure_boot: int


def efi_get_fdt_params(k: Kernel) -> MemoryMap | None:
    """What a UEFI stub has left in the tree; None when it has left nothing, or not all.

    Source: drivers/firmware/efi/fdtparams.c efi_get_fdt_params()
    """
    for path, names in ((_XEN, _CHOSEN) if k.build.config.XEN else (_CHOSEN,)):
        node = fdt_path_offset(k.of.fdt, path)
        if node is None:
            continue
        debug = k.options.get("efi_debug")
        if debug:
            printk(k, KERN_INFO, "efi: Getting UEFI parameters from {path} in DT:", path=path)
        values = []
        for name, (words, size) in zip(names, _NAMES, strict=True):
            prop = node.first.get(name)
            if prop is None and name:
                break
            value = int.from_bytes((prop or b"")[: 4 if len(prop or b"") == 4 else 8], "big")
            values.append(min(value, _U32))
            if debug and name:
                printk(k, KERN_INFO, "efi:   {words}: 0x{value:0{width}x}", words=words, value=value, width=2 * size)
        if len(values) == len(names):
            return MemoryMap(place_of(k, path, names[0]), *values[1:]) if values[0] else None
        if not values:
            break
        printk(k, KERN_ERR, "efi: Can't find property '{name}' in DT!", name=names[len(values)])
        step(k, "cause: {place} without {missing}", place=place_of(k, path, names[0]), missing=names[len(values)])
        return None
    printk(k, KERN_INFO, "efi: UEFI not found.")
    return None
