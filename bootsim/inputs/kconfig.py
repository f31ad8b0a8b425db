"""A kernel's .config file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.reading import read_packed

if TYPE_CHECKING:
    from pathlib import Path

_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")
_VERSION = re.compile(r"# Linux/\w+ (\S+) Kernel Configuration")
_INTEGER = re.compile(r"-?[0-9]+|0[xX][0-9a-fA-F]+")


class Kconfig:
    """The values of a .config as written there: y, m, 0xC0000000, "text". `version` is that of its first lines."""

    def __init__(self, path: str, values: dict[str, str], lines: dict[str, int], version: str | None = None) -> None:
        self.path = path
        self.version = version
        self.values = values
        self._lines = lines

    def where(self, symbol: str) -> str:
        """`file:line` of a symbol; the file alone when it is not set there."""
        line = self._lines.get(symbol)
        return self.path if line is None else f"{self.path}:{line}"

    def get(self, symbol: str) -> str | None:
        """What follows `CONFIG_symbol=`, or None."""
        return self.values.get(symbol)

    def is_on(self, symbol: str) -> bool:
        """Whether the symbol is built in. A module is not there yet when the kernel boots: m counts as n."""
        return self._word(symbol) == "y"

    def is_enabled(self, symbol: str) -> bool:
        """Whether the symbol is built in or a module: what the kernel's IS_ENABLED() asks."""
        return self._word(symbol) in ("y", "m")

    def number(self, symbol: str) -> int | None:
        """The number of an int or hex symbol, None when not set. Raises InputError for anything else."""
        value = self.values.get(symbol)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise InputError(f"{self.where(symbol)}: CONFIG_{symbol} is {value}, expected a number")
        return int(value, 0 if value[:2] in ("0x", "0X") else 10)

    def text(self, symbol: str) -> str | None:
        """The text of a string symbol, None when not set. Raises InputError for anything else."""
        value = self.values.get(symbol)
        if value is None:
            return None
        if len(value) < 2 or value[0] != '"' or value[-1] != '"':
            raise InputError(f"{self.where(symbol)}: CONFIG_{symbol} is {value}, expected text in double quotes")
        return re.sub(r"\\(.)", r"\1", value[1:-1])

    def _word(self, symbol: str) -> str | None:
        value = self.values.get(symbol)
        if value not in (None, "y", "m", "n"):
            raise InputError(f"{self.where(symbol)}: CONFIG_{symbol} is {value}, expected y, m or n")
        return value


def read_kconfig(path: Path) -> Kconfig:
    """Read a .config, plain or packed as /proc/config.gz is. Raises InputError when it is none."""
    try:
        text = read_packed(path, "a kernel's .config").decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: binary data, expected a kernel's .config") from None
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = _SET.fullmatch(line.rstrip())
        if found:
            values[found[1]] = found[2]
            lines[found[1]] = number
        elif _UNSET.fullmatch(line.rstrip()):
            values.pop(line.split()[1].removeprefix("CONFIG_"), None)
        elif line.strip() and not line.startswith("#"):
            raise InputError(f"{path}:{number}: {line.strip()[:60]!r}, expected CONFIG_NAME=value as in a .config")
    if not values:
        raise InputError(f"{path}: no CONFIG_ symbol is set there, expected a kernel's .config")
    version = _VERSION.search(text)
    return Kconfig(str(path), values, lines, version[1] if version else None)
