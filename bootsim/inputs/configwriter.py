"""Writing a kernel-build description as the YAML that `bootsim.inputs.configfile` reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.build import KernelBuild, MachineDesc, Values

_HEADER = """\
# A kernel build: what the boot's arithmetic needs to know of it. docs/configs.md explains every field.
"""


def render(build: KernelBuild) -> str:
    """The YAML text of a build: the same text for the same values. Options that are off are left out."""
    return "\n".join(_lines(build)) + "\n"


def _lines(build: KernelBuild) -> Iterator[str]:
    yield _HEADER.rstrip()
    if build.assumed:
        yield "#"
        yield "# ASSUMED, not read from the build: " + ", ".join(build.assumed) + "."
        yield "# Check them, or make this file again from a vmlinux with DWARF data."
    yield f"schema: {build.schema}"
    for field in ("name", "summary", "provenance", "origin", "banner"):
        yield f"{field}: {_scalar(getattr(build, field))}"
    if build.assumed:
        yield "assumed:"
        yield from (f"  - {_scalar(name)}" for name in build.assumed)
    yield ""
    yield "# CONFIG_ symbols of .config; one that is not here is not set there"
    yield "config:"
    yield from _values(build.config)
    yield ""
    yield "# addresses of System.map"
    yield "symbols:"
    yield from _values(build.symbols, as_hex=True)
    yield ""
    yield "# sizes in bytes, as the compiler laid the structs out"
    yield "sizeof:"
    yield from _values(build.sizeof)
    if build.earlycon:
        yield ""
        yield "# early consoles, in the order the kernel looks through them: name, compatible"
        yield "earlycon:"
        yield from (f"  - {_scalar(entry)}" for entry in build.earlycon)
    if build.warnings:
        yield ""
        yield "# warnings of the kernel about itself: place in 5.10.223, place here, function"
        yield "warnings:"
        yield from (f"  - {_scalar(entry)}" for entry in build.warnings)
    if build.io_tables:
        yield ""
        yield "# what machines map for good: table, virtual address, physical address, bytes, memory type"
        yield "io_tables:"
        yield from (f"  - {_scalar(row)}" for row in build.io_tables)
    yield ""
    yield "# machine descriptors, in the order the kernel looks through them"
    yield "machines:" if build.machines else "machines: []"
    for machine in build.machines:
        yield from _machine(machine)


def _values(values: Values, *, as_hex: bool = False) -> Iterator[str]:
    for attribute, name in values.KERNEL_NAMES.items():
        value = getattr(values, attribute)
        # An option that .config does not set, and a symbol or struct that the build does not have.
        absent = value is None or value is False or (value == "" == values.DEFAULTS.get(attribute))
        if absent or (as_hex and not value):
            continue
        yield f"  {name}: {value:#010x}" if as_hex else f"  {name}: {_scalar(value)}"


def _machine(machine: MachineDesc) -> Iterator[str]:
    lead = "  - "
    for attribute, name in machine.KERNEL_NAMES.items():
        value = getattr(machine, attribute)
        if attribute in machine.DEFAULTS and value == machine.DEFAULTS[attribute]:
            continue
        yield f"{lead}{name}: {_scalar(value)}"
        lead = "    "


# Text in JSON's quotes, which are YAML's too; numbers that look like addresses or machine numbers in hex.
def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:#x}" if value >= 0x10000 else str(value)
    return json.dumps(value, ensure_ascii=False)
