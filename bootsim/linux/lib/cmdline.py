"""Parsing of command-line words (lib/cmdline.c), and what an entry of the kernel's tables of options is.

An entry (include/linux/init.h, include/linux/moduleparam.h) stands beside its handler, in a tuple EARLY_PARAMS,
SETUP_PARAMS or CORE_PARAMS of the module that replays the C file; init/main/parameters.py collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import KernelPanic

if TYPE_CHECKING:
    from bootsim.inputs.build import Config
    from bootsim.linux import Kernel

_SUFFIX = {"e": 60, "p": 50, "t": 40, "g": 30, "m": 20, "k": 10}


def parse_integer(text: str, base: int = 0) -> tuple[int, int]:
    """Read an unsigned number of any size; base 0 goes by C's prefixes (0x, 0). Returns it and the characters it took.

    Source: lib/kstrtox.c _parse_integer(), _parse_integer_fixup_radix()
    """
    i, low = 0, text.lower()
    hexadecimal = low.startswith("0x") and low[2:3] != "" and low[2] in "0123456789abcdef"
    if base == 0:
        base = 16 if hexadecimal else 8 if low.startswith("0") else 10
    if base == 16 and low.startswith("0x"):
        i = 2
    start, value = i, 0
    while i < len(low) and (digit := "0123456789abcdef".find(low[i])) >= 0 and digit < base:
        value = value * base + digit
        i += 1
    return value, i if i > start else 0


def simple_strtoull(text: str) -> tuple[int, int]:
    """Read an unsigned number with C's prefixes (0x, 0); return it (64 bits) and how many characters it took.

    Source: lib/vsprintf.c simple_strtoull()
    """
    value, taken = parse_integer(text)
    return value & 0xFFFFFFFFFFFFFFFF, taken


def get_option(text: str | None, old: int = 0) -> tuple[int, int, str]:
    """Read a C int, with a comma behind it. Returns 0 (no number), 1, 2 (comma) or 3 (hyphen), the variable, the rest.

    The variable keeps its `old` value only when there is no text at all; text that is no number makes it 0.
    Source: lib/cmdline.c get_option()
    """
    if not text:
        return 0, old, ""
    negative = text.startswith("-")
    value, taken = simple_strtoull(text[negative:])
    value = (-value if negative else value) & 0xFFFFFFFF
    value -= value >> 31 << 32
    rest = text[taken + negative:]
    if not taken and not negative:
        return 0, value, rest
    if rest.startswith(","):
        return 2, value, rest[1:]
    return (3 if rest.startswith("-") else 1), value, rest


def memparse(text: str) -> tuple[int, str]:
    """Read a size with an optional suffix K, M, G, T, P or E; return it (64 bits) and the rest of the text.

    Source: lib/cmdline.c memparse()
    """
    value, n = simple_strtoull(text)
    shift = _SUFFIX.get(text[n:n + 1].lower(), 0)
    return (value << shift) & 0xFFFFFFFFFFFFFFFF, text[n + bool(shift):]


def next_arg(args: str) -> tuple[str, str | None, str]:
    """Split the first word off `args`; return parameter, value (None without "=") and the rest, unquoted.

    Source: lib/cmdline.c next_arg()
    """
    in_quote = quoted = args.startswith('"')
    if quoted:
        args = args[1:]
    equals = i = 0
    while i < len(args):
        c = args[i]
        if c in " \t\n\v\f\r\xa0" and not in_quote:
            break
        if not equals and c == "=":
            equals = i
        if c == '"':
            in_quote = not in_quote
        i += 1
    word, rest = args[:i], args[i + 1:]
    if not equals:
        param, val = word, None
        if quoted and param.endswith('"'):
            param = param[:-1]
    else:
        param, val = word[:equals], word[equals + 1:]
        if val.startswith('"'):
            val = val[1:]
            if val.endswith('"'):
                val = val[:-1]
        if quoted and val.endswith('"'):
            val = val[:-1]
    return param, val, rest.lstrip(" \t\n\v\f\r\xa0")


class EarlyParam(NamedTuple):
    """early_param(): `handler` gets the value, or None, and returns 0 or a negative errno.

    `needs` are the CONFIG_ symbols with which the kernel has it; one that starts with "!" must not be set.
    """

    name: str
    handler: Callable[[Kernel, str | None], int]
    needs: tuple[str, ...] = ()


class SetupParam(NamedTuple):
    """__setup(): `handler` gets what follows `name`, which mostly ends in "=", and returns whether it took the word."""

    name: str
    handler: Callable[[Kernel, str], bool]
    needs: tuple[str, ...] = ()


class CoreParam(NamedTuple):
    """core_param(), or module_param() of what is never a module: `kind` is the C type; `handler` gets the value."""

    name: str
    kind: str
    handler: Callable[[Kernel, Any], None] | None = None
    needs: tuple[str, ...] = ()


def lacks(entry: EarlyParam | SetupParam | CoreParam, config: Config) -> str | None:
    """Why a build has no such parameter ("CONFIG_CMA is not set"), or None.

    Source: none, for bootsim's own lines
    """
    for need in entry.needs:
        symbol = need.removeprefix("!")
        if getattr(config, symbol) == need.startswith("!"):
            return f"CONFIG_{symbol} is {'set' if need.startswith('!') else 'not set'}"
    return None


def value_of(option: str, arg: str | None) -> str:
    """The value of a command-line option whose handler does not ask whether there is one; without, the kernel dies.

    Source: arch/arm/mm/mmu.c early_cachepolicy(), early_ecc()
    """
    if arg is None:
        raise KernelPanic(None, f"cmdline: {option} without a value: the kernel reads one at address 0 and faults with "
                          "no vectors to take it")
    return arg
