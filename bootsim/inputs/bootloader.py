"""What stands in RAM and registers when the kernel's first instruction runs: who edited the tree, and where things lie.

Two loaders. `none` hands the tree over as it is, but for what the user asked (memory size, command line, initrd):

    RAM base                                                                            end of RAM
    |   32 KiB   | kernel image ... _end |      | initrd (from half of RAM, at most 128 MiB) | tree |
                 load address                                                        next page

"RAM base" is the lowest bank that holds the kernel and starts at a multiple of 16 MiB, or else the lowest that holds
it; half of RAM means half of that bank.

`qemu` is QEMU 7.2's own loader (hw/arm/boot.c and hw/arm/vexpress.c) with a zImage: it gives the tree room to grow,
writes memory, command line, initrd and virtio nodes, and places things as in the drawing. Its machine follows from
the tree: `vexpress-a9` for a CoreTile A9x4, `vexpress-a15` for other Versatile Express boards, and for any other tree
the part of the loader that all ARM machines share. The zImage unpacks the kernel to the start of its 128 MiB of RAM
plus TEXT_OFFSET, whichever loader it came from.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.dtb import BlobNode, iter_blob
from bootsim.inputs.dtbedit import BlobEditor, EditError, Node

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.devicetree import DeviceTree

PAGE_BYTES = 0x1000
TOP = 1 << 32
_INITRD_OFFSET = 128 << 20  # where both loaders put the initrd, if RAM is twice as large
_PHYS_OFFSET_ALIGN = 16 << 20  # what the kernel needs to patch itself for where it runs
_ZIMAGE_OFFSET = 0x10000
_ZRELADDR_MASK = 0xF8000000


@dataclass(frozen=True, slots=True)
class Handover:
    """The machine's RAM and what the loader left in it; addresses are physical.

    `blob` is the tree at `dtb_pa`. `kernel_pa` is the kernel's first instruction. `banks` are (base, bytes) of the RAM
    that is really there. `initrd_pa` is None and `initrd_bytes` 0 without an initrd.
    """

    blob: bytes
    dtb_pa: int
    kernel_pa: int
    banks: tuple[tuple[int, int], ...]
    initrd_pa: int | None = None
    initrd_bytes: int = 0


class Board(NamedTuple):
    """A machine QEMU has: its name, where its RAM starts, the most RAM it takes, and its virtio transports' address."""

    name: str
    ram_pa: int
    max_ram_bytes: int
    virtio_pa: int


VEXPRESS_A9 = Board("vexpress-a9", 0x60000000, 1 << 30, 0x10013000)
VEXPRESS_A15 = Board("vexpress-a15", 0x80000000, 30 << 30, 0x1C130000)
_UIMAGE_MAGIC, _UIMAGE_BYTES, _UIMAGE_RAMDISK = b"\x27\x05\x19\x56", 64, 3
_VIRTIO_TRANSPORTS, _VIRTIO_BYTES, _VIRTIO_IRQ = 4, 0x200, 40


def load(
    tree: DeviceTree,
    build: KernelBuild,
    *,
    bootloader: Literal["none", "qemu"] = "none",
    mem_bytes: int | None = None,
    cmdline: str | None = None,
    dtb_pa: int | None = None,
    load_pa: int | None = None,
    initrd: tuple[str | os.PathLike[str], int | None] | None = None,
    ram_bytes: int | None = None,
) -> Handover:
    """Edit the tree as `bootloader` does and decide where it, the kernel and the initrd lie.

    `mem_bytes` is the size of RAM (None: what the tree says), `cmdline` the command line (None: the tree's).
    `dtb_pa`, `load_pa` and the initrd's address override the loader's choice. `initrd` is (file, pa or None).
    `ram_bytes` is the RAM really there, from the tree's first bank on, where the tree does not tell the truth.
    Raises InputError when something does not fit.
    """
    request = _Request(tree, build, mem_bytes, cmdline, dtb_pa, load_pa, _read_initrd(initrd), ram_bytes)
    if bootloader == "qemu" and ram_bytes is not None:
        raise InputError("--ram goes with --bootloader none: QEMU writes the RAM it has into the tree")
    if bootloader not in ("none", "qemu"):
        raise InputError(f"bootloader {bootloader!r}, expected none or qemu")
    handover = _load_qemu(request) if bootloader == "qemu" else _load_none(request)
    _check(handover, request)
    return handover


