"""The early start of EFI (drivers/firmware/efi/efi-init.c): memory is what the firmware's map says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError, KernelPanic
from bootsim.inputs.efitypes import ATTRIBUTES, CACHED, DESCRIPTOR, MEMORY_TYPES
from bootsim.linux.drivers.firmware.efi.fdtparams import efi_get_fdt_params
from bootsim.linux.drivers.of.fdt import early_init_dt_add_memory_arch
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.mm.memblock import (
    PHYS_ADDR_MAX,
    memblock_dump_all,
    memblock_mark_nomap,
    memblock_remove,
    memblock_reserve,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.inputs.efimap import Firmware
    from bootsim.linux import Kernel
    from bootsim.linux.drivers.firmware.efi.fdtparams import MemoryMap

ROOT = "option:efi-memmap"
EFI_LOADER_CODE, EFI_LOADER_DATA, EFI_BOOT_SERVICES_CODE, EFI_BOOT_SERVICES_DATA = 1, 2, 3, 4
EFI_CONVENTIONAL_MEMORY, EFI_ACPI_RECLAIM_MEMORY, EFI_PERSISTENT_MEMORY = 7, 9, 14
_USABLE = (EFI_LOADER_CODE, EFI_LOADER_DATA, EFI_ACPI_RECLAIM_MEMORY, EFI_BOOT_SERVICES_CODE, EFI_BOOT_SERVICES_DATA,
           EFI_CONVENTIONAL_MEMORY, EFI_PERSISTENT_MEMORY)  # fmt: skip
_NR_FIX_BTMAPS = 32
_MEMRESERVE_BYTES = 12  # struct linux_efi_memreserve without entries, as the stub leaves it


class EfiMemoryDesc(NamedTuple):
    """efi_memory_desc_t: its EFI_MEMORY_TYPE, where it starts (pa), its pages of 4 KiB, its EFI_MEMORY_* bits."""

    type: int
    phys_addr: int
    num_pages: int
    attribute: int

    @property
    def is_memory(self) -> bool:
        """Whether it can be cached.

        Source: drivers/firmware/efi/efi-init.c is_memory()
        """
        return bool(self.attribute & CACHED)

    @property
    def is_usable_memory(self) -> bool:
        """Whether the kernel may use it as RAM.

        Source: drivers/firmware/efi/efi-init.c is_usable_memory()
        """
        return self.type in _USABLE and bool(self.attribute & ATTRIBUTES["WB"])

    def __str__(self) -> str:
        """Source: drivers/firmware/efi/efi.c efi_md_typeattr_format()."""
        kind = f"{MEMORY_TYPES[self.type]:<12}" if self.type < len(MEMORY_TYPES) else f"type={self.type}"
        if self.attribute & ~sum(ATTRIBUTES.values()):
            return f"[{kind}|attr=0x{self.attribute:016x}]"
        shown = (f"{name if self.attribute & bit else '':>{len(name)}}" for name, bit in ATTRIBUTES.items())
        return f"[{kind}|{'|'.join(shown)}]"


def efi_init(k: Kernel) -> None:
    """Take memory from the firmware's map when a UEFI stub has told of one.

    Raises InputError for a tree that tells of a map which nobody gave.
    Source: drivers/firmware/efi/efi-init.c efi_init()
    Differs: ESRT and MOK tables, and a frame buffer of the firmware, are not modelled: a warning says where there are.
        A log without the lines of the processor's state is taken for that of a firmware which left the MMU on.
    """
    data = efi_get_fdt_params(k)
    if data is None:
        return
    firmware = k.machine.firmware
    if firmware is None:
        raise InputError(f"{data.place}: a tree that a UEFI stub has edited: memory is what the firmware's map says, "
                         "which is not in the tree; expected --efi-memmap with the log of a boot with efi=debug")
    if k.options.get("early_ioremap_debug"):
        step(k, "warning: early_ioremap_debug: the kernel warns of each mapping of UEFI's tables; those lines are "
             "missing", level=KERN_WARNING)
    descriptors = efi_memory_map(k, data)
    uefi_init(k, firmware)
    efi_set_secure_boot(k, data.secure_boot)
    reserve_regions(k, descriptors)
    base = data.phys_map & -PAGE_SIZE
    end = page_align(data.phys_map + data.size)
    memblock_reserve(k.mm.memblock, base, end - base, "efi_init", Purpose("machine", "UEFI's memory map", ROOT))
    _tell_state(k, firmware)


def _tell_state(k: Kernel, firmware: Firmware) -> None:
    # the processor as the stub found it, which is told where the MMU was off
    words = {line.partition(":")[0].strip(): int(line.rpartition(":")[2], 16) for line in firmware.state}
    mended = ""
    if not words.get("SCTLR at EFI stub entry", 1) & 1:
        mended = "EFI stub was entered with MMU and Dcache disabled"
    elif not words.get("SCTLR after ExitBootServices()", 1) & 1:
        mended = "ExitBootServices() returned with MMU and Dcache disabled"
    if mended:
        printk(k, KERN_WARNING, "efi: [Firmware Bug]: {mended}, please fix your firmware!", mended=mended,
               func="efi_init")
    if mended or k.options.get("efi_debug"):
        for line in firmware.state:
            printk(k, KERN_INFO, "efi: {line}", line=line, func="efi_init")


def efi_memory_map(k: Kernel, data: MemoryMap) -> list[EfiMemoryDesc]:
    """The descriptors that lie in RAM at data.phys_map. Source: include/linux/efi.h for_each_efi_memory_desc().

    Raises KernelPanic where they cannot be mapped: early_memremap() takes 32 pages at most.
    """
    pages = (data.phys_map % PAGE_SIZE + data.size + PAGE_SIZE - 1) // PAGE_SIZE
    if not data.size or pages > _NR_FIX_BTMAPS:
        raise KernelPanic("Unable to map EFI memory map.", f"{data.place}: {data.size} bytes")
    if data.desc_version != 1:
        step(k, "warning: EFI_MEMORY_DESCRIPTOR version {version}, where the kernel warns", level=KERN_WARNING,
             version=data.desc_version)
    raw = k.machine.ram.read(data.phys_map, data.size)
    found = []
    for at in range(0, data.size - data.desc_size + 1, data.desc_size):
        kind, phys_addr, _, num_pages, attribute = DESCRIPTOR.unpack_from(raw, at)
        found.append(EfiMemoryDesc(kind, phys_addr, num_pages, attribute))
    return found


def uefi_init(k: Kernel, firmware: Firmware) -> None:
    """Tell of the firmware, and reserve those of its tables that the kernel keeps.

    Source: drivers/firmware/efi/efi-init.c uefi_init(), efi.c efi_config_parse_tables()
    """
    printk(k, KERN_INFO, "efi: {header}", header=firmware.header or "EFI v0.00 by unknown")
    shown = "".join(f"{name}={pa:#x} " for name, pa in firmware.tables)
    printk(k, KERN_INFO, "efi: {tables}", tables=shown)
    known = list(firmware.reserved)
    tables = dict(firmware.tables)
    if "MEMRESERVE" in tables and not any(pa == tables["MEMRESERVE"] for pa, _, _ in known):
        known.append((tables["MEMRESERVE"], _MEMRESERVE_BYTES, "efi_config_parse_tables"))
    if "MEMATTR" in tables and not any(func == "efi_memattr_init" for _, _, func in known):
        step(k, "warning: how long the table MEMATTR at {pa:#x} is, which the kernel reserves, stands in a log with "
             "memblock=debug alone: it is not reserved here", func="efi_memattr_init", level=KERN_WARNING,
             pa=tables["MEMATTR"])
    for name in ("ESRT", "MOKvar", "TPMEventLog", "TPMFinalLog"):
        if name in tables:
            step(k, "warning: the table {name} is not modelled: what the kernel reserves for it is missing", name=name,
                 func="efi_config_parse_tables", level=KERN_WARNING)
    for pa, size, func in known:
        memblock_reserve(k.mm.memblock, pa, size, func, Purpose("machine", "table of UEFI", ROOT))


def efi_set_secure_boot(k: Kernel, mode: int) -> None:
    """Say whether the firmware checks signatures.

    Differs: it is a patch of Debian's; a kernel without it says nothing.
    Source: drivers/firmware/efi/secureboot.c efi_set_secure_boot()
    """
    words = {2: "disabled", 3: "enabled"}
    if mode in words:
        printk(k, KERN_INFO, "secureboot: Secure boot {word}", word=words[mode])
    else:
        printk(k, KERN_WARNING, "secureboot: Secure boot could not be determined (mode {mode})", mode=mode)


def reserve_regions(k: Kernel, descriptors: list[EfiMemoryDesc]) -> None:
    """Forget the tree's memory, and enter what of the map is memory; what the kernel may not use is not mapped.

    Source: drivers/firmware/efi/efi-init.c reserve_regions()
    """
    mb, debug = k.mm.memblock, k.options.get("efi_debug")
    if debug:
        printk(k, KERN_INFO, "efi: Processing EFI memory map:")
    memblock_dump_all(mb)
    memblock_remove(mb, 0, PHYS_ADDR_MAX, "reserve_regions", Purpose("machine", "UEFI's memory map", ROOT))
    k.of.memory_nodes.clear()
    for md in descriptors:
        base, size = md.phys_addr, md.num_pages * PAGE_SIZE
        if debug:
            printk(k, KERN_INFO, "efi:   0x{base:012x}-0x{end:012x} {md}", base=base, end=base + size - 1, md=str(md))
        if not md.is_memory:
            continue
        early_init_dt_add_memory_arch(k, base, size, ROOT)
        if not md.is_usable_memory:
            memblock_mark_nomap(mb, base, size, Purpose("machine", f"UEFI's {_name(md)}", ROOT))
        if md.type == EFI_ACPI_RECLAIM_MEMORY:
            memblock_reserve(mb, base, size, "reserve_regions", Purpose("machine", "ACPI tables", ROOT))


def _name(md: EfiMemoryDesc) -> str:
    return MEMORY_TYPES[md.type] if md.type < len(MEMORY_TYPES) else f"type {md.type}"
