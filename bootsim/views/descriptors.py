"""Words of page tables taken apart: the hardware's short descriptors, and Linux's own entries.

section  31       20 19 18 17 16 15  14 12 11 10 9  8    5  4 3 2 1 0
         | base     |NS|0 |nG|S |AP2| TEX | AP  |P | domain|XN|C|B|1|PXN|

page     31                 12 11 10  9   8  6 5  4 3 2 1 0
         | base               |nG|S |AP2| TEX | AP |C|B|1|XN|
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.hw.mmu import memory_type
from bootsim.linux.arch.arm.asm import domain
from bootsim.linux.arch.arm.mm.proc_v7_2level import NMRR, PRRR

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCTLR_TRE = 1 << 28
_DOMAINS = {domain.DOMAIN_KERNEL: "KERNEL", domain.DOMAIN_USER: "USER", domain.DOMAIN_IO: "IO",
            domain.DOMAIN_VECTORS: "VECTORS"}  # fmt: skip
# AP[2:0] as (privileged, user)
_AP = ("none, none", "RW, none", "RW, ro", "RW, RW", "reserved", "ro, none", "ro, ro", "ro, ro")
_MT = ("uncached", "bufferable", "write-through", "write-back", "device shared", "", "minicache",
       "write-back write-allocate", "", "device write-combining", "", "device cached", "device nonshared", "", "",
       "vectors")  # fmt: skip


class Field(NamedTuple):
    """Bits `high` to `low` of a word: their name, their value, and what that means."""

    high: int
    low: int
    name: str
    value: int
    meaning: str


class Descriptor(NamedTuple):
    """A word taken apart: what it is ("section", "table", "small page", ...) and its fields from the top down."""

    word: int
    kind: str
    fields: tuple[Field, ...]

    @property
    def values(self) -> dict[str, int]:
        """The fields' values by name."""
        return {field.name: field.value for field in self.fields}


_Spec = tuple[int, int, str]
_TABLE: tuple[_Spec, ...] = ((31, 10, "base"), (9, 9, "P"), (8, 5, "domain"), (4, 4, "SBZ"), (3, 3, "NS"),
                             (2, 2, "PXN"), (1, 0, "type"))  # fmt: skip
_SECTION: tuple[_Spec, ...] = (
    (31, 20, "base"), (19, 19, "NS"), (18, 18, "super"), (17, 17, "nG"), (16, 16, "S"), (15, 15, "AP2"),
    (14, 12, "TEX"), (11, 10, "AP"), (9, 9, "P"), (8, 5, "domain"), (4, 4, "XN"), (3, 3, "C"), (2, 2, "B"),
    (1, 0, "type"),
)  # fmt: skip
_SUPERSECTION: tuple[_Spec, ...] = (
    (31, 24, "base"), (23, 20, "base35:32"), (19, 19, "NS"), (18, 18, "super"), (17, 17, "nG"), (16, 16, "S"),
    (15, 15, "AP2"), (14, 12, "TEX"), (11, 10, "AP"), (9, 9, "P"), (8, 5, "base39:36"), (4, 4, "XN"), (3, 3, "C"),
    (2, 2, "B"), (1, 0, "type"),
)  # fmt: skip
_SMALL: tuple[_Spec, ...] = ((31, 12, "base"), (11, 11, "nG"), (10, 10, "S"), (9, 9, "AP2"), (8, 6, "TEX"),
                             (5, 4, "AP"), (3, 3, "C"), (2, 2, "B"), (1, 1, "type"), (0, 0, "XN"))  # fmt: skip
_LARGE: tuple[_Spec, ...] = ((31, 16, "base"), (15, 15, "XN"), (14, 12, "TEX"), (11, 11, "nG"), (10, 10, "S"),
                             (9, 9, "AP2"), (8, 6, "SBZ"), (5, 4, "AP"), (3, 3, "C"), (2, 2, "B"),
                             (1, 0, "type"))  # fmt: skip