class Initrd(NamedTuple):
    """An initial RAM disk: its file, its size in bytes, and the physical address the user wants, or None."""

    path: str
    size: int
    pa: int | None


class _Request(NamedTuple):
    tree: DeviceTree
    build: KernelBuild
    mem_bytes: int | None
    cmdline: str | None
    dtb_pa: int | None
    load_pa: int | None
    initrd: Initrd | None
    ram_bytes: int | None = None

    @property
    def text_offset(self) -> int:
        return self.build.symbols.text - self.build.config.PAGE_OFFSET

    @property
    def kernel_bytes(self) -> int:
        """The memory the kernel takes, .bss included."""
        return self.build.symbols.end - self.build.symbols.text


def _read_initrd(initrd: tuple[str | os.PathLike[str], int | None] | None) -> Initrd | None:
    if initrd is None:
        return None
    path = Path(initrd[0])
    try:
        if path.is_dir():
            raise InputError(f"{path}: a directory, expected an initrd file")
        with path.open("rb") as file:
            size = file.seek(0, 2)
    except OSError as error:
        raise InputError(f"{path}: cannot read the initrd: {error.strerror}") from None
    if not size:
        raise InputError(f"{path}: empty, expected an initrd")
    return Initrd(str(path), size, initrd[1])


# -------------------------------------------------------------------- no loader


