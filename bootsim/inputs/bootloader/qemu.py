"""QEMU 7.2's own loader (hw/arm/boot.c and hw/arm/vexpress.c) with a zImage.

It gives the tree room to grow, writes memory, command line, initrd and virtio nodes, and places things as in
bootsim.inputs.bootloader.none. Its machine follows from the tree: `vexpress-a9` for a CoreTile A9x4, `vexpress-a15` for
other Versatile Express boards, and for any other tree the part of the loader that all ARM machines share. The zImage
unpacks the kernel to the start of its 128 MiB of RAM plus TEXT_OFFSET, whichever loader it came from.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.escape import escaped
from bootsim.inputs.bootloader.handover import TOP, Handover, c_string, root_cells, to_cells
from bootsim.inputs.bootloader.placement import INITRD_OFFSET, board_of, no_memory, page_up
from bootsim.inputs.edits import add_node, delete_node, set_property
from bootsim.inputs.libfdt import EditError, serialise

if TYPE_CHECKING:
    from bootsim.inputs.bootloader.handover import Initrd, Request
    from bootsim.inputs.bootloader.placement import Board
    from bootsim.inputs.edits import Edit
    from bootsim.inputs.tree import Tree

_ZIMAGE_OFFSET = 0x10000
_ZRELADDR_MASK = 0xF8000000
_UIMAGE_MAGIC, _UIMAGE_BYTES, _UIMAGE_RAMDISK = b"\x27\x05\x19\x56", 64, 3
_VIRTIO_TRANSPORTS, _VIRTIO_BYTES, _VIRTIO_IRQ = 4, 0x200, 40


def load(request: Request) -> Handover:
    """Place things and edit the tree as load_device_tree() and arm_load_dtb() do.

    Differs: existing rng-seed properties keep their value, where QEMU fills in random bytes at every reset.
    """
    if request.ram is not None:
        raise InputError("--ram goes with --bootloader none: QEMU writes the RAM it has into the tree")
    if request.initrd is not None:
        request = request._replace(initrd=_unwrapped(request.initrd))
    tree, initrd = request.tree, request.initrd
    board = board_of(tree)
    base, mem_bytes = _ram(request, board)
    initrd_pa = page_up(base + min(mem_bytes // 2, INITRD_OFFSET))
    if initrd is not None and initrd.pa is not None:
        initrd_pa = initrd.pa
    dtb_pa = page_up(initrd_pa + (initrd.size if initrd else 0))
    if request.dtb_pa is not None:
        dtb_pa = request.dtb_pa
    kernel_pa = ((base + _ZIMAGE_OFFSET) & _ZRELADDR_MASK) + request.text_offset
    if request.load_pa is not None:
        kernel_pa = request.load_pa
    edits = _edits(request, board, (base, mem_bytes), initrd_pa)
    try:
        blob = serialise(tree, edits, (len(tree.blob) + 10000) * 2)
    except EditError as error:
        raise InputError(f"{tree.name}: QEMU could not edit this tree: {error}") from None
    banks, initrd_bytes = ((base, mem_bytes),), initrd.size if initrd else 0
    return Handover(blob, dtb_pa, kernel_pa, banks, initrd_pa if initrd else None, initrd_bytes, tuple(edits))


def _unwrapped(initrd: Initrd) -> Initrd:
    # QEMU drops the header of a whole ramdisk image that mkimage wrote, and loads anything else as it is
    with Path(initrd.path).open("rb") as file:
        header = file.read(_UIMAGE_BYTES)
    if len(header) < _UIMAGE_BYTES or header[:4] != _UIMAGE_MAGIC or header[30] != _UIMAGE_RAMDISK:
        return initrd
    size = int.from_bytes(header[12:16], "big")
    return initrd._replace(size=size) if 0 < size <= initrd.size - _UIMAGE_BYTES else initrd


def _ram(request: Request, board: Board | None) -> tuple[int, int]:
    # Where RAM starts and its size; without a wish, as much as the tree's memory nodes say.
    base = board.ram_pa if board is not None else 0
    mem_bytes = request.mem_bytes
    if board is None or mem_bytes is None:
        banks = request.tree.banks
        if not banks:
            raise no_memory(request.tree)
        base = base or banks[0][0]
        mem_bytes = mem_bytes or sum(size for start, size in banks if start >= base)
    if not mem_bytes:
        raise no_memory(request.tree)
    if board is not None and mem_bytes > board.max_ram_bytes:
        raise InputError(
            f"{mem_bytes >> 20} MiB of RAM, QEMU's {board.name} takes at most {board.max_ram_bytes >> 20} MiB"
        )
    return base, mem_bytes


def _edits(request: Request, board: Board | None, bank: tuple[int, int], initrd_pa: int) -> list[Edit]:
    tree, (acells, scells) = request.tree, root_cells(request.tree)
    base, mem_bytes = bank
    if scells < 2 and mem_bytes >= TOP:
        raise InputError(f"{tree.name}: #size-cells is {scells}, QEMU refuses such a tree with 4 GiB of RAM or more")
    edits = [delete_node(path) for path in _memory_paths(tree)]
    path = f"/memory@{base:x}"
    reg = to_cells(tree, (acells, base), (scells, mem_bytes))
    edits += [add_node(path), set_property(path, "device_type", b"memory\0"), set_property(path, "reg", reg)]
    chosen = tree.chosen or "/chosen"
    if tree.chosen is None:
        edits.append(add_node(chosen))
    if request.cmdline:
        edits.append(set_property(chosen, "bootargs", c_string(request.cmdline)))
    if request.initrd is not None:
        end = initrd_pa + request.initrd.size
        edits.append(set_property(chosen, "linux,initrd-start", to_cells(tree, (1, initrd_pa))))
        edits.append(set_property(chosen, "linux,initrd-end", to_cells(tree, (1, end))))
    if board is not None:
        edits += _virtio_edits(tree, board, acells, scells)
    return edits


def _memory_paths(tree: Tree) -> list[str]:
    # QEMU lists the paths first and looks each up when its turn comes: nodes below a removed one are not found.
    matches = [
        path for path, node in tree.walk() if node.name.partition("@")[0] == "memory" and path.startswith("/memory")
    ]
    for i, path in enumerate(matches):
        if any(path.startswith(f"{removed}/") for removed in matches[:i]):
            named = escaped(path)
            raise InputError(f"{tree.name}: QEMU refuses this tree: its lookup of {named} fails (FDT_ERR_NOTFOUND)")
    return matches


def _virtio_edits(tree: Tree, board: Board, acells: int, scells: int) -> list[Edit]:
    # vexpress_modify_dtb(): without an interrupt controller it knows, QEMU only warns
    phandle = _gic_phandle(tree)
    edits: list[Edit] = []
    for i in reversed(range(_VIRTIO_TRANSPORTS if phandle else 0)):
        address = board.virtio_pa + _VIRTIO_BYTES * i
        path = f"/virtio_mmio@{address:x}"
        edits += [
            add_node(path),
            set_property(path, "compatible", b"virtio,mmio\0"),
            set_property(path, "reg", to_cells(tree, (acells, address), (scells, _VIRTIO_BYTES))),
            set_property(path, "interrupt-parent", struct.pack(">I", phandle)),
            set_property(path, "interrupts", struct.pack(">3I", 0, _VIRTIO_IRQ + i, 1)),
            set_property(path, "dma-coherent", b""),
        ]
    return edits


def _gic_phandle(tree: Tree) -> int:
    for _, node in tree.walk():
        if "arm,cortex-a9-gic" in node.strings("compatible"):
            for name in ("phandle", "linux,phandle"):
                value = node.get(name)
                if value is not None and len(value) == 4:
                    return int.from_bytes(value, "big")
            return 0
    return 0