_LINUX: tuple[_Spec, ...] = ((31, 12, "base"), (11, 11, "NONE"), (10, 10, "SHARED"), (9, 9, "XN"), (8, 8, "USER"),
                             (7, 7, "RDONLY"), (6, 6, "DIRTY"), (5, 2, "MT"), (1, 1, "YOUNG"),
                             (0, 0, "PRESENT"))  # fmt: skip
_FAULT: tuple[_Spec, ...] = ((31, 2, "ignored"), (1, 0, "type"))


def first_level(word: int) -> Descriptor:
    """Take a first-level word apart."""
    if word & 3 == 0:
        return _apart(word, "fault", _FAULT)
    if word & 3 == 1:
        return _apart(word, "table", _TABLE)
    if word & 1 << 18:
        return _apart(word, "supersection", _SUPERSECTION)
    return _apart(word, "section", _SECTION)


def second_level(word: int) -> Descriptor:
    """Take a word of the hardware's second-level table apart."""
    if word & 3 == 0:
        return _apart(word, "fault", _FAULT)
    return _apart(word, "small page", _SMALL) if word & 2 else _apart(word, "large page", _LARGE)


def linux_entry(word: int) -> Descriptor:
    """Take Linux's own entry for a page apart (L_PTE_*)."""
    return _apart(word, "Linux page" if word & 1 else "not present", _LINUX)


def _apart(word: int, kind: str, spec: Sequence[_Spec]) -> Descriptor:
    values = {name: word >> low & (1 << high - low + 1) - 1 for high, low, name in spec}
    fields = (Field(high, low, name, values[name], _meaning(name, values, low, kind)) for high, low, name in spec)
    return Descriptor(word, kind, tuple(fields))


def _meaning(name: str, values: dict[str, int], low: int, kind: str) -> str:
    value = values[name]
    if name == "base":
        return f"{'table' if kind == 'table' else 'physical'} {value << low:#010x}"
    if name == "type":
        return kind
    if name == "domain":
        return _DOMAINS.get(value, "")
    if name == "AP":
        return f"AP[2:0] {access_bits(values):03b}: privileged, user: {_AP[access_bits(values)]}"
    if name == "TEX":
        return memory_text(values)
    if name == "MT":
        return _MT[value]
    return _FLAGS.get(name, ("", ""))[value] if value < 2 else ""


_FLAGS = {
    "NS": ("secure", "non-secure"), "nG": ("global", "not global"), "S": ("not shareable", "shareable"),
    "XN": ("executable", "execute never"), "PXN": ("", "privileged execute never"), "NONE": ("", "no access"),
    "super": ("1 MiB", "16 MiB"), "SHARED": ("", "shared"), "USER": ("kernel only", "user"),
    "RDONLY": ("writable", "read only"), "DIRTY": ("clean", "dirty"), "YOUNG": ("old", "young"),
    "PRESENT": ("not present", "present"),
}  # fmt: skip


def access_bits(fields: dict[str, int]) -> int:
    """Return AP[2:0]."""
    return fields["AP2"] << 2 | fields["AP"]


def memory_text(fields: dict[str, int]) -> str:
    """Return what kind of memory it is, with TEX remapping as Linux sets it up."""
    texcb = fields["TEX"] << 2 | fields["C"] << 1 | fields["B"]
    memory = memory_type(texcb, bool(fields["S"]), _SCTLR_TRE, PRRR, NMRR)
    return " ".join(filter(None, (memory.type, memory.inner)))


def attributes(found: Descriptor) -> str:
    """Return a mapping's attributes in short: "RW x  S  normal write-back write-allocate"; nothing for a table."""
    if found.kind in ("fault", "table", "not present", "Linux page"):
        return ""
    fields = found.values
    access = {"none, none": "--", "RW, none": "RW", "RW, ro": "RW/ro", "RW, RW": "RW/RW", "ro, none": "ro",
              "ro, ro": "ro/ro", "reserved": "??"}[_AP[access_bits(fields)]]  # fmt: skip
    return f"{access} {'NX' if fields['XN'] else 'x '} {'S' if fields['S'] else ' '} {memory_text(fields)}"
