"""The inputs of a boot as options of a command: one decorator, and the kernel that they prepare.

@click.command()
@click.argument("tree")
@input_options
def command(tree: str, **options: Any) -> None:
    k = prepare_from(tree, options)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bootsim.cli.loaders import LOADER
from bootsim.cli.sizes import ADDRESS, FILE_AT, SIZE, SIZE_AT
from bootsim.cli.values import INPUT_NAMES, File, inputs_from
from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

_F = TypeVar("_F", bound="Callable[..., Any]")

SLAB_OPTION = click.option("--slab", type=click.Choice(["slab", "slub", "slob"]),
                           help="Another slab allocator than the build's own; the log tells what else that changes.")
_OPTIONS = (
    click.option("--config", default="3G/1G", metavar="NAME|FILE", show_default=True, help="Kernel build to boot."),
    SLAB_OPTION,
    click.option("--mem", type=SIZE, metavar="SIZE",
                 help="Amount of RAM: rewrites the tree's memory node, as QEMU does."),
    click.option("--smp", type=click.IntRange(1, 32), metavar="N",
                 help="Processors that are powered.  [default: the tree's, or what QEMU starts if it loads]"),
    click.option("--cmdline", metavar="TEXT", help="Kernel command line, in place of the tree's bootargs."),
)  # fmt: skip
# Who loads, and what: the same for all boots of a sweep.
LOADER_OPTIONS = (
    click.option("--bootloader", type=LOADER, metavar="qemu[:MACHINE]|u-boot|none", default="none", show_default=True,
                 help="Who edits the tree and places things in RAM: QEMU 7.2's loader (MACHINE is its -M, where the "
                 "tree does not tell), U-Boot 2023.01, or nobody."),
    click.option("--uboot", multiple=True, metavar="NAME=VALUE",
                 help="A variable of U-Boot's environment that decides where things lie (fdt_high, initrd_high, "
                 "bootm_low, bootm_size, ...), or what decides beside it (top, version, ...). Repeatable."),
    click.option("--atags", metavar="WORDS",
                 help="ATAGs of an old loader, which the decompressor writes into the appended tree: mem=SIZE@BASE, "
                 "initrd=SIZE@BASE, serial=NUMBER, cmdline=TEXT, with commas between them and the command line last."),
    click.option("--efi-memmap", metavar="FILE",
                 help="Boot through UEFI with the memory map of this log, which a kernel with efi=debug wrote."),
    click.option("--dtb-addr", type=ADDRESS, metavar="ADDR", help="Physical address of the device tree blob."),
    click.option("--load-addr", type=ADDRESS, metavar="ADDR", help="Physical address of the kernel image."),
    click.option("--initrd", type=FILE_AT, metavar="FILE[@ADDR]", help="Initial RAM disk, and where to place it."),
    click.option("-I", "include_dirs", multiple=True, metavar="DIR",
                 help="Folder to search for includes; repeatable."),
)  # fmt: skip
# What the machine has that its tree does not tell, and how far the tree is trusted.
MACHINE_OPTIONS = (
    click.option("--ram", type=SIZE_AT, metavar="SIZE[@BASE]",
                 help="RAM really there, where the tree does not tell the truth; the tree stays as it is."),
    click.option("--cpu", multiple=True, metavar="MODEL|REGISTER=VALUE",
                 help="The processor that boots, where it is not the first one of the tree: cortex-a15, midr=VALUE, "
                 "mpidr=VALUE. Repeatable."),
    click.option("--soc", multiple=True, metavar="NAME=VALUE",
                 help="What a register of the SoC reads as, by name or address; scu=ADDR its Snoop Control Unit. "
                 "Repeatable."),
    click.option("--allow-outside", is_flag=True,
                 help="Let the tree take in files outside its folder and -I by /incbin/, link or absolute path."),
)  # fmt: skip


def input_options(function: _F) -> _F:
    """Give a click command every option that says what to boot (INPUT_NAMES), but the tree itself."""
    return with_options(function, (*_OPTIONS, *LOADER_OPTIONS, *MACHINE_OPTIONS))


def with_options(function: _F, options: Sequence[Callable[[_F], _F]]) -> _F:
    """Give a click command some options, in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def parsed(words: str, place: str) -> tuple[str, dict[str, Any]]:
    """Return tree and inputs that a line of a file names as a command line would. Raises InputError, with `place`."""
    import shlex

    reader = click.command(add_help_option=False)(click.argument("tree")(input_options(lambda **_: None)))
    try:
        options = reader.make_context("bootsim", shlex.split(words)).params
    except (click.ClickException, ValueError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else error
        raise InputError(f"{place}: {said}") from None
    return options.pop("tree"), inputs_from(options)


def replayable(source: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the tree to replay and its inputs: `source` itself, or the tree that a state directory holds.

    A directory's boot is replayed as it says that it was made, but for the options that were given. Raises InputError.
    """
    if not is_directory(source):
        return source, inputs_from(options)
    context = click.get_current_context()
    given = {name for name in INPUT_NAMES if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    return _from_directory(source, inputs_from(options), given)


def _from_directory(source: str, inputs: dict[str, Any], given: AbstractSet[str]) -> tuple[str, dict[str, Any]]:
    # the directory's own inputs, but for those that an option gave
    tree, known = directory_boot(source, needs_build="config" not in given)
    return tree, inputs | {name: value for name, value in known.items() if name not in given}


def is_directory(source: str) -> bool:
    """Whether a command's source can only be a state directory."""
    return source != "-" and Path(source).is_dir()


def directory_boot(source: str, *, needs_build: bool) -> tuple[str, dict[str, Any]]:
    """Return the tree of a state directory and the inputs that it says it was booted with. Raises InputError.

    `needs_build`: its build must be one that bootsim has, as no --config says another.
    """
    from bootsim.state.directory import StateDirectory
    from bootsim.state.fitting import known_build, no_build

    directory = StateDirectory(source)
    known = directory.inputs
    if needs_build:
        build = known_build(directory)
        if build is None:
            raise InputError(no_build(directory))
        known = known | {"config": build}
    click.echo(f"bootsim: {source}: told from a replay of its tree", err=True)
    return str(Path(source) / "boot.dtb"), known


def known_stage(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Pass the name of a stage, or say which are near it and what they all are; a click callback."""
    if value is None:
        return None
    from bootsim.stages import STAGES

    if value not in STAGES:
        import difflib

        close = [s for s in STAGES if value in s] or difflib.get_close_matches(value, STAGES, 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else "."
        raise click.BadParameter(
            f"no stage {value!r}{hint}\nThe stages, in order:\n" + "\n".join(f"  {s}" for s in STAGES)
        )
    return value


# ---------------------------------------------------------------- two boots side by side

FOR_BOTH = ("include_dirs", "allow_outside")  # how trees are read, whichever side's


def paired_input_options(function: _F) -> _F:
    """Give a click command every option that says what to boot; each may be given twice, for A and for B.

    Options of which one boot takes many hold for both.
    """
    return _with_params(function, [each if each.multiple else _twice(each) for each in _plain_options()])


def twice_input_options(function: _F) -> _F:
    """As `paired_input_options`, but that of --cpu and --soc too the first is for A and the second for B."""
    return _with_params(function, [each if each.name in FOR_BOTH else _twice(each) for each in _plain_options()])


def _with_params(function: _F, options: list[click.Option]) -> _F:
    function.__click_params__ = [*getattr(function, "__click_params__", []), *options]  # type: ignore[attr-defined]
    return function


def _twice(option: click.Option) -> click.Option:
    twice = copy.copy(option)
    twice.multiple, twice.default, twice.show_default = True, None, False
    twice.help = (option.help or "").removesuffix(" Repeatable.")
    return twice


def _plain_options() -> list[click.Option]:
    options: list[click.Option] = getattr(input_options(lambda: None), "__click_params__", [])
    return options


def paired_inputs(trees: tuple[str, ...], options: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return name, tree and arguments of bootsim.prepare() of the one or two boots that a command's options ask for.

    A state directory's boot is that of its tree, with the inputs that it names, but for the options that were given.
    """
    single = {option.name for option in _plain_options() if not option.multiple}
    given = {name: options[name] or () for name in INPUT_NAMES if name in single}
    many = next((name for name, values in given.items() if len(values) > 2), None)
    if many is not None or len(trees) > 2:
        what = "TREE" if many is None else f"--{many.replace('_', '-')}"
        times = len(trees if many is None else given[many])
        raise click.UsageError(f"{what} is given {times} times, expected one or two")
    count = max(len(trees), *map(len, given.values()))
    boots = []
    for side in range(count):
        chosen = {name: values[min(side, len(values) - 1)] if values else None for name, values in given.items()}
        words = [trees[min(side, len(trees) - 1)]]
        words += [f"--{name.replace('_', '-')} {_shown(name, chosen[name])}" for name in given if given[name]]
        defaults = {"config": "3G/1G", "bootloader": "none"}
        inputs = inputs_from({**options, **{name: chosen[name] or defaults.get(name) for name in given}})
        tree = words[0]
        if is_directory(tree):
            tree, inputs = _from_directory(tree, inputs, {name for name in INPUT_NAMES if options[name]})
        boots.append((" ".join(words), tree, inputs))
    return boots


def _shown(name: str, value: Any) -> str:
    # an option's value as it was given, as far as that can be told
    from bootsim.state.quantities import ram_text, size_text

    if isinstance(value, File):
        return str(value.path)
    if name in ("mem", "ram"):
        return size_text(value) if name == "mem" else ram_text(*value)
    if name.endswith("_addr"):
        return f"{value:#x}"
    return f'"{value}"' if " " in str(value) or value == "" else str(value)
