"""The inputs of many boots as options of a command: those of one boot, each as often as wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootsim.cli.inputs import LOADER_OPTIONS, MACHINE_OPTIONS, with_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bootsim.cli.values import File
    from bootsim.sweep.case import Case

_F = TypeVar("_F", bound="Callable[..., Any]")


def _sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[int]:
    # "512M", or "256M-1G:64M"
    from bootsim.sweep.case import mem_sizes

    try:
        return [size for text in values for size in mem_sizes(text)]
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


_OPTIONS = (
    click.option("--config", "configs", multiple=True, metavar="NAME|FILE",
                 help="Kernel build; repeatable.  [default: 3G/1G]"),
    click.option("--mem", "mems", multiple=True, callback=_sizes, metavar="SIZE",
                 help="Amount of RAM, or FIRST-LAST:STEP; repeatable."),
    click.option("--cmdline", "cmdlines", multiple=True, metavar="TEXT", help="Kernel command line; repeatable."),
    click.option("--smp", "smps", multiple=True, type=click.IntRange(1, 32), metavar="N",
                 help="Processors that are powered; repeatable."),
)  # fmt: skip


def matrix_options(function: _F) -> _F:
    """Give a click command every option that says what to boot, most of them repeatable."""
    return with_options(function, (*_OPTIONS, *LOADER_OPTIONS, *MACHINE_OPTIONS))


def machine_options(function: _F) -> _F:
    """Give a click command the options that hold for all boots of a file: --ram, --cpu, --soc, --allow-outside."""
    return with_options(function, MACHINE_OPTIONS)


def with_machine(case: Case, options: Mapping[str, Any]) -> Case:
    """The case with what `machine_options` were given in place of its own."""
    return replace(case, **_machine(options))


def _machine(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: tuple(options[name]) for name in ("cpu", "soc") if options[name]}
    if options["ram"] is not None:
        found["ram"], found["ram_addr"] = options["ram"]
    if options["allow_outside"]:
        found["allow_outside"] = True
    return found


def cases_from(trees: tuple[str, ...], options: Mapping[str, Any]) -> list[Case]:
    """Return every combination of the trees and a command's options. Raises InputError when there are too many."""
    from bootsim.sweep.case import matrix

    initrd: File | None = options["initrd"]
    return matrix(
        trees,
        options["configs"] or ("3G/1G",),
        options["mems"] or (None,),
        options["cmdlines"] or (None,),
        options["smps"] or (None,),
        bootloader=options["bootloader"],
        dtb_addr=options["dtb_addr"],
        load_addr=options["load_addr"],
        initrd=None if initrd is None else initrd.path,
        initrd_addr=None if initrd is None else initrd.address_pa,
        include_dirs=tuple(options["include_dirs"]),
        uboot=tuple(options["uboot"]),
        atags=options["atags"],
        efi_memmap=options["efi_memmap"],
        **_machine(options),
    )
