"""Making a kernel-build description from a real build: vmlinux or System.map, with the .config."""

from __future__ import annotations

import bisect
import gzip
import json
import lzma
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.inputs.kconfig import read_kconfig
from bootsim.inputs.machines import machines_of_image, machines_of_map
from bootsim.inputs.sizes import FIXED_SIZES, assumed_sizes
from bootsim.inputs.vmlinux import Vmlinux

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bootsim.inputs.build import MachineDesc
    from bootsim.inputs.kconfig import Kconfig

SymbolTable = dict[str, list[int]]

_LINUX_VERSION = re.compile(r"Linux version (\S+)")
_MAP_LINE = re.compile(rb"([0-9a-fA-F]+) (\S) (\S+)(?:\s.*)?")


class Provider(NamedTuple):
    """What one way of looking at a build tells: symbols, sizes, banner, machines, and what of it is assumed."""

    source: str
    symbols: SymbolTable
    sizes: dict[str, int]
    banner: str
    machines: tuple[MachineDesc, ...]
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
    _check_modelled(kconfig)
    facts = read_facts(facts_path) if facts_path else {}
    if _is_elf(image):
        with Vmlinux(image) as vmlinux:
            provider = from_vmlinux(vmlinux, kconfig, facts, banner)
    else:
        provider = from_system_map(image, kconfig, facts, banner)
    check_belongs(provider, kconfig)
    config = make_config(kconfig)
    return KernelBuild(
        schema=1,
        name=name or default_name(config),
        summary=summary or describe(provider.banner, config),
        provenance="derived" if provider.assumed else "exact",
        origin=origin or f"bootsim profile, from {image.name} and {kconfig_path.name}",
        banner=provider.banner,
        assumed=provider.assumed,
        config=config,
        symbols=make_symbols(provider),
        sizeof=make_sizeof(provider, kconfig),
        machines=provider.machines,
    )


def from_vmlinux(vmlinux: Vmlinux, kconfig: Kconfig, facts: Mapping[str, Any], banner: str | None) -> Provider:
    """Everything from the kernel image; struct sizes worked out from .config where it has no DWARF data."""
    sizes = dict(facts.get("sizeof", {}))
    if vmlinux.has_dwarf():
        wanted = [name.removeprefix("struct ") for name in _wanted_sizes(kconfig)]
        sizes |= {f"struct {name}": size for name, size in vmlinux.struct_sizes(wanted).items()}
    sizes, assumed = complete_sizes(sizes, kconfig)
    at = _one_symbol(str(vmlinux.path), vmlinux.symbols, "linux_banner")
    text = banner or vmlinux.read_string(at).rstrip("\n")
    machines = machines_of_image(vmlinux, kconfig)
    return Provider(str(vmlinux.path), vmlinux.symbols, sizes, text, machines, tuple(assumed))


def from_system_map(path: Path, kconfig: Kconfig, facts: Mapping[str, Any], banner: str | None) -> Provider:
    """Symbols from System.map, sizes and banner from `facts`; what is in neither is worked out and named as assumed."""
    symbols = read_system_map(path)
    sizes, assumed = complete_sizes(dict(facts.get("sizeof", {})), kconfig)
    text = banner or facts.get("strings", {}).get("linux_banner", "").rstrip("\n")
    if not text:
        text = f"Linux version {kconfig.version or '5.10.0'} (unknown@unknown) #1"
        assumed.append("banner")
    machines, unknown = machines_of_map(symbols)
    return Provider(str(path), symbols, sizes, text, machines, (*assumed, *unknown))


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
        facts = json.loads(path.read_text(encoding="utf-8"))
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


