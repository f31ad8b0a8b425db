"""The inputs of many boots as options of a command: those of one boot, each as often as wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootsim.cli.sizes import ADDRESS, FILE_AT

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
    click.option("--bootloader", type=click.Choice(["qemu", "none"]), default="none", show_default=True,
                 help="Who edits the tree and places things in RAM."),
    click.option("--dtb-addr", type=ADDRESS, metavar="ADDR", help="Physical address of the device tree blob."),
    click.option("--load-addr", type=ADDRESS, metavar="ADDR", help="Physical address of the kernel image."),
    click.option("--initrd", type=FILE_AT, metavar="FILE[@ADDR]", help="Initial RAM disk, and where to place it."),
    click.option("-I", "include_dirs", multiple=True, metavar="DIR",
                 help="Folder to search for includes; repeatable."),
)  # fmt: skip


def matrix_options(function: _F) -> _F:
    """Give a click command every option that says what to boot, most of them repeatable."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


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
    )
