"""What UEFI firmware left behind: its memory map and tables, read from the log of a kernel that booted with efi=debug.

    efi:   System Table         : 0x5fffe010
    efi:   MemMap Address       : 0x5c07d010
    efi: EFI v2.70 by EDK II
    efi: SMBIOS=0x5ffee000 MEMATTR=0x5eb84a90
    efi:   0x000040000000-0x000040202fff [Conventional|   |  |  |  |  |  |  |  |  |   |WB|  |  |  ]
    memblock_reserve: [0x5eb84a90-0x5eb84dff] efi_memattr_init+0x8c/0xb8        (with memblock=debug)

Addresses are physical. A dmesg's time stamps and any other lines may stand between.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.efitypes import ATTRIBUTES, CACHED, DESCRIPTOR, MEMORY_TYPES
from bootsim.page import PAGE_SIZE
from bootsim.reading import read_file

if TYPE_CHECKING:
    import os

_MMIO = MEMORY_TYPES.index("MMIO")
_REGION = re.compile(r"efi:\s+0x([0-9a-f]+)-0x([0-9a-f]+) \[([^|\]]*)\|([^\]]*)\]")
_ATTRIBUTE = re.compile(r"attr=0x[0-9a-f]{1,16}")
_PARAMETER = re.compile(r"efi:   (System Table|MemMap Address|MemMap Size|MemMap Desc\. Size|MemMap Desc\. Version|"
                        r"Secure Boot Enabled)\s*: 0x([0-9a-f]+)")  # fmt: skip
_BITS = {"System Table": 64, "MemMap Address": 64}
_HEADER = re.compile(r"efi: (EFI v\d+\.\d+ by .*)")
_TABLE = re.compile(r"([A-Z][A-Za-z0-9 .]*)=0x([0-9a-f]+)")
_RESERVED = re.compile(r"memblock_reserve: \[0x([0-9a-f]+)-0x([0-9a-f]+)\] (efi_memattr_init|efi_config_parse_tables)")
_STATE = re.compile(r"efi: ((?:CPSR|SCTLR) (?:at EFI stub entry|after ExitBootServices\(\))\s*: 0x[0-9a-f]+)")


class Region(NamedTuple):
    """An entry of the map: its EFI_MEMORY_TYPE, where it starts (pa), its pages of 4 KiB, its EFI_MEMORY_* bits."""

    type: int
    base: int
    pages: int
    attribute: int


class Firmware(NamedTuple):
    """What the log tells. `parameters` are the numbers of the first lines, by their names there.

    `tables` are the configuration tables (name, pa) in the log's order, `reserved` (pa, bytes, function) what the
    kernel reserved of them, `state` the lines about the processor at the stub's entry.
    """

    name: str
    parameters: dict[str, int]
    header: str
    tables: tuple[tuple[str, int], ...]
    regions: tuple[Region, ...]
    reserved: tuple[tuple[int, int, str], ...]
    state: tuple[str, ...]

    @property
    def banks(self) -> tuple[tuple[int, int], ...]:
        """What of the map is memory, (base, bytes), adjoining regions as one."""
        banks: list[tuple[int, int]] = []
        for region in sorted(self.regions, key=lambda region: region.base):
            if region.attribute & CACHED and region.type != _MMIO:
                base, size = region.base, region.pages * PAGE_SIZE
                if banks and sum(banks[-1]) == base:
                    base, size = banks[-1][0], banks.pop()[1] + size
                banks.append((base, size))
        return tuple(banks)

    def descriptors(self, desc_size: int) -> bytes:
        """The map as it lies in memory: efi_memory_desc_t, each in `desc_size` bytes."""
        return b"".join(
            DESCRIPTOR.pack(region.type, region.base, 0, region.pages, region.attribute).ljust(desc_size, b"\0")
            for region in self.regions
        )


def load_firmware(path: str | os.PathLike[str]) -> Firmware:
    """Read a log. Raises InputError when it cannot be read or tells no memory map."""
    try:
        text = read_file(path, "the log of a kernel with efi=debug").decode(errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot read the log: {error.strerror}") from None
    parameters = {name: _parameter(str(path), name, int(value, 16)) for name, value in _PARAMETER.findall(text)}
    regions = tuple(_region(str(path), *found) for found in _REGION.findall(text))
    if not regions:
        raise InputError(f"{path}: no line of UEFI's memory map, expected the log of a kernel with efi=debug "
                         "(efi:   0x...-0x... [Conventional|...])")  # fmt: skip
    header = _HEADER.search(text)
    tables: tuple[tuple[str, int], ...] = ()
    if header is not None:
        line = text[header.end() :].lstrip("\r\n").partition("\n")[0]
        tables = tuple((name, int(pa, 16)) for name, pa in _TABLE.findall(line.partition("efi: ")[2]))
    kept = [(int(low, 16), int(high, 16) + 1, func) for low, high, func in _RESERVED.findall(text)]
    reserved = tuple((start, end - start, func) for start, end, func in kept)
    words = header.group(1).strip() if header is not None else ""
    return Firmware(str(path), parameters, words, tables, regions, reserved, tuple(_STATE.findall(text)))


def _parameter(path: str, name: str, value: int) -> int:
    least, most = (DESCRIPTOR.size, PAGE_SIZE) if name == "MemMap Desc. Size" else (0, (1 << _BITS.get(name, 32)) - 1)
    if not least <= value <= most:
        raise InputError(f"{path}: {name} is {value:#x}, expected {least:#x} to {most:#x}")
    return value


def _region(path: str, low: str, high: str, kind: str, columns: str) -> Region:
    base, size = int(low, 16), int(high, 16) + 1 - int(low, 16)
    name = kind.strip()
    if name in MEMORY_TYPES:
        number = MEMORY_TYPES.index(name)
    elif name.startswith("type=") and name[5:].isdecimal() and int(name[5:]) < 1 << 32:
        number = int(name[5:])
    else:
        raise InputError(f"{path}: [0x{low}-0x{high}] is of type {name!r}, expected one of {', '.join(MEMORY_TYPES)}")
    words = columns.replace("|", " ").split()
    if len(words) == 1 and _ATTRIBUTE.fullmatch(words[0]):
        attribute = int(words[0].removeprefix("attr="), 16)
    else:
        unknown = [word for word in words if word not in ATTRIBUTES]
        if unknown:
            raise InputError(f"{path}: [0x{low}-0x{high}] has the attribute {unknown[0]!r}, expected "
                             f"{', '.join(ATTRIBUTES)}")  # fmt: skip
        attribute = sum(ATTRIBUTES[word] for word in set(words))
    if size <= 0 or base % PAGE_SIZE or size % PAGE_SIZE or base + size > 1 << 64:
        raise InputError(f"{path}: [0x{low}-0x{high}] is no range of whole pages below 2**64")
    return Region(number, base, size // PAGE_SIZE, attribute)
