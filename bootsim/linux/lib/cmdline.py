"""Parsing of command-line words (lib/cmdline.c)."""

from __future__ import annotations

_SUFFIX = {"e": 60, "p": 50, "t": 40, "g": 30, "m": 20, "k": 10}


def simple_strtoull(text: str) -> tuple[int, int]:
    """Read an unsigned number with C's prefixes (0x, 0); return it (64 bits) and how many characters it took.

    Source: lib/vsprintf.c simple_strtoull(), lib/kstrtox.c _parse_integer()
    """
    base, i = 10, 0
    low = text.lower()
    if low.startswith("0x") and len(low) > 2 and low[2] in "0123456789abcdef":
        base, i = 16, 2
    elif low.startswith("0"):
        base = 8
    value = 0
    while i < len(low) and (digit := "0123456789abcdef".find(low[i])) >= 0 and digit < base:
        value = (value * base + digit) & 0xFFFFFFFFFFFFFFFF
        i += 1
    return value, i


def get_option(text: str | None) -> int | None:
    """The number that `text` starts with, as a C int; None when there is none.

    Source: lib/cmdline.c get_option()
    """
    negative = (text or "").startswith("-")
    value, taken = simple_strtoull((text or "")[negative:])
    if not taken:
        return None
    value = (-value if negative else value) & 0xFFFFFFFF
    return value - (value >> 31 << 32)


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
