"""Symbols of the kernel image by name and by address (kernel/kallsyms.c)."""

from __future__ import annotations

from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.inputs.build import Symbols


class SymbolLookupError(BootsimError, LookupError):
    """No symbol of that name, or none at or below that address."""


class Symbol(NamedTuple):
    """A symbol: its kernel name and virtual address."""

    name: str
    address: int

    def __repr__(self) -> str:
        return f"Symbol({self.name} at {self.address:#x})"


def lookup(symbols: Symbols, name_or_va: str | int) -> Symbol:
    """The symbol of a name, or the last one at or below a virtual address within the image.

    Raises SymbolLookupError.
    Source: kernel/kallsyms.c kallsyms_lookup_name(), kallsyms_lookup()
    Differs: knows the symbols that a build description holds, which are the borders of sections and tables.
    """
    known = [Symbol(Symbols.KERNEL_NAMES[attribute], value)
             for attribute, value in symbols.as_dict().items() if isinstance(value, int) and value]
    if isinstance(name_or_va, str):
        found = [symbol for symbol in known if symbol.name == name_or_va]
        if not found:
            raise SymbolLookupError(f"no symbol {name_or_va!r} in the build description; it has "
                                    f"{', '.join(symbol.name for symbol in known)}")
        return found[0]
    below = [symbol for symbol in known if symbol.address <= name_or_va < symbols.end]
    if not below:
        raise SymbolLookupError(f"{name_or_va:#x} is not in the kernel image")
    return max(below, key=lambda symbol: symbol.address)
