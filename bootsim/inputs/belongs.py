"""Whether the files of a kernel build belong together, and to a kernel that is modelled."""

from __future__ import annotations

import bisect
import re
from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.inputs.kconfig import Kconfig
    from bootsim.inputs.profile import Provider
    from bootsim.inputs.systemmap import SymbolTable

_LINUX_VERSION = re.compile(r"Linux version (\S+)")
_EXPECTED_VERSION = "5.10.y (no other version is modelled)"


def check_modelled(kconfig: Kconfig) -> None:
    """Raise InputError for the .config of another version or of a kernel that is not modelled."""
    if kconfig.version and not is_modelled_release(kconfig.version):
        raise InputError(f"{kconfig.path}: the .config of Linux {kconfig.version}, expected {_EXPECTED_VERSION}")
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


def check_banner(source: str, banner: str) -> None:
    """Raise InputError when this is not the banner of a version that is modelled."""
    release = release_of_banner(banner)
    if release is None:
        raise InputError(f'{source}: banner {banner[:60]!r}, expected "Linux version ..."')
    if not is_modelled_release(release):
        raise InputError(f"{source}: Linux {release}, expected {_EXPECTED_VERSION}")


def release_of_banner(banner: str) -> str | None:
    """What `uname -r` says on a kernel with this banner."""
    found = _LINUX_VERSION.match(banner)
    return found[1] if found else None


def is_modelled_release(release: str) -> bool:
    """Whether a release or version is 5.10's. The rest is the distribution's to choose: 5.10.0-32-armmp is 5.10.223."""
    return release.startswith("5.10.")


def one_symbol(source: str, symbols: SymbolTable, name: str) -> int:
    """The address of a symbol. Raises InputError, naming `source`, when there is none or more than one."""
    found = sorted(set(symbols.get(name, ())))
    if len(found) > 1:
        raise InputError(f"{source}: {len(found)} symbols are called {name}, expected one")
    if not found:
        raise InputError(f"{source}: no symbol {name}, expected a complete symbol table of a 5.10 ARM kernel")
    return found[0]


def check_belongs(provider: Provider, kconfig: Kconfig) -> None:
    """Raise InputError when the .config is not the one this image was built from, as far as the symbols show it."""
    text, pgd = (one_symbol(provider.source, provider.symbols, name) for name in ("_text", "swapper_pg_dir"))
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
    for symbol, sign in {**_SIGNS, "PAGE_EXTENSION": _page_ext_sign(kconfig)}.items():
        if kconfig.is_on(symbol) != (sign in provider.symbols):
            there = "has" if sign in provider.symbols else "has no"
            raise InputError(
                f"{kconfig.where(symbol)}: CONFIG_{symbol}={kconfig.get(symbol) or 'n'}, but {provider.source} {there} "
                f"symbol {sign}: the .config of another build"
            )
    _check_log_buffer(provider, kconfig)


# Symbols that are in an image if and only if the option is on.
_SIGNS = {
    "HIGHMEM": "pkmap_page_table",
    "SMP": "__per_cpu_start",
    "CMA": "cma_init_reserved_mem",
    "MODULES": "load_module",
    "KUSER_HELPERS": "__kuser_helper_start",
}


def _page_ext_sign(kconfig: Kconfig) -> str:
    return "page_ext_init" if kconfig.is_on("SPARSEMEM") else "page_ext_init_flatmem"


def _check_log_buffer(provider: Provider, kconfig: Kconfig) -> None:
    shift = kconfig.number("LOG_BUF_SHIFT")
    if shift is None or "__log_buf" not in provider.symbols:
        return
    start = one_symbol(provider.source, provider.symbols, "__log_buf")
    addresses = sorted({address for found in provider.symbols.values() for address in found})
    after = bisect.bisect_right(addresses, start)
    if after < len(addresses) and addresses[after] - start < 1 << shift:
        raise InputError(
            f"{kconfig.where('LOG_BUF_SHIFT')}: CONFIG_LOG_BUF_SHIFT={shift}, but {provider.source} has only "
            f"{addresses[after] - start:#x} bytes of __log_buf: the .config of another build"
        )
