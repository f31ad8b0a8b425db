"""`bootsim compare`."""

from __future__ import annotations

import json

import click

from bootsim.errors import EXIT_DIFFERS

_HELP = """Hold a replayed boot against a real one, and say how far they agree.

    REAL is a state directory captured from a real boot, or a plain log: what a serial console or dmesg showed, with or
    without timestamps. REPLAY is a state directory that `bootsim boot --state` wrote. Each row compares one thing: the
    log lines, memblock at a stage, the words of the page tables, zones, the free lists in list order.

    \b
    Examples:
      bootsim boot board.dtb --config mine.yaml --state replay -q
      bootsim compare capture replay
      bootsim compare serial.log replay --show 20
      bootsim compare capture replay --json | jq '.rows[] | select(.matched != .total)'
    """


@click.command(help=_HELP, epilog="Exit codes: 0 all agrees, 1 something differs, 2 bad input.",
               context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("real", metavar="REAL")
@click.argument("replay", metavar="REPLAY")
@click.option("--show", type=click.IntRange(0), default=8, show_default=True, metavar="N",
              help="Differences to print for a row.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every row and difference.")
@click.pass_context
def compare(ctx: click.Context, real: str, replay: str, show: int, as_json: bool) -> None:
    """Compare two boots; the help text is `_HELP`."""
    from bootsim.state.compare import compare as rows_of
    from bootsim.state.compare import hints
    from bootsim.state.directory import open_boot, open_replay

    boots = open_boot(real), open_replay(replay)
    rows = list(rows_of(*boots))
    matched, total = sum(row.matched for row in rows), sum(row.total for row in rows)
    if as_json:
        click.echo(json.dumps({"matched": matched, "total": total, "rows": [row._asdict() for row in rows]}))
    else:
        for row in rows:
            click.echo(f"{'ok  ' if row.ok else 'DIFF'} {row.name}: {row.matched}/{row.total}")
            for difference in row.differences[:show]:
                click.echo(f"       {difference}")
        click.echo(f"score: {matched}/{total}")
    if matched != total:
        for hint in hints(*boots):
            click.echo(f"bootsim: hint: {hint}", err=True)
    ctx.exit(0 if matched == total else EXIT_DIFFERS)
