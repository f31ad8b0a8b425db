"""Making a kernel-build description from a real build: vmlinux or System.map, with the .config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.belongs import check_banner, check_belongs, check_modelled, one_symbol, release_of_banner
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.inputs.earlycontable import earlycon_of_image, earlycon_of_map
from bootsim.inputs.iotables import io_tables_of_image
from bootsim.inputs.kconfig import read_kconfig
from bootsim.inputs.machines import machines_of_image, machines_of_map
from bootsim.inputs.sizes import FIXED_SIZES, assumed_sizes
from bootsim.inputs.systemmap import is_elf, read_system_map, release_of_name
from bootsim.inputs.vmlinux import Vmlinux
from bootsim.inputs.warnsites import warnings_of_image, warnings_of_map
from bootsim.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bootsim.inputs.build import MachineDesc
    from bootsim.inputs.kconfig import Kconfig
    from bootsim.inputs.systemmap import SymbolTable


class Provider(NamedTuple):
    """What one way of looking at a build tells, and what of it is assumed."""

    source: str
    symbols: SymbolTable
    sizes: dict[str, int]
    banner: str
    machines: tuple[MachineDesc, ...]
    earlycon: tuple[str, ...]
    warnings: tuple[str, ...]
    io_tables: tuple[str, ...]
    assumed: tuple[str, ...]


def profile(
    image: Path,
    kconfig_path: Path,
    *,
    name: str | None = None,
    summary: str | None = None,
    origin: str | None = None,
    facts_path: Path | None = None,
    banner: str | None = None,
) -> KernelBuild:
    """Describe the build that `image` (vmlinux, or System.map, also as .gz or .xz) and its .config come from.

    `facts_path` is a JSON file with struct sizes and the banner, for a System.map. Raises InputError for files that
    cannot be used, do not belong together, or belong to a kernel that is not modelled.
    """
    kconfig = read_kconfig(kconfig_path)
    check_modelled(kconfig)
    facts = read_facts(facts_path) if facts_path else {}
    if is_elf(image):
        with Vmlinux(image) as vmlinux:
            provider = from_vmlinux(vmlinux, kconfig, facts, banner)
    else:
        provider = from_system_map(image, kconfig, facts, banner)
    check_belongs(provider, kconfig)
    config = make_config(kconfig)
    return KernelBuild(
        schema=1,
        name=name or default_name(provider.banner, config),
        summary=summary or describe(provider.banner, config),
        provenance="derived" if provider.assumed else "exact",
        origin=origin or f"bootsim profile, from {image.name} and {kconfig_path.name}",
        banner=provider.banner,
        assumed=provider.assumed,
        config=config,
        symbols=make_symbols(provider),
        sizeof=make_sizeof(provider, kconfig),
        machines=provider.machines,
        earlycon=provider.earlycon,
        warnings=provider.warnings,
        io_tables=provider.io_tables,
    )


def from_vmlinux(vmlinux: Vmlinux, kconfig: Kconfig, facts: Mapping[str, Any], banner: str | None) -> Provider:
    """Everything from the kernel image; struct sizes worked out from .config where it has no DWARF data."""
    text = banner or vmlinux.read_string(one_symbol(str(vmlinux.path), vmlinux.symbols, "linux_banner")).rstrip("\n")
    check_banner(str(vmlinux.path), text)
    sizes = dict(facts.get("sizeof", {}))
    if vmlinux.has_dwarf():
        wanted = [name.removeprefix("struct ") for name in _wanted_sizes(kconfig)]
        sizes |= {f"struct {name}": size for name, size in vmlinux.struct_sizes(wanted).items()}
    sizes, assumed = complete_sizes(sizes, kconfig)
    machines = machines_of_image(vmlinux, kconfig)
    earlycon, tables = earlycon_of_image(vmlinux), io_tables_of_image(vmlinux)
    warnings, unread = warnings_of_image(vmlinux, kconfig)
    assumed += unread
    found = machines, earlycon, warnings, tables
    return Provider(str(vmlinux.path), vmlinux.symbols, sizes, text, *found, tuple(assumed))


def from_system_map(path: Path, kconfig: Kconfig, facts: Mapping[str, Any], banner: str | None) -> Provider:
    """Symbols from System.map, sizes and banner from `facts`; what is in neither is worked out and named as assumed."""
    release = _release(path, kconfig)
    text = banner or facts.get("strings", {}).get("linux_banner", "").rstrip("\n")
    check_banner(str(path), text or f"Linux version {release}")
    symbols = read_system_map(path)
    sizes, assumed = complete_sizes(dict(facts.get("sizeof", {})), kconfig)
    if not text:
        text = f"Linux version {release} (unknown@unknown) ({kconfig.text('CC_VERSION_TEXT') or 'unknown'}) #1"
        text += " SMP" * kconfig.is_on("SMP") + " PREEMPT" * kconfig.is_on("PREEMPT")
        assumed.append("banner")
    machines, unknown = machines_of_map(symbols, kconfig)
    earlycon, nameless = earlycon_of_map(symbols)
    assumed += [*unknown, *nameless, *warnings_of_map(kconfig)]
    return Provider(str(path), symbols, sizes, text, tuple(machines), earlycon, (), (), tuple(assumed))


# The release where no banner tells it: in the names of installed files, or as the build system makes it up.
def _release(path: Path, kconfig: Kconfig) -> str:
    named = {name: file for file in (path, Path(kconfig.path)) if (name := release_of_name(file))}
    if len(named) > 1:
        (first, file), (second, other) = named.items()
        raise InputError(f"{file} is of Linux {first}, {other} of {second}: the .config of another build")
    return next(iter(named), None) or (kconfig.version or "5.10.0") + (kconfig.text("LOCALVERSION") or "")


def complete_sizes(sizes: dict[str, int], kconfig: Kconfig) -> tuple[dict[str, int], list[str]]:
    """`sizes` with those nobody measured worked out from .config, and the names of the ones that options decide."""
    wanted = _wanted_sizes(kconfig)
    missing = [name for name in wanted if name not in sizes]
    by_options = assumed_sizes(kconfig) if any(name not in FIXED_SIZES for name in missing) else {}
    known = {**FIXED_SIZES, **by_options, **sizes}
    lost = [name for name in missing if name not in known]
    if lost:
        raise InputError(f"sizeof({lost[0]}) is in neither the image nor the facts")
    return {name: known[name] for name in wanted}, [name for name in missing if name in by_options]


# Structs that exist only when their option is on.
_OPTIONAL_SIZES = {
    "page_ext": "PAGE_EXTENSION",
    "page_owner": "PAGE_OWNER",
    "mem_section": "SPARSEMEM",
    "mem_section_usage": "SPARSEMEM",
}


def _wanted_sizes(kconfig: Kconfig) -> list[str]:
    return [name for attribute, name in Sizeof.KERNEL_NAMES.items() if _is_needed(attribute, kconfig)]


def _is_needed(attribute: str, kconfig: Kconfig) -> bool:
    option = _OPTIONAL_SIZES.get(attribute)
    return option is None or kconfig.is_on(option)


def read_facts(path: Path) -> dict[str, Any]:
    """Read a facts file: `{"sizeof": {"struct page": 32, ...}, "strings": {"linux_banner": "..."}}`."""
    try:
        facts = json.loads(read_file(path, "a facts file"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    sizes = facts.get("sizeof", {}) if isinstance(facts, dict) else None
    strings = facts.get("strings", {}) if isinstance(facts, dict) else None
    if not isinstance(sizes, dict) or not isinstance(strings, dict):
        raise InputError(f'{path}: expected {{"sizeof": {{"struct page": 32, ...}}, "strings": {{...}}}}')
    for name, size in sizes.items():
        if size is not None and (type(size) is not int or size < 0):
            raise InputError(f"{path}: sizeof: {name} is {size!r}, expected a number of bytes")
    if not isinstance(strings.get("linux_banner", ""), str):
        raise InputError(f"{path}: strings: linux_banner is {strings['linux_banner']!r}, expected text")
    return {"sizeof": {name: size for name, size in sizes.items() if size is not None}, "strings": strings}


def make_config(kconfig: Kconfig) -> Config:
    """The schema's CONFIG_ symbols from a .config."""
    readers: dict[Any, Callable[[str], Any]] = {bool: kconfig.is_on, int: kconfig.number, str: kconfig.text}
    values: dict[str, Any] = {}
    for symbol, kind in Config.__annotations__.items():
        read = readers.get(kind) or (kconfig.number if kind == int | None else kconfig.text)
        value = read(symbol)
        if value is not None:
            values[symbol] = value
    values |= {name: kconfig.is_enabled(name) for name in ("BLK_DEV_RAM", "ZSMALLOC")}  # the kernel asks IS_ENABLED()
    return Config(**values)


