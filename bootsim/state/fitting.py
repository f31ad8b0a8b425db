"""Which of the kernel builds that come with bootsim a captured boot is of, told by where its image lies."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.inputs.configfile import bundled_builds

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild
    from bootsim.state.directory import StateDirectory

_ENTRY, _RESERVED = "__create_page_tables", "arm_memblock_init"


def fitting_build(directory: StateDirectory) -> str | None:
    """The name of the one build that fits the captured image: its size and its addresses. None when none or several do.

    Raises InputError where the directory is broken.
    """
    stages = directory.stages
    if "tables" not in stages.get(_ENTRY, {}) or "memblock" not in stages.get(_RESERVED, {}):
        return None
    l1 = directory.tables(_ENTRY)[0]
    phys_offset = stages[_ENTRY].get("phys_offset")
    reserved = {(base, size) for base, size, *_ in stages[_RESERVED]["memblock"]["reserved"]}
    if not isinstance(phys_offset, int):
        return None
    found = [bundled.build.name for bundled in bundled_builds() if _fits(bundled.build, l1, phys_offset, reserved)]
    return found[0] if len(found) == 1 else None


def _fits(build: KernelBuild, l1: bytes, phys_offset: int, reserved: set[tuple[int, int]]) -> bool:
    symbols, page_offset = build.symbols, build.config.PAGE_OFFSET
    image = (symbols.stext - page_offset + phys_offset, symbols.end - symbols.stext)
    (word,) = struct.unpack_from("<I", l1, symbols.text >> 20 << 2)
    text_pa = symbols.text - page_offset + phys_offset
    return image in reserved and word & 3 == 2 and word >> 20 == text_pa >> 20
