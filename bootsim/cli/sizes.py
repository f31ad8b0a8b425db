"""Sizes, addresses and files with an address, as options of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.values import file_at
from bootsim.sizes import address, number, size, size_at

if TYPE_CHECKING:
    from collections.abc import Callable

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.2


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
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None


SIZE = _Parsed("size", size)
SIZE_AT = _Parsed("size[@base]", size_at)
ADDRESS = _Parsed("address", address)
NUMBER = _Parsed("number", number)
FILE_AT = _Parsed("file[@address]", file_at)
