"""Sizes and addresses as people write them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)(?:\.([0-9]{1,12}))?([kKmMgG])?(?:[iI]?[bB])?")
_SHIFTS = {"k": 10, "m": 20, "g": 30}
_TOP = 1 << 32


def parse_number(text: str) -> int:
    """Return the value of `512M`, `3.5G`, `0x60000000`, `4096`, in bytes. Raises ValueError for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number such as 512M or 0x60000000")
    digits, fraction, suffix = match.groups()
    shift, hexadecimal = _SHIFTS.get((suffix or "").lower(), 0), digits[:2] in ("0x", "0X")
    value: int = int(digits, 16 if hexadecimal else 10) << shift
    if fraction is None:
        return value
    part, rest = divmod(int(fraction) << shift, 10 ** len(fraction))
    if hexadecimal or rest:
        raise ValueError(f"{text!r} is no whole number of bytes")
    return value + int(part)


def size(text: str) -> int:
    """A size in bytes, of at least 1 MiB. Raises ValueError."""
    value = _number_or(text, "a size such as 512M, 1G or 0x20000000")
    if value < 1 << 20:
        hint = f"; did you mean {text}M?" if text.isdigit() and value else ""
        raise ValueError(f"{text} is {value} bytes, expected at least 1M{hint}")
    return value


def size_at(text: str) -> tuple[int, int | None]:
    """SIZE or SIZE@BASE. Raises ValueError."""
    amount, at, base = text.partition("@")
    return size(amount), address(base) if at else None


def address(text: str) -> int:
    """A physical address. Raises ValueError."""
    return _below_top(text, "a physical address such as 0x68000000")


def number(text: str) -> int:
    """A number of 32 bits. Raises ValueError."""
    return _below_top(text, "a number such as 0x61930")


def _below_top(text: str, expected: str) -> int:
    value = _number_or(text, expected)
    if value >= _TOP:
        raise ValueError(f"{text} does not fit in 32 bits")
    return value


def _number_or(text: str, expected: str) -> int:
    try:
        return parse_number(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {expected}") from None