def make_symbols(provider: Provider) -> Symbols:
    """The schema's symbols from a symbol table."""
    values = {}
    for attribute, name in Symbols.KERNEL_NAMES.items():
        if attribute not in Symbols.DEFAULTS or name in provider.symbols:
            values[attribute] = one_symbol(provider.source, provider.symbols, name)
    return Symbols(**values)


def make_sizeof(provider: Provider, kconfig: Kconfig) -> Sizeof:
    """The schema's sizes."""
    names = Sizeof.KERNEL_NAMES
    needed = [attribute for attribute in names if _is_needed(attribute, kconfig)]
    return Sizeof(**{attribute: provider.sizes[names[attribute]] for attribute in needed})


def default_name(banner: str, config: Config) -> str:
    """The kernel's release and the split of its address space, as in `5.10.0-32-armmp 3G/1G`."""
    splits = {0xC0000000: "3G/1G", 0xB0000000: "3G/1G-opt", 0x80000000: "2G/2G", 0x40000000: "1G/3G"}
    split = splits.get(config.PAGE_OFFSET, f"{config.PAGE_OFFSET:#x}")
    return f"{release_of_banner(banner)} {split}{'' if config.HIGHMEM else '-nohighmem'}"


def describe(banner: str, config: Config) -> str:
    """One line on what the build is."""
    slab = "SLUB" if config.SLUB else "SLAB" if config.SLAB else "SLOB"
    cpus = f"up to {config.NR_CPUS} CPUs" if config.SMP else "one CPU"
    modules = "modules" if config.MODULES else "no modules"
    return f"Linux {release_of_banner(banner)}, {slab}, {cpus}, {modules}"
