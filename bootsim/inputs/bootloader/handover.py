"""What a loader is asked for, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.edits import Edit
    from bootsim.inputs.efimap import Firmware
    from bootsim.inputs.tree import Tree

TOP = 1 << 32


class Handover(NamedTuple):
    """The machine's RAM and what the loader left in it; addresses are physical.

    `blob` is the tree at `dtb_pa`, with the loader's `edits` in it. `kernel_pa` is the kernel's first instruction.
    `banks` are (base, bytes) of the RAM that is really there. `initrd_pa` is None and `initrd_bytes` 0 without an
    initrd. `told` is what the loader said, and what it did to the tree, line by line.
    `firmware` is UEFI's, where that booted the kernel. `left` is what else lies in RAM (address, bytes). `cpus` are the
    processors that run, where the loader's machine decides.
    """

    blob: bytes
    dtb_pa: int
    kernel_pa: int
    banks: tuple[tuple[int, int], ...]
    initrd_pa: int | None = None
    initrd_bytes: int = 0
    edits: tuple[Edit, ...] = ()
    told: tuple[str, ...] = ()
    firmware: Firmware | None = None
    left: tuple[tuple[int, bytes], ...] = ()
    cpus: int | None = None


class Initrd(NamedTuple):
    """An initial RAM disk: its file, its size in bytes, and the physical address the user wants, or None."""

    path: str
    size: int
    pa: int | None


class Request(NamedTuple):
    """What `load` was asked for, under the names that it has there; `qemu_machine` is MACHINE of "qemu:MACHINE"."""

    tree: Tree
    build: KernelBuild
    mem_bytes: int | None
    cmdline: str | None
    dtb_pa: int | None
    load_pa: int | None
    initrd: Initrd | None
    ram: tuple[int, int | None] | None
    uboot: tuple[str, ...] = ()
    atags: str | None = None
    firmware: Firmware | None = None
    smp: int | None = None
    qemu_machine: str | None = None

    @property
    def text_offset(self) -> int:
        """How far behind the start of RAM the kernel begins."""
        return self.build.symbols.text - self.build.config.PAGE_OFFSET

    @property
    def kernel_bytes(self) -> int:
        """The memory the kernel takes, .bss included."""
        return self.build.symbols.end - self.build.symbols.text


def root_cells(tree: Tree) -> tuple[int, int]:
    """#address-cells and #size-cells of the root. Raises InputError when a loader could not write with them."""
    return _root_cell(tree, "#address-cells"), _root_cell(tree, "#size-cells")


def _root_cell(tree: Tree, name: str) -> int:
    value = tree.root.get(name)
    if value is None or len(value) != 4 or not 1 <= int.from_bytes(value, "big") <= 2:
        found = "missing" if value is None else f"<{value.hex(' ', -4)}>"
        raise InputError(f"{tree.where('/', name)} /: {name} is {found}, a loader needs <1> or <2>")
    return int.from_bytes(value, "big")


def to_cells(tree: Tree, *values: tuple[int, int]) -> bytes:
    """(number of cells, value) pairs as big-endian cells. Raises InputError for a value that does not fit."""
    for count, value in values:
        if value >> (32 * count):
            raise InputError(f"{tree.name}: {value:#x} does not fit in this tree's {32 * count} bits")
    return b"".join(value.to_bytes(4 * count, "big") for count, value in values)


def c_string(text: str) -> bytes:
    """A text, as the user's terminal gave it, with a NUL behind it."""
    return text.encode(errors="surrogateescape") + b"\0"
