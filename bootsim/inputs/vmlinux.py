"""Reading a kernel image, vmlinux: symbols, struct sizes, strings and machine descriptors."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

_EM_ARM = 40
_ET_EXEC = 2
_ELFDATA2LSB = 1
_SHT_SYMTAB = 2
_SHT_NOBITS = 8
_SHF_ALLOC = 2
_STT_OBJECT, _STT_SECTION, _STT_FILE = 1, 3, 4
_SHN_UNDEF, _SHN_ABS = 0, 0xFFF1

# Where the compiler can be relied on to have described a struct: a function whose C file must have its definition. The
# files are searched in this order, each only while something is missing.
_DEFINING_FUNCTIONS = (
    "start_kernel",
    "setup_arch",
    "setup_per_cpu_areas",
    "pcpu_embed_first_chunk",
    "setup_log_buf",
    "of_alias_scan",
    "iotable_init",
    "memblock_add_range",
    "vfs_caches_init_early",
    "page_ext_init",
    "page_ext_init_flatmem",
    "__set_page_owner",
    "sparse_init",
    "free_area_init",
)


class Section(NamedTuple):
    """One section of the file; `address` is virtual, `offset` and `size` are of its bytes in the file."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


class Vmlinux:
    """An open vmlinux. Use as a context manager. Raises InputError for a file that is not a 32-bit ARM kernel."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        try:
            self._bytes = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            self._file.close()
            raise InputError(f"{path}: empty or not a regular file, expected a vmlinux (ELF)") from None
        try:
            self._check_header()
            self.sections = self._read_sections()
            self.symbols = self._read_symbols()
        except (struct.error, IndexError, ValueError):
            self.close()
            raise InputError(f"{path}: damaged ELF file: its tables point outside it") from None
        except InputError:
            self.close()
            raise

    def __enter__(self) -> Vmlinux:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._bytes.close()
        self._file.close()

    def _check_header(self) -> None:
        ident = self._bytes[:16]
        if ident[:4] != b"\x7fELF":
            raise InputError(f"{self.path}: not an ELF file: it starts with {ident[:4].hex(' ')}, expected 7f 45 4c 46")
        if ident[4] != 1:
            raise InputError(f"{self.path}: a 64-bit ELF file, expected a 32-bit ARM kernel (64-bit is not modelled)")
        if ident[5] != _ELFDATA2LSB:
            raise InputError(f"{self.path}: a big-endian ELF file, expected little-endian (big-endian is not modelled)")
        kind, machine = struct.unpack_from("<HH", self._bytes, 16)
        if machine != _EM_ARM:
            raise InputError(f"{self.path}: an ELF file for machine {machine}, expected {_EM_ARM} (ARM)")
        if kind != _ET_EXEC:
            raise InputError(f"{self.path}: an ELF file of type {kind}, expected {_ET_EXEC} (the linked vmlinux)")

    def _read_sections(self) -> list[Section]:
        (table,) = struct.unpack_from("<I", self._bytes, 32)
        entry_size, count, names_index = struct.unpack_from("<HHH", self._bytes, 46)
        raw = [struct.unpack_from("<10I", self._bytes, table + i * entry_size) for i in range(count)]
        if not raw:
            raise InputError(f"{self.path}: an ELF file without sections, expected a vmlinux")
        names_at = raw[names_index][4]
        return [
            Section(self._c_string(names_at + name).decode(), kind, flags, address, offset, size, link)
            for name, kind, flags, address, offset, size, link, _info, _align, _entsize in raw
        ]

    def _c_string(self, offset: int) -> bytes:
        end = self._bytes.find(b"\0", offset)
        if end < 0:
            raise IndexError(offset)
        return self._bytes[offset:end]

    def _read_symbols(self) -> dict[str, list[int]]:
        table = next((s for s in self.sections if s.kind == _SHT_SYMTAB), None)
        if table is None or not table.size:
            raise InputError(f"{self.path}: stripped: it has no symbol table; give the vmlinux of the build directory")
        names = self.sections[table.link]
        strings = self._bytes[names.offset : names.offset + names.size]
        symbols: dict[str, list[int]] = {}
        entries = self._bytes[table.offset : table.offset + table.size // 16 * 16]
        for name, value, _size, info, _other, index in struct.iter_unpack("<IIIBBH", entries):
            if name and index != _SHN_UNDEF and info & 15 not in (_STT_SECTION, _STT_FILE):
                text = strings[name : strings.index(b"\0", name)].decode("ascii", "replace")
                if text[0] != "$":  # the assembler's $a, $d, $t
                    symbols.setdefault(text, []).append(value)
        return symbols

    def objects(self, suffix: str) -> list[tuple[str, int, int]]:
        """Name, virtual address and size in bytes of every data object whose name ends in `suffix`."""
        table = next(s for s in self.sections if s.kind == _SHT_SYMTAB)
        names = self.sections[table.link].offset
        ending, found = suffix.encode(), []
        entries = self._bytes[table.offset : table.offset + table.size // 16 * 16]
        for name, value, size, info, _other, _index in struct.iter_unpack("<IIIBBH", entries):
            if info & 15 == _STT_OBJECT and size and (text := self._c_string(names + name)).endswith(ending):
                found.append((text.decode("ascii", "replace"), value, size))
        return found

    def read(self, va: int, size: int) -> bytes:
        """`size` bytes of the image at virtual address `va`. Raises InputError when the file has none there."""
        for section in self.sections:
            inside = section.address <= va and va + size <= section.address + section.size
            if section.flags & _SHF_ALLOC and section.kind != _SHT_NOBITS and inside:
                at = section.offset + va - section.address
                return self._bytes[at : at + size]
        raise InputError(f"{self.path}: no section holds the {size} bytes at {va:#x}")

    def read_string(self, va: int) -> str:
        """The C string at virtual address `va`."""
        for section in self.sections:
            if section.flags & _SHF_ALLOC and section.kind != _SHT_NOBITS and 0 <= va - section.address < section.size:
                return self._c_string(section.offset + va - section.address).decode("utf-8", "backslashreplace")
        raise InputError(f"{self.path}: no section holds the string at {va:#x}")

    def read_word(self, va: int) -> int:
        """The little-endian word at virtual address `va`."""
        return int.from_bytes(self.read(va, 4), "little")

    def has_dwarf(self) -> bool:
        """Whether the compiler's descriptions of types are there."""
        return any(section.name == ".debug_info" for section in self.sections)

    def struct_sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Find sizeof, in bytes, of each `struct NAME` (given without "struct ") that DWARF describes.

        Only the units of C files that must define one are read, found through .debug_aranges: a vmlinux describes
        each type a thousand times over.
        """
        from elftools.elf.elffile import ELFFile

        missing = set(names)
        sizes: dict[str, int] = {}
        self._file.seek(0)
        try:
            dwarf: Any = ELFFile(self._file).get_dwarf_info()
            for unit in self._defining_units(dwarf):
                for name, size in _struct_definitions(unit, missing):
                    sizes[name] = size
                    missing.discard(name)
                    if not missing:
                        return sizes
        except Exception as error:  # elftools fails on damaged data in any way there is
            raise InputError(f"{self.path}: damaged DWARF data: {type(error).__name__} {error}") from None
        return sizes

    def _defining_units(self, dwarf: Any) -> Iterator[Any]:
        aranges = dwarf.get_aranges()
        seen: set[int] = set()
        for function in _DEFINING_FUNCTIONS:
            address = self.symbols.get(function, [0])[0] & ~1  # bit 0 is set for Thumb code
            offset = aranges.cu_offset_at_addr(address) if aranges and address else None
            if offset is not None and offset not in seen:
                seen.add(offset)
                yield dwarf.get_CU_at(offset)


def _struct_definitions(unit: Any, wanted: set[str]) -> Iterator[tuple[str, int]]:
    # Types of C code are children of the unit itself; their own children are skipped.
    for die in unit.iter_DIE_children(unit.get_top_DIE()):
        if die.tag == "DW_TAG_structure_type" and "DW_AT_name" in die.attributes:
            size = die.attributes.get("DW_AT_byte_size")
            name = die.attributes["DW_AT_name"].value.decode()
            if size is not None and name in wanted:
                yield name, size.value
