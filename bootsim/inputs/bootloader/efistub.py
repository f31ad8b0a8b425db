"""The kernel's own EFI stub (drivers/firmware/efi/libstub/fdt.c), started by UEFI firmware.

It copies the tree into 2 MiB of its own, forgets what the tree reserves, and writes where the firmware's tables and its
memory map are. Where things lie the firmware decided; the log that the map is from tells most of it.

    page of the map | tree, in 2 MiB
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import Handover, c_string
from bootsim.inputs.bootloader.placement import ram_base
from bootsim.inputs.edits import Edit, add_node, set_property
from bootsim.inputs.libfdt import Buffer, EditError
from bootsim.inputs.tree import cells, number
from bootsim.page import page_align

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.bootloader.handover import Request
    from bootsim.inputs.efimap import Firmware
    from bootsim.inputs.tree import Tree

_MAX_FDT_SIZE = 2 << 20
_TOLD = ("System Table", "MemMap Address")
_PREFIX = "linux,uefi-"


def load(request: Request) -> Handover:
    """Write the stub's properties, unless the tree has them: then it is the one that a kernel received.

    Raises InputError for what cannot be known, or cannot be.
    Differs: without --load-addr the kernel goes to the start of RAM, without --dtb-addr the tree behind the map's page.
    """
    tree, firmware = request.tree, request.firmware
    if firmware is None:
        raise InputError("no memory map of UEFI")
    if request.mem_bytes is not None:
        raise InputError(f"--mem: how much RAM there is says UEFI's memory map, {firmware.name}")
    banks = firmware.banks
    if request.ram is not None:
        banks = ((request.ram[1] if request.ram[1] is not None else banks[0][0], request.ram[0]),)
    received = tree.chosen is not None and tree.paths[tree.chosen].get(f"{_PREFIX}system-table") is not None
    edits: list[Edit] = []
    blob, parameters = tree.blob, firmware.parameters
    if received:
        parameters = parameters | _of_tree(tree)
        if request.cmdline is not None or request.initrd is not None:
            raise InputError(f"{tree.name}: a tree that a UEFI stub has edited, which has the command line and the "
                             "initrd already; expected neither --cmdline nor --initrd, or the tree before that")
    missing = next((name for name in _TOLD if name not in parameters), None)
    if missing is not None:
        raise InputError(f"{firmware.name}: no line {missing!r}, expected the log of a kernel with efi=debug")
    desc_size = parameters.get("MemMap Desc. Size", 48)
    content = firmware.descriptors(desc_size)
    if not received:
        try:
            buffer = Buffer(tree, _MAX_FDT_SIZE)
            for edit in _edits(request, firmware, len(content), desc_size):
                buffer.make(edit)
                edits.append(edit)
        except EditError as error:
            raise InputError(f"{tree.name}: the EFI stub could not edit this tree: {error}") from None
        blob = buffer.packed()
    map_pa = parameters["MemMap Address"]
    dtb_pa = request.dtb_pa if request.dtb_pa is not None else page_align(map_pa + len(content))
    kernel_pa = request.load_pa if request.load_pa is not None else ram_base(request, banks) + request.text_offset
    initrd_pa = request.initrd.pa if request.initrd else None
    initrd_bytes = request.initrd.size if request.initrd else 0
    return Handover(blob, dtb_pa, kernel_pa, banks, initrd_pa, initrd_bytes, tuple(edits),
                    tuple(f"EFI stub: {edit}" for edit in edits), firmware, ((map_pa, content),))


def _of_tree(tree: Tree) -> dict[str, int]:
    node = tree.paths[tree.chosen or "/chosen"]
    named = {"System Table": "system-table", "MemMap Address": "mmap-start", "MemMap Desc. Size": "mmap-desc-size"}
    return {name: number(cells(node.get(_PREFIX + prop) or b"")) for name, prop in named.items()
            if node.get(_PREFIX + prop) is not None}  # fmt: skip


def _edits(request: Request, firmware: Firmware, map_bytes: int, desc_size: int) -> Iterator[Edit]:
    # update_fdt(), update_fdt_memmap()
    tree, parameters, initrd = request.tree, firmware.parameters, request.initrd
    for entry in reversed(tree.reservations):
        yield Edit("unreserve", "/", reservation=entry)
    chosen = tree.chosen or "/chosen"
    if tree.chosen is None:
        yield add_node(chosen)
    if request.cmdline:
        yield set_property(chosen, "bootargs", c_string(request.cmdline))
    if initrd is not None:
        if initrd.pa is None:
            raise InputError("--initrd FILE: where UEFI put it is not known, expected FILE@ADDR")
        yield set_property(chosen, "linux,initrd-start", initrd.pa.to_bytes(8, "big"))
        yield set_property(chosen, "linux,initrd-end", (initrd.pa + initrd.size).to_bytes(8, "big"))
    for name, size, value in (
        ("system-table", 8, parameters["System Table"]),
        ("mmap-start", 8, parameters["MemMap Address"]),
        ("mmap-size", 4, map_bytes),
        ("mmap-desc-size", 4, desc_size),
        ("mmap-desc-ver", 4, parameters.get("MemMap Desc. Version", 1)),
        ("secure-boot", 4, parameters.get("Secure Boot Enabled", 2)),
    ):
        yield set_property(chosen, _PREFIX + name, value.to_bytes(size, "big"))
