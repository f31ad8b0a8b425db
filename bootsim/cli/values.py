"""What the words of a command line stand for: files with an address, and the inputs of a boot.

Nothing here needs click, which takes longer to load than a boot takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.sizes import address, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bootsim.linux import Kernel

INPUT_NAMES = (
    "config", "slab", "mem", "smp", "cmdline", "bootloader", "uboot", "atags", "efi_memmap", "dtb_addr", "load_addr",
    "ram", "cpu", "soc", "initrd", "include_dirs", "allow_outside",
)  # fmt: skip


class File(NamedTuple):
    """A file, and the physical address to place it at (None: where the bootloader likes)."""

    path: str
    address_pa: int | None


def file_at(text: str) -> File:
    """FILE or FILE@ADDR; a name may hold an @ of its own: only a number after the last one is an address."""
    path, at, tail = text.rpartition("@")
    try:
        parse_number(tail)
    except ValueError:
        return File(text, None)
    return File(path, address(tail)) if at else File(text, None)


def inputs_from(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that bootsim.prepare() takes beside the tree, out of a command's options."""
    initrd: File | None = options["initrd"]
    inputs = {name: options[name] for name in INPUT_NAMES}
    return {**inputs, "initrd": None if initrd is None else (initrd.path, initrd.address_pa)}


def prepare_from(
    tree: str, options: Mapping[str, Any], *, observer: Callable[[str, Kernel], None] | None = None
) -> Kernel:
    """Return a kernel at its first instruction, made from a command's options. Raises InputError."""
    import bootsim

    return bootsim.prepare(tree, observer=observer, **inputs_from(options))
