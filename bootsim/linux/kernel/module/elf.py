"""The file of a module, as the loader reads it (kernel/module.c setup_load_info())."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.linux import Kernel

SHF_ALLOC = 2
ET_REL, SHT_NOBITS, SHT_SYMTAB = 1, 8, 2
_LARGEST = 64 << 20


class Symbol(NamedTuple):
    """An entry of the symbol table: the offset of its name, the name, and the number of its section."""

    at: int
    name: str
    section: int


class Section:
    """A section header with what it holds; `offset` is where it goes in its part of the module, None: nowhere."""

    def __init__(self, name: str, kind: int, flags: int, size: int, align: int, info: int, data: bytes) -> None:
        self.name = name
        self.kind = kind
        self.flags = flags
        self.size = size
        self.align = align
        self.info = info
        self.data = data
        self.offset: int | None = None
        self.init = False
        self.addr = 0

    def relocations(self) -> list[tuple[int, int]]:
        """Each entry of a SHT_REL section: (r_offset, r_info)."""
        words = memoryview(self.data[:len(self.data) // 8 * 8]).cast("I")
        return [(words[i], words[i + 1]) for i in range(0, len(words), 2)]

    def __repr__(self) -> str:
        return f"Section({self.name}: {self.size:#x} bytes)"


class LoadInfo:
    """struct load_info: sections by number, symbols, and what the loader asks of them. Raises InputError.

    `place` is the file, for messages; `name` the module's.
    Source: kernel/module.c setup_load_info(), elf_header_check()
    """

    def __init__(self, k: Kernel, data: bytes, place: str) -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        self.place = place
        self.data = data
        self.config = k.build.config
        if len(data) > _LARGEST:
            raise InputError(f"{place}: {len(data)} bytes, more than any module")
        try:
            elf = ELFFile(io.BytesIO(data))
            head = elf.header
            if (elf.elfclass, elf.little_endian, head["e_type"], head["e_machine"]) != (32, True, "ET_REL", "EM_ARM"):
                raise InputError(f"{place}: no module of 32-bit ARM: expected a relocatable ELF file of that machine")
            self.sections = [_section(section) for section in elf.iter_sections()]
            table = next((s for s in elf.iter_sections() if s["sh_type"] == "SHT_SYMTAB"), None)
            self.sym = 0 if table is None else elf.get_section_index(table.name)
            self.str = 0 if table is None else int(table["sh_link"])
            self.symbols = [] if table is None else [_symbol(symbol) for symbol in table.iter_symbols()]
        except (ELFError, ValueError, KeyError, UnicodeDecodeError, IndexError, AttributeError, TypeError) as error:
            raise InputError(f"{place}: no module: {error or type(error).__name__}") from None
        if table is None:
            raise InputError(f"{place}: module has no symbols (stripped?)")
        if self.by_name(".gnu.linkonce.this_module") is None:
            raise InputError(f"{place}: no section .gnu.linkonce.this_module: not a kernel's module")
        self.name = self.modinfo("name") or place
        self.pcpu = self.by_name(".data..percpu") if self.config.SMP else None
        # tracked, not kept
        for name in ("__versions", ".modinfo"):
            found = self.by_name(name)
            if found is not None:
                found.flags &= ~SHF_ALLOC

    def by_name(self, name: str, *, allocated: bool = True) -> Section | None:
        """The section of a name, or None.

        Source: kernel/module.c find_sec()
        """
        return next((s for s in self.sections[1:] if s.name == name and (s.flags & SHF_ALLOC or not allocated)), None)

    def modinfo(self, tag: str) -> str | None:
        """The value of a tag of .modinfo.

        Source: kernel/module.c get_modinfo()
        """
        section = self.by_name(".modinfo", allocated=False)
        for word in (section.data if section is not None else b"").split(b"\0"):
            if word.startswith(tag.encode() + b"="):
                return word.split(b"=", 1)[1].decode("ascii", "replace")
        return None

    def is_init(self, name: str) -> bool:
        """Whether a section goes to the part that is freed after the module's init function.

        Source: kernel/module.c module_init_layout_section(), arch/arm/kernel/module.c module_init_section()
        """
        words = ["init"] if self.config.MODULE_UNLOAD else ["init", "exit"]
        return name.startswith(tuple(f"{start}.{word}" for word in words for start in ("", ".ARM.extab", ".ARM.exidx")))


def _section(section: object) -> Section:
    head = section.header  # type: ignore[attr-defined]
    kind = {"SHT_NOBITS": SHT_NOBITS, "SHT_SYMTAB": SHT_SYMTAB, "SHT_REL": 9, "SHT_STRTAB": 3}.get(head["sh_type"], 1)
    size = int(head["sh_size"])
    if size > _LARGEST:
        raise ValueError(f"section {section.name} of {size} bytes")  # type: ignore[attr-defined]
    data = b"" if kind == SHT_NOBITS else section.data()  # type: ignore[attr-defined]
    return Section(section.name, kind, int(head["sh_flags"]), size, int(head["sh_addralign"]),  # type: ignore[attr-defined]
                   int(head["sh_info"]), data)  # fmt: skip


def _symbol(symbol: object) -> Symbol:
    entry = symbol.entry  # type: ignore[attr-defined]
    index = entry["st_shndx"]
    number = {"SHN_UNDEF": 0, "SHN_ABS": 0xFFF1, "SHN_COMMON": 0xFFF2}.get(index, index)
    return Symbol(int(entry["st_name"]), symbol.name, number if isinstance(number, int) else 0xFFFF)  # type: ignore[attr-defined]
