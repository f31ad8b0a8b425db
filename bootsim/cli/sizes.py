"""Sizes, addresses and files with an address, as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bootsim.sizes import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.2

_TOP = 1 << 32


class File(NamedTuple):
    """A file, and the physical address to place it at (None: where the bootloader likes)."""

    path: str
    address_pa: int | None


def _size(text: str) -> int:
    value = _or_complain(text, "a size such as 512M, 1G or 0x20000000")
    if value < 1 << 20:
        hint = f"; did you mean {text}M?" if text.isdigit() and value else ""
        raise click.BadParameter(f"{text} is {value} bytes, expected at least 1M{hint}")
    return value


def _size_at(text: str) -> tuple[int, int | None]:
    size, at, base = text.partition("@")
    return _size(size), _address(base) if at else None


def _address(text: str) -> int:
    value = _or_complain(text, "a physical address such as 0x68000000")
    if value >= _TOP:
        raise click.BadParameter(f"{text} does not fit in 32 bits")
    return value


def _number(text: str) -> int:
    value = _or_complain(text, "a number such as 0x61930")
    if value >= _TOP:
        raise click.BadParameter(f"{text} does not fit in 32 bits")
    return value


def _or_complain(text: str, expected: str) -> int:
    try:
        return parse_number(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not {expected}") from None


def _file_at(text: str) -> File:
    # a name may hold an @ of its own: only a number after the last one is an address
    path, at, tail = text.rpartition("@")
    try:
        parse_number(tail)
    except ValueError:
        return File(text, None)
    return File(path, _address(tail)) if at else File(text, None)


class _Parsed(_ParamType):
    """An option whose text a function turns into a value."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text; a value that is parsed already passes."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except click.BadParameter as error:
            error.param, error.ctx = param, ctx
            raise


SIZE = _Parsed("size", _size)
SIZE_AT = _Parsed("size[@base]", _size_at)
ADDRESS = _Parsed("address", _address)
NUMBER = _Parsed("number", _number)
FILE_AT = _Parsed("file[@address]", _file_at)
