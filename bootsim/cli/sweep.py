"""`bootsim sweep`."""

from __future__ import annotations

import contextlib
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bootsim.cli.matrix import cases_from, matrix_options, with_machine
from bootsim.cli.output import LineOutput
from bootsim.errors import EXIT_INTERRUPTED, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.sweep.case import Case
    from bootsim.sweep.find import Found
    from bootsim.sweep.results import ResultFile

_HELP = """Boot every combination of trees, builds, memory sizes, command lines and processors.

    TREE is as for `bootsim boot`; options that take one value there may be given many times here. Boots run on all
    processors. Standard output gets a table; -o gets a JSON object a line, written as each boot is done. What panics or
    cannot be booted is a verdict, not the end of the sweep.

    \b
    Examples:
      bootsim sweep board.dts --config 3G/1G --config 2G/2G --mem 256M-1G:64M -o results.jsonl
      bootsim sweep board.dts --mem 256M-1G:64M -o results.jsonl --resume
      bootsim sweep board.dts --mem 512M --mem 1G --ram 1G --soc scu=0x1e000000
      bootsim sweep --from sweep.yaml --quantity zone.Normal.managed
      bootsim sweep board.dts --mem 1G --find "lowmem >= 760M" --tip vmalloc=

    \b
    Exit codes: 0 every boot went well (with --find: the search is done), 2 bad input, or some could not be made,
    3 some panicked, 130 interrupted: what is done is in the file, and --resume goes on.
    """


_OF_A_FILE = ("configs", "mems", "cmdlines", "smps", "bootloader", "uboot", "atags", "efi_memmap", "dtb_addr",
              "load_addr", "initrd", "include_dirs")  # fmt: skip


