"""Where things lie in RAM: where RAM begins, for a board and for the kernel, and whether what was placed fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import TOP
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.inputs.bootloader.handover import Handover, Request
    from bootsim.inputs.tree import Tree

INITRD_OFFSET = 128 << 20  # where both loaders put the initrd, if RAM is twice as large
PHYS_OFFSET_ALIGN = 16 << 20  # what the kernel needs to patch itself for where it runs


class Board(NamedTuple):
    """A machine QEMU has: its name, where its RAM starts, the most RAM it takes, and its virtio transports' address."""

    name: str
    ram_pa: int
    max_ram_bytes: int
    virtio_pa: int


VEXPRESS_A9 = Board("vexpress-a9", 0x60000000, 1 << 30, 0x10013000)
VEXPRESS_A15 = Board("vexpress-a15", 0x80000000, 30 << 30, 0x1C130000)


def board_of(tree: Tree) -> Board | None:
    """The QEMU machine for a tree, None when it is not a Versatile Express."""
    if "arm,vexpress,v2p-ca9" in tree.board:
        return VEXPRESS_A9
    if any(name.startswith("arm,vexpress,v2p-") for name in tree.board):
        return VEXPRESS_A15
    if "arm,vexpress" not in tree.board:
        return None
    return VEXPRESS_A15 if tree.banks and tree.banks[0][0] >= VEXPRESS_A15.ram_pa else VEXPRESS_A9


def page_up(pa: int) -> int:
    """The next start of a page."""
    return (pa + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)


def no_memory(tree: Tree) -> InputError:
    """The complaint about a tree that tells of no RAM."""
    return InputError(
        f'{tree.name}: no memory node with RAM below 4 GiB, expected device_type = "memory" with a reg; '
        "or say what is really there (--ram SIZE@BASE), or what to write into the tree (--mem)"
    )


def ram_base(request: Request, banks: tuple[tuple[int, int], ...]) -> int:
    """Where the bank starts that takes the kernel.

    It is the lowest that holds the kernel and starts at a multiple of 16 MiB, or else the lowest that holds it.
    """
    if request.load_pa is not None:
        holding = (base for base, size in banks if base <= request.load_pa < base + size)
        return next(holding, request.load_pa - request.text_offset)
    low = [base for base, _ in banks if base < TOP]
    if not low:
        raise _out_of_reach(request.tree) if banks else no_memory(request.tree)
    able = [base for base, size in banks if base in low and size >= request.text_offset + request.kernel_bytes]
    aligned = [base for base in able if base % PHYS_OFFSET_ALIGN == 0]
    return min(aligned or able or low)


def _out_of_reach(tree: Tree) -> InputError:
    memory = next(memory for memory in tree.memory if memory.banks)
    base, size = memory.banks[0]
    return InputError(
        f"{tree.place(memory.path, memory.prop)}: all RAM is above 4 GiB "
        f"([{base:#x}, {base + size:#x})), where a kernel with 32-bit addresses cannot reach it"
    )


def check(handover: Handover, request: Request) -> None:
    """Raise InputError for what does not lie in RAM, or on something else."""
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
