"""A program to have when none is at hand: an ELF file with a page of code, one of data, two of bss, and a stack."""

from __future__ import annotations

import struct

from bootsim.page import PAGE_SIZE

TEXT, DATA = 0x10000, 0x11000
PT_LOAD, PT_GNU_STACK = 1, 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4
EM_ARM, ET_EXEC, EF_ARM_EABI5 = 40, 2, 0x05000000
HEADER, PROGRAM_HEADER = struct.Struct("<4sBBB9xHHIIIIIHHHHHH"), struct.Struct("<8I")


def small_program() -> bytes:
    """The file: code at 0x10000, data at 0x11000, bss from 0x12000 to 0x14000. Its entry is a branch to itself."""
    segments = (
        (PT_LOAD, 0, TEXT, TEXT, PAGE_SIZE, PAGE_SIZE, PF_R | PF_X, PAGE_SIZE),
        (PT_LOAD, PAGE_SIZE, DATA, DATA, PAGE_SIZE, 3 * PAGE_SIZE, PF_R | PF_W, PAGE_SIZE),
        (PT_GNU_STACK, 0, 0, 0, 0, 0, PF_R | PF_W, 4),
    )
    entry = TEXT + HEADER.size + len(segments) * PROGRAM_HEADER.size
    head = HEADER.pack(b"\x7fELF", 1, 1, 1, ET_EXEC, EM_ARM, 1, entry, HEADER.size, 0, EF_ARM_EABI5, HEADER.size,
                       PROGRAM_HEADER.size, len(segments), 0, 0, 0)
    code = head + b"".join(PROGRAM_HEADER.pack(*words) for words in segments) + struct.pack("<I", 0xEAFFFFFE)
    return code.ljust(PAGE_SIZE, b"\0") + b"data".ljust(PAGE_SIZE, b"\0")
