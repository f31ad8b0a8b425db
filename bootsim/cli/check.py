"""`bootsim check`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.matrix import machine_options, with_machine
from bootsim.cli.output import LineOutput
from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.sweep.checkfile import Boot
    from bootsim.sweep.checks import Report

_HELP = """Boot what the files say and hold the boots against what they expect.

    A check file (*.bootsim.yaml) names trees, builds, memory sizes and command lines, and what must hold of every boot:

    \b
      boots:
        - tree: board.dts
          mem: [512M, 1G]
      expect:
        - lowmem >= 500M
        - cma.default.base in 0x60000000-0x9fffffff
        - no overlap and no warning

    docs/ci.md has the whole language. --ram, --cpu and --soc hold for all boots, in place of the files' own; whether a
    tree may take in files from anywhere (--allow-outside) no file can say. With --names, the quantities of the first
    boot are listed instead.

    \b
    Examples:
      bootsim check board.bootsim.yaml
      bootsim check *.bootsim.yaml --junit results.xml --github
      bootsim check board.bootsim.yaml --names
      bootsim check board.bootsim.yaml --ram 1G --soc scu=0x1e000000

    \b
    Exit codes: 0 all hold, 1 some do not, 2 bad input: a check file, or a tree or build that cannot be booted.
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, metavar="FILE.yaml...")
@click.option("--junit", metavar="FILE", help="Write a JUnit XML file as well.")
@click.option("--github", is_flag=True, help="Print annotations for GitHub as well, at lines of the tree.")
@click.option("-v", "--verbose", is_flag=True, help="Show what holds, too.")
@click.option("--names", is_flag=True, help="List the quantities of the first boot, with their values, and stop.")
@machine_options
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Boots at a time.  [default: the processors]")
@click.pass_context
def check(
    ctx: click.Context, /, files: tuple[str, ...], junit: str | None, github: bool, verbose: bool, names: bool,
    jobs: int | None, **options: Any,
) -> None:  # fmt: skip
    """Check files; the help text is `_HELP`."""
    from bootsim.files import target_of, write
    from bootsim.log import import_structlog_lazily
    from bootsim.sweep import checks, reports

    import_structlog_lazily()
    if junit is not None:
        target_of(junit)
    boots = [boot._replace(case=with_machine(boot.case, options)) for boot in _read(files)]
    if names:
        _list_names(boots[0])
        return
    found = _run(boots, jobs)
    output = LineOutput()
    output.write(reports.text(found, verbose=verbose))
    if github:
        output.write(reports.github(found))
    if junit is not None:
        write(junit, reports.junit(found, " ".join(files)))
    checks.refuse_unknown_names(found)
    ctx.exit(checks.exit_code(found))


def _read(files: tuple[str, ...]) -> list[Boot]:
    # the boots of all files, or all that is wrong with any of them
    from bootsim.sweep.checkfile import read

    boots: list[Boot] = []
    errors = []
    for file in files:
        try:
            boots += read(file).boots
        except InputError as error:
            errors.append(str(error))
    if errors:
        raise InputError("\n".join(errors))
    return boots


def _run(boots: list[Boot], jobs: int | None) -> list[Report]:
    from bootsim.sweep import checks, pool

    # a few boots are done before other processes would have begun
    jobs = jobs or (pool.processors() if len(boots) > 8 else 1)
    done = pool.run(checks.check, boots, jobs=jobs, crashed=checks.lost)
    return [report for _, report in sorted(done, key=lambda each: each[0])]


def _list_names(boot: Boot) -> None:
    from bootsim.sweep import worker

    outcome = worker.boot(boot.case, stages=True)
    if outcome.kernel is None:
        raise InputError(f"{boot.case.title()}: {outcome.message}")
    quantities = worker.quantities(outcome.kernel)
    names = dict.fromkeys(quantities.names())
    lines = (f"  {name:32} {quantities.shown(name)}  ({quantities.unit(name)})" for name in names)
    LineOutput().write(itertools.chain([boot.case.title()], lines))