def _span(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    from bootsim.sizes import parse_number

    if text is None:
        return None
    low, dash, high = text.partition("-")
    try:
        span = parse_number(low), parse_number(high)
    except ValueError:
        raise click.BadParameter(f"{text!r}, expected two sizes such as 16M-1G", ctx, param) from None
    if not dash or span[0] >= span[1]:
        raise click.BadParameter(f"{text!r}, expected a smaller and a larger size", ctx, param)
    return span


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("trees", nargs=-1, metavar="[TREE]...")
@matrix_options
@click.option("--from", "source", metavar="FILE.yaml", help="Take the boots from a file (`boots:` as in a check file).")
@click.option("--quantity", "quantities", multiple=True, metavar="NAME", help="One more column; repeatable.")
@click.option("-o", "--output", metavar="FILE", help="Append the results to FILE, a JSON object a line.")
@click.option("--resume", is_flag=True, help="Go on with FILE: boots whose results it holds are not made again.")
@click.option("--table/--no-table", default=True, help="Whether to print the table.  [default: table]")
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Boots at a time.  [default: the processors]")
@click.option("--timeout", type=click.FloatRange(min=0), default=60, show_default=True, metavar="SECONDS",
              help="Longest a boot may take; 0: as long as it likes.")  # fmt: skip
@click.option("--progress/--no-progress", "progress", default=True, help="Whether to tell progress on standard error.")
@click.option("--dask", metavar="SCHEDULER", help="Boot on a dask cluster, tcp://HOST:8786 (needs bootsim[dask]).")
@click.option("--find", "find_text", metavar="EXPRESSION", help="Search for where this begins or ceases to hold.")
@click.option("--tip", metavar="mem|OPTION=", help="With --find: what to vary: mem, vmalloc=, cma=, another option.")
@click.option("--between", callback=_span, metavar="LOW-HIGH", help="With --find: the sizes to search.")
@click.option("--step", type=click.IntRange(1), metavar="BYTES",
              help="With --find: the finest difference that matters.  [default: 1; 4096 for mem]")  # fmt: skip
@click.option("--samples", type=click.IntRange(2, 10000), default=64, show_default=True, metavar="N",
              help="With --find: points tried before bisection; a flip and its reverse between two of them are not "
              "seen.")  # fmt: skip
@click.pass_context
def sweep(ctx: click.Context, /, trees: tuple[str, ...], **options: Any) -> None:
    """Run a sweep; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily

    import_structlog_lazily()
    cases, names = _what(ctx, trees, options)
    with _terminated_as_interrupted():
        try:
            code = _find(ctx, cases, options) if options["find_text"] else _sweep(cases, names, options)
        except KeyboardInterrupt:
            again = "; --resume goes on" if options["output"] else ""
            click.echo(f"bootsim: interrupted{again}", err=True)
            code = EXIT_INTERRUPTED
    ctx.exit(code)


def _what(ctx: click.Context, trees: tuple[str, ...], options: dict[str, Any]) -> tuple[list[Case], tuple[str, ...]]:
    from bootsim.sweep.worker import COLUMNS

    for name in ("tip", "between"):
        if options[name] and not options["find_text"]:
            ctx.fail(f"--{name} is for --find")
    if options["resume"] and not options["output"]:
        ctx.fail("--resume needs -o FILE")
    if bool(trees) == bool(options["source"]):
        ctx.fail("expected trees, or --from FILE.yaml, and not both")
    if not options["source"]:
        return cases_from(trees, options), (*COLUMNS, *options["quantities"])
    from bootsim.sweep.checkfile import read

    given = [name for name in _OF_A_FILE if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        ctx.fail("--from FILE.yaml says what to boot; of the options that do, only --ram, --cpu, --soc and "
                 "--allow-outside go with it")  # fmt: skip
    file = read(options["source"], what="a sweep's file")
    cases = [with_machine(boot.case, options) for boot in file.boots]
    return cases, (*COLUMNS, *file.quantities, *options["quantities"])


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    # `kill` ends a sweep as Ctrl-C does
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# -------------------------------------------------------------------- a matrix


def _sweep(cases: list[Case], names: tuple[str, ...], options: dict[str, Any]) -> int:
    from bootsim.sweep.case import fingerprints
    from bootsim.sweep.results import ResultFile, refuse_unknown, table
    from bootsim.sweep.worker import exit_code

    cases = list(dict.fromkeys(cases))
    prints = dict(zip(cases, fingerprints(cases), strict=True))
    results: dict[Case, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        file = None
        if options["output"]:
            file = stack.enter_context(ResultFile(options["output"], resume=options["resume"]))
            results = {case: file.done[case] for case in cases if _current(file.done.get(case), prints[case], names)}
        todo = [case for case in cases if case not in results]
        for case, result in _results(todo, names, options):
            results[case] = {**result, "inputs": prints[case]}
            if file is not None:
                file.add(results[case])
    rows = [results[case] for case in cases]
    if options["table"]:
        LineOutput().write(table(rows, names))
    refuse_unknown(rows, names)
    return exit_code(row["verdict"] for row in rows)


def _current(result: dict[str, Any] | None, inputs: str, names: tuple[str, ...]) -> bool:
    return result is not None and result.get("inputs") == inputs and set(names) <= set(result["values"])


def _results(todo: list[Case], names: tuple[str, ...], options: dict[str, Any]) -> Iterator[tuple[Case, Any]]:
    from bootsim.sweep import pool
    from bootsim.sweep.progress import Progress
    from bootsim.sweep.worker import FAILED, lost, measure

    if options["dask"]:
        from bootsim.sweep import cluster

        done = cluster.run(todo, options["dask"], names) if todo else iter(())
    else:
        function = partial(measure, names=names, timeout_s=options["timeout"])
        done = pool.run(function, todo, jobs=options["jobs"] or pool.processors(), crashed=partial(lost, names=names))
    progress = Progress(len(todo), shown=options["progress"])
    interrupted = True
    try:
        for index, result in done:
            yield todo[index], result
            progress.add(failed=result["verdict"] in FAILED)
        interrupted = False
    finally:
        progress.finish("stopped at " if interrupted else "")


# -------------------------------------------------------------------- a search


def _find(ctx: click.Context, cases: list[Case], options: dict[str, Any]) -> int:
    from bootsim.state.expressions import ExpressionError, parse
    from bootsim.sweep import find, pool

    if not options["tip"]:
        ctx.fail("--find needs --tip: mem, vmalloc=, cma= or another option of the kernel's that takes a size")
    tip: str = options["tip"]
    if tip != "mem" and not (tip.endswith("=") and len(tip) > 1 and " " not in tip):
        ctx.fail(f"--tip {tip!r}: expected mem, or an option with its =, such as vmalloc=")
    span = options["between"] or find.RANGES.get(tip)
    if span is None:
        ctx.fail(f"--tip {tip} needs --between LOW-HIGH")
    try:
        expression = parse(options["find_text"])
    except ExpressionError as error:
        raise InputError(f"--find {options['find_text']!r}: column {error.column + 1}: {error}") from None
    step = options["step"] or find.STEPS.get(tip, 1)
    search = partial(find.search, tip=tip, span=span, text=expression.text, step=step, samples=options["samples"])
    with contextlib.ExitStack() as stack:
        file = _search_file(options, stack)
        done = pool.run(search, cases, jobs=options["jobs"] or pool.processors(), crashed=find.lost)
        found = {}
        for index, answer in done:
            found[index] = answer
            if file is not None:
                file.add(find.to_json(cases[index], tip, expression.text, answer))
    output = LineOutput()
    for index, answer in sorted(found.items()):
        output.write(_told(cases[index], tip, expression.text, answer))
    return 0


def _search_file(options: dict[str, Any], stack: contextlib.ExitStack) -> ResultFile | None:
    from bootsim.sweep.results import ResultFile

    if options["resume"]:
        raise InputError("--resume goes on with a matrix; a search begins anew")
    return stack.enter_context(ResultFile(options["output"], resume=False)) if options["output"] else None


def _told(case: Case, tip: str, expression: str, found: Found) -> Iterator[str]:
    from bootsim.state.quantities import size_text

    yield f"{case.title()}: {expression}"
    start, answer = found.low, found.at_low
    name = tip if tip.endswith("=") else f"{tip}="
    for flip in (*found.flips, None):
        end = flip.last if flip is not None else found.high
        shown = f"{name}{size_text(start)}" if start == end else f"{name}{size_text(start)} to {size_text(end)}"
        shown += f"  ({start:#x}-{end:#x})"
        nearest = flip.before.reason if flip is not None and not flip.before.holds else answer.reason
        yield f"  {shown}: {'holds' if answer.holds else f'does not hold: {nearest}'}"
        if flip is not None:
            start, answer = flip.first, flip.after
