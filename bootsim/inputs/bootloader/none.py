"""No loader: the tree is handed over as it is, but for what the user asked (memory size, command line, initrd).

    RAM base                                                                            end of RAM
    |   32 KiB   | kernel image ... _end |      | initrd (from half of RAM, at most 128 MiB) | tree |
                 load address                                                        next page

A tree that a loader has already told of an initrd goes behind that initrd where the two would meet.

"RAM base" is where the bank starts that takes the kernel (`ram_base`); half of RAM means half of that bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.inputs.bootloader.handover import Handover, c_string, root_cells, to_cells
from bootsim.inputs.bootloader.placement import INITRD_OFFSET, beside, ram_base, real_banks, stated_base
from bootsim.inputs.edits import add_node, delete_node, set_property
from bootsim.inputs.libfdt import serialise
from bootsim.page import page_align

if TYPE_CHECKING:
    from bootsim.inputs.bootloader.handover import Request
from bootsim.inputs.edits import Edit


def load(request: Request) -> Handover:
    """Place things, and write what the user asked into the tree."""
    tree, initrd = request.tree, request.initrd
    edits: list[Edit] = []
    if request.mem_bytes is not None:
        edits += _memory_edits(request, stated_base(request))
    banks = real_banks(request)
    base = ram_base(request, banks)
    kernel_pa = request.load_pa if request.load_pa is not None else base + request.text_offset
    bank_bytes = next((size for start, size in banks if start == base), 0)
    after = max(page_align(base + min(bank_bytes // 2, INITRD_OFFSET)), page_align(kernel_pa + request.kernel_bytes))
    initrd_pa = None
    if initrd is not None:
        initrd_pa = initrd.pa
        if initrd_pa is None:
            initrd_pa, after = after, page_align(after + initrd.size)
    edits += _chosen_edits(request, initrd_pa)
    blob = serialise(tree, edits)
    told = tree.initrd if initrd is None else None
    dtb_pa = request.dtb_pa if request.dtb_pa is not None else beside(told, after, len(blob))
    return Handover(blob, dtb_pa, kernel_pa, banks, initrd_pa, initrd.size if initrd else 0, tuple(edits))


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
