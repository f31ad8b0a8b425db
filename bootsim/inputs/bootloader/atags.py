"""ATAGs of a loader that knows no device trees: what the decompressor makes of them in the tree appended to the zImage
(arch/arm/boot/compressed/atags_to_fdt.c).

    mem=512M@0x60000000,mem=256M@0x90000000,initrd=4M@0x68000000,serial=0x123,cmdline=console=ttyAMA0 quiet

The tags come in the order given; a command line takes the rest.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.bootloader.placement import beside
from bootsim.inputs.dtb import read_tree
from bootsim.inputs.edits import Edit, add_node, set_property
from bootsim.inputs.libfdt import Buffer, EditError
from bootsim.inputs.tree import cells
from bootsim.sizes import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.inputs.bootloader.handover import Handover, Request
    from bootsim.inputs.tree import Tree

_U32 = 0xFFFFFFFF
_NR_BANKS = 16
_COMMAND_LINE_SIZE = 1024
_EXPECTED = "expected mem=SIZE@BASE, initrd=SIZE@BASE, serial=NUMBER, cmdline=TEXT (the last), separated by commas"


class _Tag(NamedTuple):
    """One tag: the kernel's name of it without ATAG_, and its numbers or its text."""

    name: str
    numbers: tuple[int, ...] = ()
    text: str = ""


def with_atags(handover: Handover, request: Request) -> Handover:
    """The handover with the tags of `request.atags` folded into its tree.

    Raises InputError for words that are none, for a build whose decompressor ignores tags, and where libfdt refuses.
    Source: arch/arm/boot/compressed/atags_to_fdt.c atags_to_fdt()
    Differs: the tree lies where `handover` has it, not behind a zImage. Tags that the decompressor passes over cannot
    be given.
    """
    tags = _parse(request.atags or "")
    config = request.build.config
    if not config.ARM_ATAG_DTB_COMPAT:
        raise InputError(f"--atags: the build {request.build.name} has no CONFIG_ARM_ATAG_DTB_COMPAT: its decompressor "
                         "passes over ATAGs when a tree is appended")
    tree = read_tree(handover.blob, request.tree.name, request.tree.lines)
    room = min(max(len(tree.blob) * 3 // 2, 1 << 15), 1 << 20) & ~7
    edits: list[Edit] = []
    try:
        buffer = Buffer(tree, max(room, len(tree.blob)))
        for edit in _edits(tree, tags, extend=config.ARM_ATAG_DTB_COMPAT_CMDLINE_EXTEND):
            buffer.make(edit)
            edits.append(edit)
    except EditError as error:
        raise InputError(f"{tree.name}: the decompressor could not fold ATAGs into this tree: {error}") from None
    told = (*handover.told, *(f"atags_to_fdt: {edit}" for edit in edits))
    handover = handover._replace(blob=buffer.packed(), edits=(*handover.edits, *edits), told=told)
    initrd = next((tag.numbers for tag in reversed(tags) if tag.name == "INITRD2"), None)
    if initrd is None:
        return handover
    start, size = initrd
    dtb_pa = handover.dtb_pa
    if request.dtb_pa is None:
        dtb_pa = beside((start, start + size), dtb_pa, len(handover.blob))
    return handover._replace(initrd_pa=start, initrd_bytes=size, dtb_pa=dtb_pa)


def _parse(text: str) -> list[_Tag]:
    tags: list[_Tag] = []
    rest = text
    while rest:
        if rest.startswith("cmdline="):
            return [*tags, _Tag("CMDLINE", text=rest.removeprefix("cmdline="))]
        word, _, rest = rest.partition(",")
        name, _, value = word.partition("=")
        read = _READERS.get(name)
        if read is None:
            raise InputError(f"--atags {word}: no tag that the decompressor reads, {_EXPECTED}")
        try:
            tags.append(read(value))
        except ValueError:
            raise InputError(f"--atags {word}: {_EXPECTED}") from None
    if not tags:
        raise InputError(f"--atags: empty, {_EXPECTED}")
    return tags


def _span(name: str) -> Callable[[str], _Tag]:
    def read(value: str) -> _Tag:
        size, at, base = value.partition("@")
        numbers = (parse_number(base), parse_number(size))
        if not at or max(numbers) > _U32:
            raise ValueError(value)
        return _Tag(name, numbers)

    return read


def _serial(value: str) -> _Tag:
    number = parse_number(value)
    if number >> 64:
        raise ValueError(value)
    return _Tag("SERIAL", (number,))


_READERS = {"mem": _span("MEM"), "initrd": _span("INITRD2"), "serial": _serial}


def _edits(tree: Tree, tags: list[_Tag], *, extend: bool) -> Iterator[Edit]:
    added: set[str] = set()

    def setprop(path: str, prop: str, value: bytes) -> Iterator[Edit]:
        # setprop(): in the node that the path finds, or in a new one below the root
        found = tree.lookup(path) or path
        if found not in tree.paths and found not in added:
            added.add(found)
            yield add_node(found)
        yield set_property(found, prop, value)

    bootargs = b"" if tree.chosen is None else tree.paths[tree.chosen].get("bootargs") or b""
    banks: list[int] = []
    wide = _size_cells(tree) == 2
    for tag in tags:
        if tag.name == "CMDLINE":
            line = tag.text.encode(errors="surrogateescape")
            yield from setprop("/chosen", "bootargs", (_merged(bootargs, line) if extend else line) + b"\0")
        elif tag.name == "MEM" and tag.numbers[1] and len(banks) < 4 * _NR_BANKS:
            banks += tag.numbers
        elif tag.name == "INITRD2":
            start, size = tag.numbers
            yield from setprop("/chosen", "linux,initrd-start", start.to_bytes(4, "big"))
            yield from setprop("/chosen", "linux,initrd-end", (start + size & _U32).to_bytes(4, "big"))
        elif tag.name == "SERIAL":
            yield set_property("/", "serial-number", f"{tag.numbers[0]:016X}".encode() + b"\0")
    if banks:
        packed = struct.pack(f">{len(banks)}{'Q' if wide else 'I'}", *banks)
        yield from setprop("/memory", "reg", packed[: 4 * len(banks) * _size_cells(tree)])


def _size_cells(tree: Tree) -> int:
    value = tree.root.get("#size-cells")
    return cells(value)[0] if value is not None and len(value) >= 4 else 1


def _merged(bootargs: bytes, line: bytes) -> bytes:
    # merge_fdt_bootargs(): what does not fit is left out, each as a whole
    merged = bootargs[:-1] if 0 < len(bootargs) < _COMMAND_LINE_SIZE else b""
    return merged + b" " + line if len(merged) + len(line) + 2 < _COMMAND_LINE_SIZE else merged
