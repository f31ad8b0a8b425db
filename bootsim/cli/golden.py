"""`bootsim golden`."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.matrix import cases_from, matrix_options
from bootsim.cli.output import LineOutput
from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.sweep.case import Case

EXIT_CHANGED = 1

_HELP = """Record boots as text, and tell what has changed since.

    Each boot becomes one text file that diffs well: inputs, log, memblock, zones, CMA areas, layout, digest. Keep the
    folder in git; `verify` boots every file's inputs again and prints what differs.

    \b
    Examples:
      bootsim golden record boots board.dts --mem 512M --mem 1G
      bootsim golden verify boots
      bootsim golden record boots              record anew all that the folder holds

    \b
    Exit codes: 0 recorded, or nothing has changed, 1 something has, 2 bad input.
    """


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def golden() -> None:
    """Hold the two commands; the help text is `_HELP`."""


@golden.command()
@click.argument("folder", metavar="DIR")
@click.argument("trees", nargs=-1, metavar="[TREE]...")
@matrix_options
def record(folder: str, trees: tuple[str, ...], **options: Any) -> None:
    """Record every combination of the inputs in DIR; without a TREE, record anew what DIR holds."""
    target = Path(folder)
    if trees:
        cases = {target / _name(case): case for case in cases_from(trees, options)}
    else:
        cases = {file: _recorded(file)[0] for file in _files(target)}
    texts = {file: _replay(case, file) for file, case in cases.items()}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            same = file.exists() and file.read_text(encoding="utf-8") == text
            if not same:
                file.write_text(text, encoding="utf-8")
            click.echo(f"{'same    ' if same else 'recorded'} {file}")
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None


@golden.command()
@click.argument("folder", metavar="DIR")
@click.pass_context
def verify(ctx: click.Context, folder: str) -> None:
    """Boot again what DIR holds and print what differs."""
    from bootsim.state.golden import differences

    changed, output = 0, LineOutput()
    files = _files(Path(folder))
    for file in files:
        case, recorded = _recorded(file)
        lines = differences(recorded, _replay(case, file), str(file))
        changed += bool(lines)
        output.write([f"{'CHANGED' if lines else 'same   '} {file}", *lines])
    output.write([f"{len(files)} recorded boots: {len(files) - changed} same, {changed} changed"])
    ctx.exit(EXIT_CHANGED if changed else 0)


def _files(folder: Path) -> list[Path]:
    from bootsim.state.golden import SUFFIX

    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise InputError(f"{folder}: no recorded boots (*{SUFFIX})")
    return files


def _name(case: Case) -> str:
    # readable, and different for different inputs
    from bootsim.state.golden import SUFFIX
    from bootsim.state.quantities import size_text

    words = [Path(case.tree).stem, Path(case.config).stem if case.config.endswith(".yaml") else case.config]
    words += [size_text(case.mem)] if case.mem is not None else []
    words += [f"smp{case.smp}"] if case.smp is not None else []
    words += [case.bootloader] if case.bootloader != "none" else []
    rest = (case.cmdline, case.dtb_addr, case.load_addr, case.initrd, case.initrd_addr, case.include_dirs)
    if any(value not in (None, ()) for value in rest):
        words.append(hashlib.sha256(repr(rest).encode(errors="surrogateescape")).hexdigest()[:8])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-").lower() for word in words) + SUFFIX


def _recorded(file: Path) -> tuple[Case, Any]:
    from bootsim.state.golden import load
    from bootsim.sweep.case import from_json

    try:
        recorded = load(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None
    try:
        case = from_json(_moved(recorded.inputs, lambda path: os.path.normpath(file.parent / path)))
    except TypeError as error:
        raise InputError(f"{file}: its [inputs]: {error}") from None
    return case, recorded


def _replay(case: Case, file: Path) -> str:
    # files are named relative to the recorded boot, so that a clone elsewhere finds them
    from bootsim.state.golden import dump
    from bootsim.sweep.worker import boot, quantities

    outcome = boot(case, stages=True)
    if outcome.kernel is None:
        raise InputError(f"{case.title()}: {outcome.message}")
    inputs = _moved(case.to_json(), lambda path: os.path.relpath(path, file.parent))
    return dump(outcome.kernel, inputs, str(quantities(outcome.kernel).value("digest")))


def _moved(inputs: dict[str, Any], move: Any) -> dict[str, Any]:
    moved = dict(inputs)
    for name in ("tree", "config", "initrd"):
        if name in inputs and (Path(inputs[name]).is_file() or Path(move(inputs[name])).is_file()):
            moved[name] = move(inputs[name])
    if "include_dirs" in inputs:
        moved["include_dirs"] = [move(folder) for folder in inputs["include_dirs"]]
    return moved
