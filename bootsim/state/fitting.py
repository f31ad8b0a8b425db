"""Which kernel build the boot of a state directory is of: by the name it gives, else told by where its image lies."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.configfile import bundled_builds, load_build

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild
    from bootsim.state.directory import StateDirectory

_ENTRY, _RESERVED = "__create_page_tables", "arm_memblock_init"


def known_build(directory: StateDirectory) -> str | None:
    """The name of the build that a directory's boot is of, one that `load_build` takes. None when nobody can say.

    A captured boot may call its build by a name that nobody here knows. Raises InputError where it is broken.
    """
    name = directory.inputs.get("config")
    if name is not None:
        try:
            load_build(name)
        except InputError:
            pass
        else:
            return str(name)
    return fitting_build(directory) if directory.captured else None


def no_build(directory: StateDirectory) -> str:
    """What to say where `known_build` has no answer and one is needed."""
    name = directory.inputs.get("config")
    what = "does not say which kernel build it is of" if name is None else \
        f"of kernel build {name}, which bootsim does not have, nor one whose image lies as its does"
    return f"{directory.path}: {what}; name it with --config"


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
