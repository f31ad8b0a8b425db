"""What the words of a command line stand for: sizes, addresses, files with an address, and the inputs of a boot.

Nothing here needs click, which takes longer to load than a boot takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.sizes import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bootsim.linux import Kernel

_TOP = 1 << 32

INPUT_NAMES = (
    "config", "mem", "smp", "cmdline", "bootloader", "dtb_addr", "load_addr", "ram", "cpu", "soc", "initrd",
    "include_dirs", "allow_outside",
)  # fmt: skip


class File(NamedTuple):
    """A file, and the physical address to place it at (None: where the bootloader likes)."""

    path: str
    address_pa: int | None


def size(text: str) -> int:
    """A size in bytes, of at least 1 MiB. Raises ValueError."""
    value = _number_or(text, "a size such as 512M, 1G or 0x20000000")
    if value < 1 << 20:
        hint = f"; did you mean {text}M?" if text.isdigit() and value else ""
        raise ValueError(f"{text} is {value} bytes, expected at least 1M{hint}")
    return value


def size_at(text: str) -> tuple[int, int | None]:
    """SIZE or SIZE@BASE. Raises ValueError."""
    amount, at, base = text.partition("@")
    return size(amount), address(base) if at else None


def address(text: str) -> int:
    """A physical address. Raises ValueError."""
    return _below_top(text, "a physical address such as 0x68000000")


def number(text: str) -> int:
    """A number of 32 bits. Raises ValueError."""
    return _below_top(text, "a number such as 0x61930")


def file_at(text: str) -> File:
    """FILE or FILE@ADDR; a name may hold an @ of its own: only a number after the last one is an address."""
    path, at, tail = text.rpartition("@")
    try:
        parse_number(tail)
    except ValueError:
        return File(text, None)
    return File(path, address(tail)) if at else File(text, None)


def _below_top(text: str, expected: str) -> int:
    value = _number_or(text, expected)
    if value >= _TOP:
        raise ValueError(f"{text} does not fit in 32 bits")
    return value


def _number_or(text: str, expected: str) -> int:
    try:
        return parse_number(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {expected}") from None


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
