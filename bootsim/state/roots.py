"""The values of roots: what a person decided for a boot, and where it was written.

A fact's inputs end in roots (`bootsim.facts` lists their kinds). Here a root's name becomes its value as people read
it, and the place where it can be changed. A root that ends in * stands for many: a subtree, or the whole command line.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from bootsim.inputs.dtb import read_tree
from bootsim.inputs.treediff import NOT_GIVEN, shown_property
from bootsim.linux.lib.cmdline import next_arg
from bootsim.state.decisions import config_shown
from bootsim.state.quantities import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsim.linux import Kernel

PREFIXES = ("CONFIG_", "symbol:", "sizeof:", "dtb:", "cmdline:", "option:", "build:", "cpu:")


def is_root(name: str) -> bool:
    """Whether a name is that of a root, by its form."""
    return name.startswith(PREFIXES)


class Roots:
    """The roots of a boot: `blob` is the tree as the bootloader left it, `inputs` what bootsim.prepare() was given."""

    def __init__(self, k: Kernel, blob: bytes, inputs: Mapping[str, Any]) -> None:
        self._k = k
        self._blob = blob
        self._inputs = inputs

    def value(self, name: str) -> str:
        """The value as text; "not given" for what nobody decided."""
        kind, _, rest = name.partition(":")
        if name.startswith("CONFIG_"):
            return self._config(name.removeprefix("CONFIG_"))
        return {
            "symbol": self._symbol, "sizeof": self._sizeof, "dtb": self._property, "cmdline": self._parameter,
            "option": self._option, "build": self._of_build, "cpu": self._of_cpu,
        }[kind](rest)  # fmt: skip

    def expand(self, name: str) -> list[str]:
        """The roots that a name with * stands for; any other stands for itself."""
        if not name.endswith("*"):
            return [name]
        if name.startswith("cmdline:"):
            return [f"cmdline:{parameter}" for parameter in self._parameters]
        top = name.removeprefix("dtb:").rpartition(":")[0]
        return [
            f"dtb:{path}:{prop}"
            for path, prop in self._properties
            if top in ("/", path) or path.startswith(top + "/")
        ]

    def where(self, name: str) -> str:
        """The place where the root was decided: a file and line, an option, a build."""
        kind, _, rest = name.partition(":")
        if kind == "dtb":
            path, _, prop = rest.rpartition(":")
            return self._tree_place(path, prop)
        if kind == "cmdline":
            return "--cmdline" if self._inputs.get("cmdline") is not None else self._tree_place("/chosen", "bootargs")
        if kind == "option":
            return f"--{rest}" if self._given(rest) is not None else "the bootloader's choice"
        if kind == "cpu":
            return self._tree_place("/cpus", None)
        return f"build {self._k.build.name}"

    def _tree_place(self, path: str, prop: str | None) -> str:
        place = self._k.where(path, prop) if self._k.where is not None else "the tree"
        option = "cmdline" if (path, prop) == ("/chosen", "bootargs") else "mem"
        if option == "mem" and (prop != "reg" or not path.rpartition("/")[2].startswith("memory")):
            return place
        given = self._inputs.get(option)
        return place if given is None else f"{place}, rewritten by --{option} {self._shown(given)}"

    def _given(self, option: str) -> Any:
        return self._inputs.get(option.replace("-", "_"))

    @staticmethod
    def _shown(value: Any) -> str:
        return size_text(value) if isinstance(value, int) and value >= 1 << 20 else str(value)

    def _config(self, name: str) -> str:
        return config_shown(self._k.build.config, name)

    def _symbol(self, name: str) -> str:
        value = _by_kernel_name(self._k.build.symbols, name)
        return NOT_GIVEN if not value else f"{value:#x}"

    def _sizeof(self, name: str) -> str:
        value = _by_kernel_name(self._k.build.sizeof, name)
        return NOT_GIVEN if value is None else str(value)

    def _of_build(self, name: str) -> str:
        value = getattr(self._k.build, name, None)
        if name == "machines":
            return "; ".join(f"{m.symbol} {m.name!r} ({m.dt_compat})" for m in self._k.build.machines)
        return NOT_GIVEN if value is None else str(value)

    def _of_cpu(self, name: str) -> str:
        value = getattr(self._k.machine.cpu, name, None)
        if value is None:
            return NOT_GIVEN
        return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    def _option(self, name: str) -> str:
        machine = self._k.machine
        known = {"load-addr": machine.kernel_pa, "dtb-addr": machine.dtb_pa, "initrd": machine.initrd_pa}
        if name == "smp":
            return str(machine.cpus)
        if name in known:
            value = known[name]
            return NOT_GIVEN if value is None else f"{value:#x}"
        given = self._given(name)
        return NOT_GIVEN if given is None else self._shown(given)

    def _parameter(self, name: str) -> str:
        if name == "*":
            return self._k.boot_command_line
        values = self._parameters.get(name)
        return NOT_GIVEN if values is None else " ".join(values)

    def _property(self, rest: str) -> str:
        path, _, prop = rest.rpartition(":")
        if prop == "totalsize":
            return f"{len(self._blob)} bytes"
        if prop == "*":
            found = self.expand(f"dtb:{rest}")
            return f"{len(found)} properties"
        value = self._properties.get((path, prop))
        return NOT_GIVEN if value is None else shown_property(value)

    @cached_property
    def _properties(self) -> dict[tuple[str, str], bytes]:
        # of a property written twice the kernel sees the first
        return {
            (path, name): value
            for path, node in read_tree(self._blob, "device tree blob").walk()
            for name, value in reversed(node.props)
        }

    @cached_property
    def _parameters(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        rest = self._k.boot_command_line.strip()
        while rest:
            parameter, value, rest = next_arg(rest)
            if parameter:
                found.setdefault(parameter, []).append("given" if value is None else value)
        return found


def _by_kernel_name(values: Any, name: str) -> Any:
    for attribute, kernel_name in values.KERNEL_NAMES.items():
        if name in (kernel_name, attribute):
            return getattr(values, attribute)
    return None
