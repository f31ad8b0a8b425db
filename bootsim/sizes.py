"""Sizes and addresses as people write them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)([kKmMgG])?(?:[iI]?[bB])?")
_SHIFTS = {"k": 10, "m": 20, "g": 30}


def parse_number(text: str) -> int:
    """Return the value of `512M`, `0x60000000`, `4096`, in bytes. Raises ValueError for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number such as 512M or 0x60000000")
    digits, suffix = match.groups()
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 10) << _SHIFTS.get((suffix or "").lower(), 0)
