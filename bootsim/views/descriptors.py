"""Words of page tables taken apart: the hardware's short descriptors, and Linux's own entries.

section  31       20 19 18 17 16 15  14 12 11 10 9  8    5  4 3 2 1 0
         | base     |NS|0 |nG|S |AP2| TEX | AP  |P | domain|XN|C|B|1|PXN|

page     31                 12 11 10  9   8  6 5  4 3 2 1 0
         | base               |nG|S |AP2| TEX | AP |C|B|1|XN|

Before ARMv6 (SCTLR.XP is clear, see bootsim.state.ranges) most of these do not exist:

section  | base     | SBZ               |TEX | AP |P | domain|1 |C|B|1|0|
page     | base               | AP3 | AP2 | AP1 | AP0 |C|B|1|0|       XScale's ends in 11, with TEX and one AP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.hw.mmu import memory_type
from bootsim.linux.arch.arm.mm.proc_v7_2level import NMRR, PRRR
from bootsim.state.ranges import CR_ARMV7, CR_TRE, is_old

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_OLD_TABLE: tuple[_Spec, ...] = ((31, 10, "base"), (9, 9, "P"), (8, 5, "domain"), (4, 4, "SBO"), (3, 2, "SBZ"),
                                 (1, 0, "type"))  # fmt: skip
_OLD_SECTION: tuple[_Spec, ...] = ((31, 20, "base"), (19, 15, "SBZ"), (14, 12, "TEX"), (11, 10, "AP"), (9, 9, "P"),
                                   (8, 5, "domain"), (4, 4, "SBO"), (3, 3, "C"), (2, 2, "B"),
                                   (1, 0, "type"))  # fmt: skip
_OLD_SMALL: tuple[_Spec, ...] = ((31, 12, "base"), (11, 10, "AP3"), (9, 8, "AP2"), (7, 6, "AP1"), (5, 4, "AP"),
                                 (3, 3, "C"), (2, 2, "B"), (1, 0, "type"))  # fmt: skip
_EXTENDED_SMALL: tuple[_Spec, ...] = ((31, 12, "base"), (11, 9, "SBZ"), (8, 6, "TEX"), (5, 4, "AP"), (3, 3, "C"),
                                      (2, 2, "B"), (1, 0, "type"))  # fmt: skip
_OLD_LARGE: tuple[_Spec, ...] = ((31, 16, "base"), (15, 12, "SBZ"), *_OLD_SMALL[1:])
_OLD_AP = ("ro, none", "RW, none", "RW, ro", "RW, RW")
_OLD_CACHE = ("uncached", "buffered", "write-through", "write-back")
_FAULT: tuple[_Spec, ...] = ((31, 2, "ignored"), (1, 0, "type"))


def first_level(word: int, cr: int, domains: Mapping[int, str]) -> Descriptor:
    """Take a first-level word apart; `cr` is the control register, `domains` names the build's domains by number."""
    if word & 3 == 0:
        return _apart(word, "fault", _FAULT, cr)
    if word & 3 == 1:
        return _apart(word, "table", _OLD_TABLE if is_old(cr) else _TABLE, cr, domains)
    if word & 1 << 18:
        return _apart(word, "supersection", _SUPERSECTION, cr)
    return _apart(word, "section", _OLD_SECTION if is_old(cr) else _SECTION, cr, domains)


def second_level(word: int, cr: int = CR_ARMV7) -> Descriptor:
    """Take a word of the hardware's second-level table apart; `cr` is the control register."""
    if word & 3 == 0:
        return _apart(word, "fault", _FAULT, cr)
    if is_old(cr):
        spec = (_OLD_LARGE, _OLD_SMALL, _EXTENDED_SMALL)[(word & 3) - 1]
        return _apart(word, "small page" if word & 2 else "large page", spec, cr)
    return _apart(word, "small page", _SMALL, cr) if word & 2 else _apart(word, "large page", _LARGE, cr)


def linux_entry(word: int) -> Descriptor:
    """Take Linux's own entry for a page apart (L_PTE_*)."""
    return _apart(word, "Linux page" if word & 1 else "not present", _LINUX, CR_ARMV7)


def _apart(word: int, kind: str, spec: Sequence[_Spec], cr: int, domains: Mapping[int, str] = {}) -> Descriptor:
    values = {name: word >> low & (1 << high - low + 1) - 1 for high, low, name in spec}
    fields = (Field(high, low, name, values[name], domains.get(values[name], "") if name == "domain" else
                    _meaning(name, values, low, kind, cr)) for high, low, name in spec)  # fmt: skip
    return Descriptor(word, kind, tuple(fields))


def _meaning(name: str, values: dict[str, int], low: int, kind: str, cr: int) -> str:
    value = values[name]
    if name == "base":
        return f"{'table' if kind == 'table' else 'physical'} {value << low:#010x}"
    if name == "type":
        return kind
    if is_old(cr) and name[:2] in ("AP", "C", "SB", "TE"):
        if name.startswith("AP"):
            return f"privileged, user: {_OLD_AP[value]}"
        return _OLD_CACHE[values["C"] << 1 | values["B"]] if name == "C" else ""
    if name == "AP":
        return f"AP[2:0] {access_bits(values):03b}: privileged, user: {_AP[access_bits(values)]}"
    if name == "TEX":
        return memory_text(values, cr)
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


def memory_text(fields: dict[str, int], cr: int = CR_ARMV7) -> str:
    """Return what kind of memory it is; with TEX remapping, where `cr` has it, as Linux sets that up."""
    texcb = fields["TEX"] << 2 | fields["C"] << 1 | fields["B"]
    memory = memory_type(texcb, bool(fields["S"]), cr & CR_TRE, PRRR, NMRR)
    return " ".join(filter(None, (memory.type, memory.inner)))


def attributes(found: Descriptor, cr: int = CR_ARMV7) -> str:
    """Return a mapping's attributes in short: "RW x  S  normal write-back write-allocate"; nothing for a table."""
    if found.kind in ("fault", "table", "not present", "Linux page"):
        return ""
    fields = found.values
    old = is_old(cr) and "XN" not in fields
    words = _OLD_AP[fields["AP"]] if old else _AP[access_bits(fields)]
    access = {"none, none": "--", "RW, none": "RW", "RW, ro": "RW/ro", "RW, RW": "RW/RW", "ro, none": "ro",
              "ro, ro": "ro/ro", "reserved": "??"}[words]  # fmt: skip
    if old:
        tex = f" TEX {fields['TEX']}" if fields.get("TEX") else ""
        return f"{access} x    {_OLD_CACHE[fields['C'] << 1 | fields['B']]}{tex}"
    return f"{access} {'NX' if fields['XN'] else 'x '} {'S' if fields['S'] else ' '} {memory_text(fields, cr)}"
