"""Sizes and addresses as people write them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)(?:\.([0-9]{1,12}))?([kKmMgG])?(?:[iI]?[bB])?")
_SHIFTS = {"k": 10, "m": 20, "g": 30}


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
