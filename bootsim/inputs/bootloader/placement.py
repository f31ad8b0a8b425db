"""Where things lie in RAM: where RAM begins, for a board and for the kernel, and whether what was placed fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import TOP
from bootsim.page import page_align

if TYPE_CHECKING:
    from bootsim.inputs.bootloader.handover import Handover, Request
    from bootsim.inputs.tree import Tree

INITRD_OFFSET = 128 << 20  # where both loaders put the initrd, if RAM is twice as large
PHYS_OFFSET_ALIGN = 16 << 20  # what the kernel needs to patch itself for where it runs


def beside(taken: tuple[int, int] | None, pa: int, size: int) -> int:
    """`pa`, or the first page behind what is `taken`, [start, end), where `size` bytes at `pa` would lie on it."""
    if taken is None or pa + size <= taken[0] or taken[1] <= pa:
        return pa
    return page_align(taken[1])


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


def real_banks(request: Request) -> tuple[tuple[int, int], ...]:
    """The banks of RAM, (base pa, bytes), that are really there: of --ram, of --mem, or of the tree.

    Raises InputError where there are none.
    """
    tree, banks = request.tree, request.tree.banks
    if request.mem_bytes is not None:
        banks = ((stated_base(request), request.mem_bytes),)
    if request.ram is not None:
        return ((_real_base(request, banks), request.ram[0]),)
    if request.mem_bytes is None and tree.memory and not banks and request.load_pa is None:
        raise _empty(request)
    return banks


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
    stated += _boards_base(request.tree)
    placed = [pa for pa in (request.dtb_pa, request.initrd.pa if request.initrd else None) if pa is not None]
    fitting = [start for start in stated if all(start <= pa < start + size for pa in placed)]
    if not stated:
        raise InputError(f"{request.tree.name}: nothing says where RAM starts, expected --ram SIZE@BASE")
    return (fitting or stated)[0]


def _boards_base(tree: Tree) -> list[int]:
    # where QEMU's machine for the tree has its RAM; few boots ask, so few read the machines
    from bootsim.inputs.bootloader.qemuboards import board_of

    board = board_of(tree)
    return [] if board is None else [board.ram_pa]


def stated_base(request: Request) -> int:
    """Where the first bank starts; when no bank says, where the kernel or the board lets RAM start."""
    if request.tree.banks:
        return request.tree.banks[0][0]
    # where an empty one stands (address 0 is what trees have that leave all to the
    # loader), below the kernel, or where the board has it.
    tree = request.tree
    stated = next((memory.base_pa for memory in tree.memory if memory.base_pa), None)
    if stated is not None:
        return stated
    if request.load_pa is not None:
        return request.load_pa - request.text_offset
    for base in _boards_base(tree):
        return base
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