def read_system_map(path: Path) -> SymbolTable:
    """The symbols of a System.map, plain or compressed with gzip or xz."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:6] == b"\xfd7zXZ\0":
            data = lzma.decompress(data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (EOFError, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be decompressed: {error}") from None
    symbols: SymbolTable = {}
    for number, line in enumerate(data.splitlines(), 1):
        found = _MAP_LINE.fullmatch(line)
        if not found:
            shown = line[:60].decode("ascii", "backslashreplace")
            expected = "ADDRESS TYPE NAME as in a System.map, or an ELF file"
            raise InputError(f"{path}:{number}: {shown!r}, expected {expected}")
        if len(found[1]) > 8:
            raise InputError(f"{path}:{number}: a 64-bit address, expected a 32-bit kernel (64-bit is not modelled)")
        symbols.setdefault(found[3].decode("ascii", "replace"), []).append(int(found[1], 16))
    if not symbols:
        raise InputError(f"{path}: empty, expected a System.map or a vmlinux")
    return symbols


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _check_modelled(kconfig: Kconfig) -> None:
    not_modelled = {
        "64BIT": "a 64-bit kernel",
        "ARM_LPAE": "LPAE's long descriptors",
        "CPU_ENDIAN_BE8": "a big-endian kernel",
        "XIP_KERNEL": "a kernel that runs from flash",
        "NUMA": "NUMA",
    }
    if not kconfig.is_on("ARM"):
        raise InputError(f"{kconfig.path}: CONFIG_ARM is not set, expected the .config of a 32-bit ARM kernel")
    for symbol, what in not_modelled.items():
        if kconfig.is_on(symbol):
            raise InputError(f"{kconfig.where(symbol)}: CONFIG_{symbol}=y: {what} is not modelled")
    if not kconfig.is_on("MMU"):
        raise InputError(f"{kconfig.path}: CONFIG_MMU is not set: a kernel without an MMU is not modelled")


def _one_symbol(source: str, symbols: SymbolTable, name: str) -> int:
    found = sorted(set(symbols.get(name, ())))
    if len(found) > 1:
        raise InputError(f"{source}: {len(found)} symbols are called {name}, expected one")
    if not found:
        raise InputError(f"{source}: no symbol {name}, expected a complete symbol table of a 5.10 ARM kernel")
    return found[0]


def check_belongs(provider: Provider, kconfig: Kconfig) -> None:
    """Raise InputError when the .config is not the one this image was built from, as far as the symbols show it."""
    text, pgd = (_one_symbol(provider.source, provider.symbols, name) for name in ("_text", "swapper_pg_dir"))
    page_offset = kconfig.number("PAGE_OFFSET")
    if page_offset is None:
        raise InputError(f"{kconfig.path}: CONFIG_PAGE_OFFSET is not set, expected the .config of a 32-bit ARM kernel")
    if text - pgd != 0x4000:
        raise InputError(
            f"{provider.source}: swapper_pg_dir is {text - pgd:#x} below _text, expected 0x4000 (LPAE is not modelled)"
        )
    if not 0x4000 <= text - page_offset < 0x1000000:
        raise InputError(
            f"{kconfig.where('PAGE_OFFSET')}: CONFIG_PAGE_OFFSET={page_offset:#x}, but {provider.source} has _text at "
            f"{text:#x}: the .config of another build"
        )
    for symbol, sign in _SIGNS.items():
        if kconfig.is_on(symbol) != (sign in provider.symbols):
            there = "has" if sign in provider.symbols else "has no"
            raise InputError(
                f"{kconfig.where(symbol)}: CONFIG_{symbol}={kconfig.get(symbol) or 'n'}, but {provider.source} {there} "
                f"symbol {sign}: the .config of another build"
            )
    _check_log_buffer(provider, kconfig)
    _check_version(provider, kconfig)


# Symbols that are in an image if and only if the option is on.
_SIGNS = {
    "HIGHMEM": "pkmap_page_table",
    "SMP": "__per_cpu_start",
    "CMA": "cma_init_reserved_mem",
    "MODULES": "load_module",
    "KUSER_HELPERS": "__kuser_helper_start",
    "PAGE_EXTENSION": "page_ext_init",
}


def _check_log_buffer(provider: Provider, kconfig: Kconfig) -> None:
    shift = kconfig.number("LOG_BUF_SHIFT")
    if shift is None or "__log_buf" not in provider.symbols:
        return
    start = _one_symbol(provider.source, provider.symbols, "__log_buf")
    addresses = sorted({address for found in provider.symbols.values() for address in found})
    after = bisect.bisect_right(addresses, start)
    if after < len(addresses) and addresses[after] - start < 1 << shift:
        raise InputError(
            f"{kconfig.where('LOG_BUF_SHIFT')}: CONFIG_LOG_BUF_SHIFT={shift}, but {provider.source} has only "
            f"{addresses[after] - start:#x} bytes of __log_buf: the .config of another build"
        )


def _check_version(provider: Provider, kconfig: Kconfig) -> None:
    found = _LINUX_VERSION.match(provider.banner)
    if not found:
        raise InputError(f'{provider.source}: banner {provider.banner[:60]!r}, expected "Linux version ..."')
    if not found[1].startswith("5.10."):
        raise InputError(f"{provider.source}: Linux {found[1]}, expected 5.10.y (no other version is modelled)")
    configured = kconfig.version
    if configured and not found[1].startswith(configured):
        raise InputError(f"{kconfig.path}: made for Linux {configured}, but {provider.source} is Linux {found[1]}")


def make_config(kconfig: Kconfig) -> Config:
    """The schema's CONFIG_ symbols from a .config."""
    readers: dict[Any, Callable[[str], Any]] = {bool: kconfig.is_on, int: kconfig.number, str: kconfig.text}
    values: dict[str, Any] = {}
    for symbol, kind in Config.__annotations__.items():
        read = readers.get(kind) or (kconfig.number if kind == int | None else kconfig.text)
        value = read(symbol)
        if value is not None:
            values[symbol] = value
    return Config(**values)


def make_symbols(provider: Provider) -> Symbols:
    """The schema's symbols from a symbol table."""
    values = {}
    for attribute, name in Symbols.KERNEL_NAMES.items():
        if attribute not in Symbols.DEFAULTS or name in provider.symbols:
            values[attribute] = _one_symbol(provider.source, provider.symbols, name)
    return Symbols(**values)


def make_sizeof(provider: Provider, kconfig: Kconfig) -> Sizeof:
    """The schema's sizes."""
    names = Sizeof.KERNEL_NAMES
    needed = [attribute for attribute in names if _is_needed(attribute, kconfig)]
    return Sizeof(**{attribute: provider.sizes[names[attribute]] for attribute in needed})


def default_name(config: Config) -> str:
    """A name such as 3G/1G for the split of the address space."""
    known = {0xC0000000: "3G/1G", 0xB0000000: "3G/1G-opt", 0x80000000: "2G/2G", 0x40000000: "1G/3G"}
    return known.get(config.PAGE_OFFSET, f"{config.PAGE_OFFSET:#x}")


def describe(banner: str, config: Config) -> str:
    """One line on what the build is."""
    found = _LINUX_VERSION.match(banner)
    slab = "SLUB" if config.SLUB else "SLAB" if config.SLAB else "SLOB"
    cpus = f"up to {config.NR_CPUS} CPUs" if config.SMP else "one CPU"
    modules = "modules" if config.MODULES else "no modules"
    return f"Linux {found[1] if found else '5.10'}, {slab}, {cpus}, {modules}"
