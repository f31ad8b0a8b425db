"""No loader: the tree is handed over as it is, but for what the user asked (memory size, command line, initrd).

    RAM base                                                                            end of RAM
    |   32 KiB   | kernel image ... _end |      | initrd (from half of RAM, at most 128 MiB) | tree |
                 load address                                                        next page

A tree that a loader has already told of an initrd goes behind that initrd where the two would meet.

"RAM base" is where the bank starts that takes the kernel (`ram_base`); half of RAM means half of that bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import Handover, c_string, root_cells, to_cells
from bootsim.inputs.bootloader.placement import (
    INITRD_OFFSET,
    PHYS_OFFSET_ALIGN,
    board_of,
    no_memory,
    page_up,
    ram_base,
)
from bootsim.inputs.edits import add_node, delete_node, set_property
from bootsim.inputs.libfdt import serialise

if TYPE_CHECKING:
    from bootsim.inputs.bootloader.handover import Request
from bootsim.inputs.edits import Edit


def load(request: Request) -> Handover:
    """Place things, and write what the user asked into the tree."""
    tree, initrd = request.tree, request.initrd
    edits: list[Edit] = []
    banks = tree.banks
    if request.mem_bytes is not None:
        base_pa = banks[0][0] if banks else _fallback_base(request)
        edits += _memory_edits(request, base_pa)
        banks = ((base_pa, request.mem_bytes),)
    if request.ram is not None:
        banks = ((_real_base(request, banks), request.ram[0]),)
    elif tree.memory and not banks and request.load_pa is None:
        raise _empty(request)
    base = ram_base(request, banks)
    kernel_pa = request.load_pa if request.load_pa is not None else base + request.text_offset
    bank_bytes = next((size for start, size in banks if start == base), 0)
    after = max(page_up(base + min(bank_bytes // 2, INITRD_OFFSET)), page_up(kernel_pa + request.kernel_bytes))
    initrd_pa = None
    if initrd is not None:
        initrd_pa = initrd.pa
        if initrd_pa is None:
            initrd_pa, after = after, page_up(after + initrd.size)
    edits += _chosen_edits(request, initrd_pa)
    blob = serialise(tree, edits)
    told = tree.initrd if initrd is None else None
    dtb_pa = request.dtb_pa if request.dtb_pa is not None else _beside(told, after, len(blob))
    return Handover(blob, dtb_pa, kernel_pa, banks, initrd_pa, initrd.size if initrd else 0, tuple(edits))


def _beside(initrd: tuple[int, int] | None, pa: int, size: int) -> int:
    # Not on the initrd that a loader has already told the tree of: behind it, as loaders do.
    if initrd is None or pa + size <= initrd[0] or initrd[1] <= pa:
        return pa
    return page_up(initrd[1])


def _real_base(request: Request, banks: tuple[tuple[int, int], ...]) -> int:
    # Where the RAM that is really there starts: as the user says; from where the kernel is loaded; or, of what tree and
    # board say, the first that holds the tree and the initrd where the user has put them.
    size, base = request.ram or (0, None)
    if base is not None:
        return base
    stated = [start // PHYS_OFFSET_ALIGN * PHYS_OFFSET_ALIGN for start, _ in banks[:1]]
    if request.load_pa is not None:
        holding = [start for start in stated if start <= request.load_pa < start + size]
        return holding[0] if holding else request.load_pa - request.text_offset
    board = board_of(request.tree)
    stated += [] if board is None else [board.ram_pa]
    placed = [pa for pa in (request.dtb_pa, request.initrd.pa if request.initrd else None) if pa is not None]
    fitting = [start for start in stated if all(start <= pa < start + size for pa in placed)]
    if not stated:
        raise InputError(f"{request.tree.name}: nothing says where RAM starts, expected --ram SIZE@BASE")
    return (fitting or stated)[0]


def _fallback_base(request: Request) -> int:
    # Where RAM starts when no bank says: where an empty one stands (address 0 is what trees have that leave all to the
    # loader), below the kernel, or where the board has it.
    tree = request.tree
    stated = next((memory.base_pa for memory in tree.memory if memory.base_pa), None)
    if stated is not None:
        return stated
    if request.load_pa is not None:
        return request.load_pa - request.text_offset
    board = board_of(tree)
    if board is not None:
        return board.ram_pa
    if not tree.memory:
        raise no_memory(tree)
    path = tree.memory[0].path
    raise InputError(
        f"{tree.place(path, 'reg')}: does not say where RAM starts, expected a reg with its address; "
        "or say where the kernel is loaded (--load-addr)"
    )


def _empty(request: Request) -> InputError:
    path = request.tree.memory[0].path
    return InputError(
        f"{request.tree.place(path, 'reg')}: no whole bank that is not empty, expected RAM; "
        "or say what is really there (--ram SIZE@BASE), or what to write into the tree (--mem)"
    )


def _memory_edits(request: Request, base_pa: int) -> list[Edit]:
    # one memory node with one bank
    tree, (acells, scells) = request.tree, root_cells(request.tree)
    reg = to_cells(tree, (acells, base_pa), (scells, request.mem_bytes or 0))
    nodes = tree.memory
    edits = [delete_node(memory.path) for memory in reversed(nodes[1:])]
    if nodes:
        return [*edits, set_property(nodes[0].path, "reg", reg)]
    # a node that only its name makes memory becomes one, as U-Boot does it
    path = tree.lookup("/memory") or f"/memory@{base_pa:x}"
    edits += [] if path in tree.paths else [add_node(path)]
    return [*edits, set_property(path, "device_type", b"memory\0"), set_property(path, "reg", reg)]


def _chosen_edits(request: Request, initrd_pa: int | None) -> list[Edit]:
    if request.cmdline is None and request.initrd is None:
        return []
    tree, (acells, _) = request.tree, root_cells(request.tree)
    edits = [] if tree.chosen is not None else [add_node("/chosen")]
    chosen = tree.chosen or "/chosen"
    if request.cmdline is not None:
        edits.append(set_property(chosen, "bootargs", c_string(request.cmdline)))
    if request.initrd is not None and initrd_pa is not None:
        end = initrd_pa + request.initrd.size
        edits.append(set_property(chosen, "linux,initrd-start", to_cells(tree, (acells, initrd_pa))))
        edits.append(set_property(chosen, "linux,initrd-end", to_cells(tree, (acells, end))))
    return edits
