"""The machine descriptors of the kernel's source (arch/arm/mach-*): which boards have hooks that touch memory early.

Everything is read from the source at hand: the blocks between DT_MACHINE_START or MACHINE_START and MACHINE_END, and
the arrays of compatible strings that they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# What a machine may do to memory that the generic descriptor does not.
HOOKS = ("map_io", "reserve", "dt_fixup", "pv_fixup", "dma_zone_size")

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_MACHINE = re.compile(r"^(?:DT_)?MACHINE_START\((\w+),\s*\"([^\"]*)\"\)(.*?)^MACHINE_END", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"\.(\w+)\s*=\s*([^,]+?)\s*,")
_STRINGS = re.compile(r"\bchar\b[^;{}=]*?\b(\w+)\s*\[\s*\][^;{}=]*=\s*\{([^}]*)\}")


@dataclass(frozen=True)
class Machine:
    """One descriptor: the boards it is for, best first, and its hooks as (field, value)."""

    symbol: str
    name: str
    compatible: tuple[str, ...]
    hooks: tuple[tuple[str, str], ...]

    def hook_names(self) -> str:
        """The hooks as the source has them: `map_io omap3_map_io, reserve omap_reserve`."""
        return ", ".join(f"{field} {value}" for field, value in self.hooks)


def machines_of_source(kernel_src: Path) -> list[Machine]:
    """Every machine in arch/arm that a device tree can choose."""
    found: list[Machine] = []
    for path in sorted((kernel_src / "arch/arm").glob("*/*.c")):
        text = path.read_text(errors="replace")
        if "MACHINE_START(" in text:
            found += machines_of_text(text)
    return found


def machines_of_text(text: str) -> list[Machine]:
    """The machines of one C file that have a dt_compat."""
    text = _COMMENT.sub(" ", text)
    arrays = {name: tuple(re.findall(r'"([^"]*)"', body)) for name, body in _STRINGS.findall(text)}
    machines = []
    for symbol, name, body in _MACHINE.findall(text):
        fields = dict(_FIELD.findall(body + ","))
        compatible = arrays.get(fields.get("dt_compat", ""), ())
        if compatible:
            hooks = tuple((hook, fields[hook]) for hook in HOOKS if hook in fields)
            machines.append(Machine(symbol, name, compatible, hooks))
    return machines


def machine_for(compatible: Sequence[str], machines: Iterable[Machine]) -> Machine | None:
    """The machine a kernel with all of `machines` would choose for a tree; None stands for the generic one.

    As of_flat_dt_match_machine(): the one that names the most specific of the tree's strings.
    """
    best, best_score = None, len(compatible)
    for machine in machines:
        score = min((compatible.index(name) for name in machine.compatible if name in compatible), default=best_score)
        if score < best_score:
            best, best_score = machine, score
    return best
