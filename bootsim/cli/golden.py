"""`bootsim golden`."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.matrix import cases_from, matrix_options
from bootsim.cli.output import LineOutput
from bootsim.errors import EXIT_BAD_INPUT, EXIT_DIFFERS, InputError
from bootsim.files import told, write
from bootsim.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bootsim.state.golden import Recorded
    from bootsim.sweep.case import Case

_HELP = """Record boots as text, and tell what has changed since.

    Each boot becomes one text file that diffs well: inputs, log, memblock, zones, CMA areas, layout, digest. Keep the
    folder in git; `verify` boots every file's inputs again and prints what differs. Why, it cannot measure: a recorded
    boot names its inputs and does not keep them. `bootsim diff` of the tree before and after does.

    \b
    Examples:
      bootsim golden record boots board.dts --mem 512M --mem 1G
      bootsim golden verify boots
      bootsim golden record boots              record anew all that the folder holds

    \b
    Exit codes: 0 recorded, or nothing has changed, 1 something has, 2 bad input; verify goes on to the last boot.
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
        cases = _places(target, cases_from(trees, options))
    else:
        cases = {file: _recorded(file)[0] for file in _files(target)}
    texts = {file: _replay(case, file) for file, case in cases.items()}
    with told(folder):
        target.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        same = file.is_file() and file.read_bytes() == text.encode()
        if not same:
            write(file, text)
        click.echo(f"{'same    ' if same else 'recorded'} {file}")


@golden.command()
@click.argument("folder", metavar="DIR")
@click.pass_context
def verify(ctx: click.Context, folder: str) -> None:
    """Boot again what DIR holds and print what differs."""
    changed, failed, output = 0, 0, LineOutput()
    files = _files(Path(folder))
    for file in files:
        try:
            lines = _differences(file)
        except InputError as error:
            failed += 1
            output.write([f"ERROR   {file}", *(f"  {line}" for line in str(error).split("\n"))])
            continue
        changed += bool(lines)
        output.write([f"{'CHANGED' if lines else 'same   '} {file}", *lines])
    words = f", {failed} could not be verified" if failed else ""
    output.write([f"{len(files)} recorded boots: {len(files) - changed - failed} same, {changed} changed{words}"])
    if changed:
        output.write(["Causes are not measured: a recorded boot names its inputs and does not keep them. Where a tree "
                      "or build has changed, bootsim diff OLD NEW tells them; where none has, bootsim has changed."])
    ctx.exit(EXIT_BAD_INPUT if failed else EXIT_DIFFERS if changed else 0)


def _differences(file: Path) -> list[str]:
    from bootsim.state.golden import differences

    case, recorded = _recorded(file)
    return differences(recorded, _replay(case, file), str(file))


def _files(folder: Path) -> list[Path]:
    from bootsim.state.golden import SUFFIX

    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise InputError(f"{folder}: no recorded boots (*{SUFFIX})")
    return files


def _places(folder: Path, cases: Iterable[Case]) -> dict[Path, Case]:
    """Return the file of each case: that which holds it already, or a free one. No two cases share one."""
    from bootsim.state.golden import SUFFIX

    found: dict[Path, Case] = {}
    for case in dict.fromkeys(cases):
        plain = folder / (_name(case) + SUFFIX)
        inputs = _inputs(case, plain)
        mark = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:8]
        marked = folder / f"{_name(case)}-{mark}{SUFFIX}"
        mine = [file for file in (plain, marked) if file.exists() and _recorded(file)[1].inputs == inputs]
        free = [file for file in (plain, marked) if file not in found and not file.exists()]
        found[(mine or free or [marked])[0]] = case
    return found


def _name(case: Case) -> str:
    # readable; boots that differ in more than that share it
    from bootsim.state.quantities import size_text

    words = [Path(case.tree).stem, Path(case.config).stem if case.config.endswith(".yaml") else case.config]
    words += [size_text(case.mem)] if case.mem is not None else []
    words += [f"smp{case.smp}"] if case.smp is not None else []
    words += [case.bootloader] if case.bootloader != "none" else []
    rest: list[Any] = [case.cmdline, case.dtb_addr, case.load_addr, case.initrd, case.initrd_addr, case.include_dirs]
    if case.ram is not None or case.cpu or case.soc:
        rest += [case.ram, case.ram_addr, case.cpu, case.soc]
    rest += [value for value in (case.uboot, case.atags, case.efi_memmap) if value]
    if any(value not in (None, ()) for value in rest):
        words.append(hashlib.sha256(repr(tuple(rest)).encode(errors="surrogateescape")).hexdigest()[:8])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-").lower() for word in words)


def _recorded(file: Path) -> tuple[Case, Recorded]:
    from bootsim.state.golden import load
    from bootsim.state.shapes import ShapeError
    from bootsim.sweep.case import from_json

    try:
        with told(file):
            content = read_file(file, "a recorded boot").decode()
        recorded = load(content.replace("\r\n", "\n"), str(file))
        case = from_json(_moved(recorded.inputs, lambda path: os.path.normpath(file.parent / path)), "[inputs]")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None
    except ShapeError as error:
        raise InputError(f"{file}: {error}") from None
    return case, recorded


def _replay(case: Case, file: Path) -> str:
    from bootsim.state.golden import dump
    from bootsim.sweep.worker import boot, quantities

    outcome = boot(case, stages=True)
    if outcome.kernel is None:
        raise InputError(f"{case.title()}: {outcome.message}")
    return dump(outcome.kernel, _inputs(case, file), str(quantities(outcome.kernel).value("digest")))


def _inputs(case: Case, file: Path) -> dict[str, Any]:
    # files are named relative to the recorded boot, so that a clone elsewhere finds them
    return _moved(case.to_json(), lambda path: os.path.relpath(path, file.parent))


def _moved(inputs: dict[str, Any], move: Callable[[str], str]) -> dict[str, Any]:
    moved = dict(inputs)
    for name in ("tree", "config", "initrd", "efi_memmap"):
        path = inputs.get(name)
        if isinstance(path, str) and (_is_file(path) or _is_file(move(path))):
            moved[name] = move(path)
    folders = inputs.get("include_dirs")
    if isinstance(folders, list):
        moved["include_dirs"] = [move(each) if isinstance(each, str) else each for each in folders]
    return moved


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