def _load_none(request: _Request) -> Handover:
    tree, initrd = request.tree, request.initrd
    blob = tree.blob
    found = _memory(tree, blob)
    if request.mem_bytes is not None:
        stated = [base for memory in found for base, _ in memory.banks]
        blob = _edited(request, blob, base=stated[0] if stated else _fallback_base(request, found))
        found = _memory(tree, blob)
    banks = _banks(request, found)
    if request.ram_bytes is not None:
        banks = ((banks[0][0] // _PHYS_OFFSET_ALIGN * _PHYS_OFFSET_ALIGN, request.ram_bytes),)
    base = _ram_base(request, banks)
    kernel_pa = request.load_pa if request.load_pa is not None else base + request.text_offset
    ram_bytes = next((size for start, size in banks if start == base), 0)
    free_pa = max(_page_up(base + min(ram_bytes // 2, _INITRD_OFFSET)), _page_up(kernel_pa + request.kernel_bytes))
    initrd_pa = None
    if initrd is not None:
        initrd_pa = initrd.pa if initrd.pa is not None else free_pa
    if request.cmdline is not None or initrd is not None:
        blob = _edited(request, blob, initrd_pa=initrd_pa)
    after = free_pa
    if initrd is not None and initrd_pa is not None and initrd.pa is None:
        after = _page_up(initrd_pa + initrd.size)
    dtb_pa = request.dtb_pa if request.dtb_pa is not None else after
    return Handover(blob, dtb_pa, kernel_pa, banks, initrd_pa, initrd.size if initrd else 0)


def _fallback_base(request: _Request, found: list[_Memory]) -> int:
    # Where RAM starts when no bank says: where an empty one stands (address 0 is what trees have that leave all to the
    # loader), below the kernel, or where the board has it.
    stated = next((memory.base_pa for memory in found if memory.base_pa), None)
    if stated is not None:
        return stated
    if request.load_pa is not None:
        return request.load_pa - request.text_offset
    board = _board(request.tree)
    if board is not None:
        return board.ram_pa
    if not found:
        raise _no_memory(request.tree)
    path = found[0].path
    raise InputError(
        f"{request.tree.where(path, 'reg')} {path}: does not say where RAM starts, expected a reg with its address; "
        "or say where the kernel is loaded (--load-addr)"
    )


def _no_memory(tree: DeviceTree) -> InputError:
    return InputError(
        f'{tree.name}: no memory node with RAM below 4 GiB, expected device_type = "memory" with a reg; '
        "or say how much RAM there is (--mem), and where the kernel is loaded (--load-addr)"
    )


def _ram_base(request: _Request, banks: tuple[tuple[int, int], ...]) -> int:
    if request.load_pa is not None:
        holding = (base for base, size in banks if base <= request.load_pa < base + size)
        return next(holding, request.load_pa - request.text_offset)
    low = [base for base, _ in banks if base < TOP]
    if not low:
        if banks:
            path, (base, size) = next((m.path, m.banks[0]) for m in _memory(request.tree, request.tree.blob) if m.banks)
            raise InputError(
                f"{request.tree.where(path, 'reg')} {path}: all RAM is above 4 GiB "
                f"([{base:#x}, {base + size:#x})), where a kernel with 32-bit addresses cannot reach it"
            )
        raise _no_memory(request.tree)
    able = [base for base, size in banks if base in low and size >= request.text_offset + request.kernel_bytes]
    aligned = [base for base in able if base % _PHYS_OFFSET_ALIGN == 0]
    return min(aligned or able or low)


def _edited(request: _Request, blob: bytes, *, base: int | None = None, initrd_pa: int | None = None) -> bytes:
    """The blob with the user's wishes in it: the memory node at `base`, or command line and initrd."""
    editor = BlobEditor(blob, len(blob) + len(request.cmdline or "") + 1024)
    try:
        acells, scells = _root_cells(request.tree, editor)
        if base is not None and request.mem_bytes is not None:
            _resize_memory(request, editor, acells, scells, base)
        else:
            _set_chosen(request, editor, acells, initrd_pa)
    except EditError as error:  # pragma: no cover - the buffer above has room for all of it
        raise InputError(f"{request.tree.name}: cannot edit the tree: {error}") from None
    return editor.packed()


def _resize_memory(request: _Request, editor: BlobEditor, acells: int, scells: int, base: int) -> None:
    mem_bytes = request.mem_bytes or 0
    reg = _cells(request, (acells, base), (scells, mem_bytes))
    nodes = [node for node in editor.nodes() if editor.value(node, "device_type") == b"memory\0"]
    for extra in reversed(nodes[1:]):
        editor.nop(extra)
    if nodes:
        editor.set(nodes[0], "reg", reg)
    else:
        node = editor.add_node(editor.nodes()[0], f"memory@{base:x}")
        editor.set(node, "device_type", b"memory\0")
        editor.set(node, "reg", reg)


def _set_chosen(request: _Request, editor: BlobEditor, acells: int, initrd_pa: int | None) -> None:
    chosen = editor.find("/chosen") or editor.add_node(editor.nodes()[0], "chosen")
    if request.cmdline is not None:
        editor.set(chosen, "bootargs", _c_string(request.cmdline))
    if request.initrd is not None and initrd_pa is not None:
        end = initrd_pa + request.initrd.size
        editor.set(chosen, "linux,initrd-start", _cells(request, (acells, initrd_pa)))
        editor.set(chosen, "linux,initrd-end", _cells(request, (acells, end)))


# -------------------------------------------------------------------- QEMU 7.2


def _load_qemu(request: _Request) -> Handover:
    if request.initrd is not None:
        request = request._replace(initrd=_unwrapped(request.initrd))
    tree, initrd = request.tree, request.initrd
    board = _board(tree)
    base, mem_bytes = _qemu_ram(request, board)
    initrd_pa = base + min(mem_bytes // 2, _INITRD_OFFSET)
    initrd_pa = _page_up(initrd_pa)
    if initrd is not None and initrd.pa is not None:
        initrd_pa = initrd.pa
    dtb_pa = _page_up(initrd_pa + (initrd.size if initrd else 0))
    if request.dtb_pa is not None:
        dtb_pa = request.dtb_pa
    kernel_pa = ((base + _ZIMAGE_OFFSET) & _ZRELADDR_MASK) + request.text_offset
    if request.load_pa is not None:
        kernel_pa = request.load_pa
    blob = _qemu_blob(request, board, base, mem_bytes, initrd_pa)
    return Handover(
        blob, dtb_pa, kernel_pa, ((base, mem_bytes),), initrd_pa if initrd else None, initrd.size if initrd else 0
    )


def _unwrapped(initrd: Initrd) -> Initrd:
    # QEMU drops the header of a whole ramdisk image that mkimage wrote, and loads anything else as it is
    with Path(initrd.path).open("rb") as file:
        header = file.read(_UIMAGE_BYTES)
    if len(header) < _UIMAGE_BYTES or header[:4] != _UIMAGE_MAGIC or header[30] != _UIMAGE_RAMDISK:
        return initrd
    size = int.from_bytes(header[12:16], "big")
    return initrd._replace(size=size) if 0 < size <= initrd.size - _UIMAGE_BYTES else initrd


def _qemu_ram(request: _Request, board: Board | None) -> tuple[int, int]:
    # Where RAM starts and its size; without a wish, as much as the tree's memory nodes say.
    base = board.ram_pa if board is not None else 0
    mem_bytes = request.mem_bytes
    if board is None or mem_bytes is None:
        banks = [bank for memory in _memory(request.tree, request.tree.blob) for bank in memory.banks]
        if not banks:
            raise _no_memory(request.tree)
        base = base or banks[0][0]
        mem_bytes = mem_bytes or sum(size for start, size in banks if start >= base)
    if not mem_bytes:
        raise _no_memory(request.tree)
    if board is not None and mem_bytes > board.max_ram_bytes:
        raise InputError(
            f"{mem_bytes >> 20} MiB of RAM, QEMU's {board.name} takes at most {board.max_ram_bytes >> 20} MiB"
        )
    return base, mem_bytes


def _qemu_blob(request: _Request, board: Board | None, base: int, mem_bytes: int, initrd_pa: int) -> bytes:
    """The tree as load_device_tree() and arm_load_dtb() leave it.

    Differs: existing rng-seed properties keep their value, where QEMU fills in random bytes at every reset.
    """
    blob, name = request.tree.blob, request.tree.name
    try:
        editor = BlobEditor(blob, (len(blob) + 10000) * 2)
        acells, scells = _root_cells(request.tree, editor)
        if scells < 2 and mem_bytes >= TOP:
            raise InputError(f"{name}: #size-cells is {scells}, QEMU refuses such a tree with 4 GiB of RAM or more")
        _qemu_memory(request, editor, (acells, base), (scells, mem_bytes))
        if editor.find("/chosen") is None:
            editor.add_node(_root(editor), "chosen")
        chosen = _found(editor, "/chosen", name)
        if request.cmdline:
            editor.set(chosen, "bootargs", _c_string(request.cmdline))
        if request.initrd is not None:
            end = initrd_pa + request.initrd.size
            editor.set(chosen, "linux,initrd-start", _cells(request, (1, initrd_pa)))
            editor.set(chosen, "linux,initrd-end", _cells(request, (1, end)))
        if board is not None:
            _qemu_virtio(request, editor, board, acells, scells)
    except EditError as error:
        raise InputError(f"{name}: QEMU could not edit this tree: {error}") from None
    return editor.blob()


def _qemu_memory(request: _Request, editor: BlobEditor, base: tuple[int, int], size: tuple[int, int]) -> None:
    # QEMU lists the paths first and looks each up when its turn comes: nodes below a removed one are not found.
    matches = [
        path
        for path in editor.paths()
        if path.rpartition("/")[2].partition("@")[0] == "memory" and path.startswith("/memory")
    ]
    for path in matches:
        editor.nop(_found(editor, path, request.tree.name))
    node = editor.add_node(_root(editor), f"memory@{base[1]:x}")
    editor.set(node, "device_type", b"memory\0")
    editor.set(node, "reg", _cells(request, base, size))


def _qemu_virtio(request: _Request, editor: BlobEditor, board: Board, acells: int, scells: int) -> None:
    # vexpress_modify_dtb(): without an interrupt controller it knows, QEMU only warns
    phandle = _gic_phandle(editor)
    if not phandle:
        return
    for i in reversed(range(_VIRTIO_TRANSPORTS)):
        address = board.virtio_pa + _VIRTIO_BYTES * i
        node = editor.add_node(_root(editor), f"virtio_mmio@{address:x}")
        editor.set(node, "compatible", b"virtio,mmio\0")
        editor.set(node, "reg", _cells(request, (acells, address), (scells, _VIRTIO_BYTES)))
        editor.set(node, "interrupt-parent", struct.pack(">I", phandle))
        editor.set(node, "interrupts", struct.pack(">3I", 0, _VIRTIO_IRQ + i, 1))
        editor.set(node, "dma-coherent", b"")


def _gic_phandle(editor: BlobEditor) -> int:
    for node in editor.nodes():
        compatible = editor.value(node, "compatible")
        if compatible is not None and b"arm,cortex-a9-gic" in compatible.split(b"\0")[:-1]:
            for name in ("phandle", "linux,phandle"):
                value = editor.value(node, name)
                if value is not None and len(value) == 4:
                    return int.from_bytes(value, "big")
            return 0
    return 0


def _board(tree: DeviceTree) -> Board | None:
    """The QEMU machine for a tree, None when it is not a Versatile Express."""
    root = next(iter_blob(tree.blob, tree.name))
    compatible = next((value for name, value in root.props if name == "compatible"), b"").split(b"\0")
    if b"arm,vexpress,v2p-ca9" in compatible:
        return VEXPRESS_A9
    if any(name.startswith(b"arm,vexpress,v2p-") for name in compatible):
        return VEXPRESS_A15
    if b"arm,vexpress" not in compatible:
        return None
    banks = [bank for memory in _memory(tree, tree.blob) for bank in memory.banks]
    return VEXPRESS_A15 if banks and banks[0][0] >= VEXPRESS_A15.ram_pa else VEXPRESS_A9


def _root(editor: BlobEditor) -> Node:
    return editor.nodes()[0]


def _found(editor: BlobEditor, path: str, name: str) -> Node:
    node = editor.find(path)
    if node is None:
        raise InputError(f"{name}: QEMU refuses this tree: its lookup of {path} fails (FDT_ERR_NOTFOUND)")
    return node


# -------------------------------------------------------------------- memory nodes


class _Memory(NamedTuple):
    path: str
    banks: list[tuple[int, int]]
    base_pa: int | None


def _memory(tree: DeviceTree, blob: bytes) -> list[_Memory]:
    """The nodes the kernel takes for memory, with their (base, bytes) of nonzero size.

    Raises InputError when the kernel could not make whole banks of a reg.
    """
    nodes = iter(iter_blob(blob, tree.name))
    root = next(nodes)
    acells, scells = (_cell(root, "#address-cells"), _cell(root, "#size-cells"))
    memories = []
    for node in nodes:
        if _first(node, "device_type") == b"memory\0":
            entries = list(_node_banks(tree, node, acells, scells))
            banks = [(base, size) for base, size in entries if size]
            memories.append(_Memory(node.path, banks, entries[0][0] if entries else None))
    return memories


def _node_banks(tree: DeviceTree, node: BlobNode, acells: int, scells: int) -> Iterable[tuple[int, int]]:
    name = "linux,usable-memory" if _first(node, "linux,usable-memory") is not None else "reg"
    reg = _first(node, name)
    if reg is None:
        return
    where = f"{tree.where(node.path, name)} {node.path}: {name}"
    each = acells + scells
    if len(reg) % 4:
        raise InputError(f"{where} has {len(reg)} bytes, expected 32-bit cells")
    if not each or len(reg) // 4 % each:
        raise InputError(f"{where} has {len(reg) // 4} cells, expected a multiple of {each}")
    cells = struct.unpack(f">{len(reg) // 4}I", reg)
    for i in range(0, len(cells), each):
        yield _number(cells[i : i + acells]), _number(cells[i + acells : i + each])


def _banks(request: _Request, found: list[_Memory]) -> tuple[tuple[int, int], ...]:
    banks = tuple(bank for memory in found for bank in memory.banks)
    if found and not banks and request.load_pa is None:
        path = found[0].path
        raise InputError(
            f"{request.tree.where(path, 'reg')} {path}: every bank is empty, expected RAM; "
            "or say how much there is (--mem)"
        )
    return banks


def _first(node: BlobNode, name: str) -> bytes | None:
    return next((value for prop, value in node.props if prop == name), None)


def _cell(node: BlobNode, name: str) -> int:
    # As the kernel reads them; without them it assumes one cell
    value = _first(node, name)
    return 1 if value is None or len(value) < 4 else int.from_bytes(value[:4], "big")


def _number(cells: tuple[int, ...]) -> int:
    n = 0
    for cell in cells:
        n = (n << 32 | cell) & 0xFFFFFFFFFFFFFFFF
    return n


# -------------------------------------------------------------------- values


def _root_cells(tree: DeviceTree, editor: BlobEditor) -> tuple[int, int]:
    return _root_cell(tree, editor, "#address-cells"), _root_cell(tree, editor, "#size-cells")


def _root_cell(tree: DeviceTree, editor: BlobEditor, name: str) -> int:
    value = editor.value(_root(editor), name)
    if value is None or len(value) != 4 or not 1 <= int.from_bytes(value, "big") <= 2:
        found = "missing" if value is None else f"<{value.hex(' ', -4)}>"
        raise InputError(f"{tree.where('/', name)} /: {name} is {found}, a loader needs <1> or <2>")
    return int.from_bytes(value, "big")


def _cells(request: _Request, *values: tuple[int, int]) -> bytes:
    # (number of cells, value) pairs as big-endian cells
    for cells, value in values:
        if value >> (32 * cells):
            raise InputError(f"{request.tree.name}: {value:#x} does not fit in this tree's {32 * cells} bits")
    return b"".join(value.to_bytes(4 * cells, "big") for cells, value in values)


def _c_string(text: str) -> bytes:
    try:
        return text.encode() + b"\0"
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape") + b"\0"


def _page_up(pa: int) -> int:
    return (pa + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1)


# -------------------------------------------------------------------- does it fit


def _check(handover: Handover, request: _Request) -> None:
    kernel = (handover.kernel_pa, handover.kernel_pa + request.kernel_bytes)
    dtb = (handover.dtb_pa, handover.dtb_pa + len(handover.blob))
    _check_in_ram(handover, kernel, "the kernel image", "a smaller kernel, more RAM or another load address")
    _check_in_ram(handover, dtb, "the device tree blob", "another address for it")
    _check_apart(dtb, kernel, "the device tree blob", "the kernel image")
    if handover.initrd_pa is not None:
        initrd = (handover.initrd_pa, handover.initrd_pa + handover.initrd_bytes)
        _check_in_ram(handover, initrd, "the initrd", "another address for it, or more RAM")
        _check_apart(initrd, kernel, "the initrd", "the kernel image")
        _check_apart(dtb, initrd, "the device tree blob", "the initrd")


def _check_in_ram(handover: Handover, used: tuple[int, int], what: str, expected: str) -> None:
    # Adjoining banks are one piece of RAM.
    start, end = used
    pieces: list[list[int]] = []
    for base, size in sorted(handover.banks):
        if pieces and base <= pieces[-1][1]:
            pieces[-1][1] = max(pieces[-1][1], base + size)
        else:
            pieces.append([base, base + size])
    if end <= TOP and any(low <= start and end <= high for low, high in pieces):
        return
    ram = ", ".join(f"[{low:#x}, {high:#x})" for low, high in pieces) or "none"
    raise InputError(f"{what} at [{start:#x}, {end:#x}) is not all in RAM ({ram}), expected {expected}")


def _check_apart(one: tuple[int, int], other: tuple[int, int], what: str, on: str) -> None:
    if one[0] < other[1] and other[0] < one[1]:
        raise InputError(
            f"{what} at [{one[0]:#x}, {one[1]:#x}) lies on {on} at [{other[0]:#x}, {other[1]:#x}), "
            "expected another address for it"
        )
