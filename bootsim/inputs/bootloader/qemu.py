"""QEMU 7.2's own loader (hw/arm/boot.c, and what its machines add to it) with a zImage and a tree.

It gives the tree room to grow, writes memory, command line, initrd, PSCI and virtio nodes, and places things as in
bootsim.inputs.bootloader.none. Its machine follows from the tree, or is named (qemuboards.py); for a tree of a board
that QEMU has not, there is the part of the loader that all ARM machines share. The zImage unpacks the kernel to the
start of its 128 MiB of RAM plus TEXT_OFFSET, whichever loader it came from.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.escape import escaped
from bootsim.inputs.bootloader.handover import TOP, Handover, c_string, root_cells, to_cells
from bootsim.inputs.bootloader.placement import INITRD_OFFSET, no_memory
from bootsim.inputs.bootloader.qemuboards import Board, board_named, board_of
from bootsim.inputs.edits import add_node, delete_node, set_property
from bootsim.inputs.libfdt import EditError, serialise
from bootsim.page import page_align

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.bootloader.handover import Initrd, Request
    from bootsim.inputs.edits import Edit
    from bootsim.inputs.tree import Tree

_ZIMAGE_OFFSET = 0x10000
_ZRELADDR_MASK = 0xF8000000
_UIMAGE_MAGIC, _UIMAGE_BYTES, _UIMAGE_RAMDISK = b"\x27\x05\x19\x56", 64, 3
_VIRTIO_TRANSPORTS, _VIRTIO_BYTES, _VIRTIO_IRQ = 4, 0x200, 40
_PSCI_COMPATIBLE = b"arm,psci-1.0\0arm,psci-0.2\0arm,psci\0"
_PSCI_FUNCTIONS = (("cpu_suspend", 1), ("cpu_off", 2), ("cpu_on", 3), ("migrate", 5))  # of PSCI 0.2, behind 0x84000000
_BOOT_STUB = (0xE3A00000, 0xE59F1004, 0xE59F2004, 0xE59FF004)  # r0 = 0, r1 and r2 from behind it, and jump
_CALL_SETUP = (0xE28FE004, 0xE51FF004)  # before that, call what lies at the next word


def load(request: Request) -> Handover:
    """Place things and edit the tree as load_device_tree() and arm_load_dtb() do.

    Differs: existing rng-seed properties keep their value, where QEMU fills in random bytes at every reset. Of what
    QEMU writes below the kernel, only the stub that the first processor starts in is there.
    """
    if request.ram is not None:
        raise InputError("--ram goes with --bootloader none: QEMU writes the RAM it has into the tree")
    if request.initrd is not None:
        request = request._replace(initrd=_unwrapped(request.initrd))
    tree, initrd = request.tree, request.initrd
    board = board_named(request.qemu_machine) if request.qemu_machine is not None else board_of(tree)
    known = board or _unknown(request)
    cpus = _processors(request, known)
    mem_bytes = _ram_bytes(request, known)
    base, told_bytes = known.ram_pa, min(mem_bytes, known.told_max) - known.kept
    initrd_pa = page_align(base + min(told_bytes // 2, INITRD_OFFSET))
    if initrd is not None and initrd.pa is not None:
        initrd_pa = initrd.pa
    dtb_pa = page_align(initrd_pa + (initrd.size if initrd else 0))
    if request.dtb_pa is not None:
        dtb_pa = request.dtb_pa
    _check_room(known, base + told_bytes, initrd_pa + (initrd.size if initrd else 0), dtb_pa)
    kernel_pa = ((base + _ZIMAGE_OFFSET) & _ZRELADDR_MASK) + request.text_offset
    if request.load_pa is not None:
        kernel_pa = request.load_pa
    edits = _edits(request, known, (base, told_bytes), initrd_pa)
    try:
        blob = serialise(tree, edits, (len(tree.blob) + 10000) * 2)
    except EditError as error:
        raise InputError(f"{tree.name}: QEMU could not edit this tree: {error}") from None
    return Handover(blob, dtb_pa, kernel_pa, _banks(known, mem_bytes), initrd_pa if initrd else None,
                    initrd.size if initrd else 0, tuple(edits), tuple(_told(board, request, told_bytes, edits)),
                    left=((base, _boot_stub(known, dtb_pa)),), cpus=cpus)  # fmt: skip


def _unwrapped(initrd: Initrd) -> Initrd:
    # QEMU drops the header of a whole ramdisk image that mkimage wrote, and loads anything else as it is
    with Path(initrd.path).open("rb") as file:
        header = file.read(_UIMAGE_BYTES)
    if len(header) < _UIMAGE_BYTES or header[:4] != _UIMAGE_MAGIC or header[30] != _UIMAGE_RAMDISK:
        return initrd
    size = int.from_bytes(header[12:16], "big")
    return initrd._replace(size=size) if 0 < size <= initrd.size - _UIMAGE_BYTES else initrd


# ------------------------------------------------------------------ the machine


def _unknown(request: Request) -> Board:
    # what all machines share, with RAM where the tree has it
    banks = request.tree.banks
    if not banks:
        raise InputError(f"{request.tree.name}: no memory node with RAM below 4 GiB, and QEMU 7.2 has no machine for "
                         f"{_names(request.tree)} that is known here, which would say where RAM lies; expected a reg, "
                         "or --bootloader qemu:MACHINE")
    return Board("", (), banks[0][0], cpus=(1, 1, 32))


def _processors(request: Request, board: Board) -> int:
    default, least, most = board.cpus
    cpus = default if request.smp is None else request.smp
    if not least <= cpus <= most:
        expected = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(f"--smp {cpus}: QEMU's {board.name} has {expected} processor(s)")
    return cpus


def _ram_bytes(request: Request, board: Board) -> int:
    # Without a wish, as much as the tree's memory nodes say, where the machine takes that.
    wish = request.mem_bytes
    stated = sum(size for start, size in request.tree.banks if start >= board.ram_pa)
    if board.fixed:
        return board.ram_bytes
    if not (wish or stated) and not board.name:
        raise no_memory(request.tree)
    mem_bytes = wish or stated or board.ram_bytes
    if board.sizes and mem_bytes not in board.sizes:
        if wish is None:
            return board.ram_bytes
        expected = " or ".join(f"{size >> 20}" for size in board.sizes)
        raise InputError(f"{mem_bytes >> 20} MiB of RAM, QEMU's {board.name} takes {expected} MiB")
    if mem_bytes > board.max_ram_bytes:
        most = board.max_ram_bytes >> 20
        raise InputError(f"{mem_bytes >> 20} MiB of RAM, QEMU's {board.name} takes at most {most} MiB")
    return mem_bytes


def _banks(board: Board, mem_bytes: int) -> tuple[tuple[int, int], ...]:
    # RAM that is really there; what the tree is told is another matter
    first = (board.ram_pa, min(mem_bytes, board.told_max, board.mapped_max))
    if board.rest_pa is None or mem_bytes <= board.told_max:
        return (first,)
    return first, (board.rest_pa, mem_bytes - board.told_max)


def _check_room(board: Board, ram_end: int, initrd_end: int, dtb_pa: int) -> None:
    if initrd_end > ram_end or dtb_pa >= ram_end:
        what = "the initrd" if initrd_end > ram_end else "the device tree blob"
        name = f"QEMU's {board.name}" if board.name else "QEMU"
        raise InputError(f"{what} is not all in RAM: {name} tells the kernel of RAM up to {ram_end:#x}, expected more "
                         "RAM or a smaller initrd")


def _boot_stub(board: Board, dtb_pa: int) -> bytes:
    # bootloader[] of hw/arm/boot.c; the zImage lies behind it
    setup = () if board.setup_pa is None else (*_CALL_SETUP, board.setup_pa)
    words = (*setup, *_BOOT_STUB, board.board_id, dtb_pa, board.ram_pa + _ZIMAGE_OFFSET)
    return struct.pack(f"<{len(words)}I", *words)


def _names(tree: Tree) -> str:
    return escaped(", ".join(tree.board)) or "a tree without compatible"


def _told(board: Board | None, request: Request, told_bytes: int, edits: list[Edit]) -> Iterator[str]:
    if board is None:
        yield (f"QEMU 7.2 has no machine for {_names(request.tree)} that is known here: RAM lies where the tree says, "
               "and the tree is edited as for every machine; --bootloader qemu:MACHINE names one")
    else:
        yield f"QEMU: machine {board.name}, {told_bytes >> 20} MiB of RAM told to the kernel"
        if board.fixed and request.mem_bytes not in (None, board.ram_bytes):
            yield f"QEMU: {board.name} has {board.ram_bytes >> 20} MiB, whatever -m says"
        if min(told_bytes, board.told_max) > board.mapped_max:
            yield f"QEMU: {board.name} has {board.mapped_max >> 20} MiB there, less than it tells the kernel"
    added = ""
    for edit in edits:
        if edit.prop is None or edit.path != added:
            yield f"QEMU: {edit}"
        added = edit.path if edit.action == "add" else added


# -------------------------------------------------------------------- the tree


def _edits(request: Request, board: Board, bank: tuple[int, int], initrd_pa: int) -> list[Edit]:
    tree, (acells, scells) = request.tree, root_cells(request.tree)
    base, told_bytes = bank
    if scells < 2 and told_bytes >= TOP:
        raise InputError(f"{tree.name}: #size-cells is {scells}, QEMU refuses such a tree with 4 GiB of RAM or more")
    edits = [delete_node(path) for path in _memory_paths(tree)]
    path = f"/memory@{base:x}"
    reg = to_cells(tree, (acells, base), (scells, told_bytes))
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
    if board.conduit:
        edits += _psci_edits(tree, board.conduit)
    if board.virtio_pa:
        edits += _virtio_edits(tree, board, acells, scells)
    return edits


def _psci_edits(tree: Tree, conduit: str) -> list[Edit]:
    # fdt_add_psci_node(): QEMU's own firmware answers, whatever the tree had
    there = tree.lookup("/psci")
    edits = [] if there is None else [delete_node(there)]
    edits += [add_node("/psci"), set_property("/psci", "compatible", _PSCI_COMPATIBLE),
              set_property("/psci", "method", c_string(conduit))]  # fmt: skip
    return edits + [set_property("/psci", name, struct.pack(">I", 0x84000000 | number))
                    for name, number in _PSCI_FUNCTIONS]  # fmt: skip


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
