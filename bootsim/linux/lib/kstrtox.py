"""Strict conversion of text to numbers (lib/kstrtox.c)."""

from __future__ import annotations

from bootsim.linux.lib.cmdline import parse_integer


def kstrtobool(text: str | None) -> bool | None:
    """Read y, n, 1, 0, on or off by the first characters; None when it is none of them (-EINVAL).

    Source: lib/kstrtox.c kstrtobool()
    """
    word = (text or "")[:2].lower()
    if word[:1] in ("y", "1") or word == "on":
        return True
    if word[:1] in ("n", "0") or word == "of":
        return False
    return None


def kstrtoull(text: str, base: int = 0, bits: int = 64) -> int | None:
    """Read all of `text` as an unsigned number of `bits`, with "+" before or a newline behind; None when it is not one.

    Source: lib/kstrtox.c kstrtoull(), kstrtoul(), kstrtouint()
    """
    text = text.removeprefix("+")
    value, taken = parse_integer(text, base)
    if not taken or text[taken:] not in ("", "\n") or value >> bits:
        return None
    return value


def kstrtol(text: str, base: int = 0) -> int | None:
    """Read all of `text` as a signed number of 32 bits; None when it is not.

    Source: lib/kstrtox.c kstrtol(), kstrtoint()
    """
    negative = text.startswith("-")
    value = kstrtoull(text[negative:], base, 32)
    if value is None or value > 0x7FFFFFFF + negative or (text[1:2] == "+" and negative):
        return None
    return -value if negative else value
