"""Bytes in hexadecimal, as reports show them (lib/hexdump.c)."""

from __future__ import annotations


def hex_line(data: bytes) -> str:
    """Up to 16 bytes, and behind them what of it is printable.

    Source: lib/hexdump.c hex_dump_to_buffer()
    """
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return f"{data.hex(' '):<49}{shown}"
