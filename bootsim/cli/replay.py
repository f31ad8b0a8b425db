"""`bootsim replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_HELP = """Replay a recording of a real kernel's memory traffic, and tell how many answers agree.

    RECORDING is a folder with boot.dtb, meta.json and mmtrace.bin.xz. The machine boots from the same tree; then the
    page allocator gets the recorded requests and answers them itself. The build is the one that meta.json names, in a
    folder builds/ above the recording, or --config.

    \b
    Examples:
      bootsim replay traces/kl-slub-256
      bootsim replay traces/kl-slub-256 --answers answers.bin --state end
      bootsim replay traces/kl-slub-256 --at 40000 --page 0x61930
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--config", metavar="BUILD", help="The kernel build, as for boot.")
@click.option("--answers", type=click.Path(path_type=Path), help="Write the records, with the replay's answers.")
@click.option("--state", type=click.Path(path_type=Path), help="Write the state at the end as a state directory.")
@click.option("--at", type=click.IntRange(0), help="Stop before this record.")
@click.option("--page", metavar="PFN", help="Tell what happened to a page frame.")
def replay(
    recording: Path, config: str | None, answers: Path | None, state: Path | None, at: int | None, page: str | None
) -> None:
    """Replay a recording; the help text is `_HELP`."""
    from bootsim import files
    from bootsim.errors import EXIT_DIFFERS, InputError
    from bootsim.inputs.configfile import load_build
    from bootsim.lab.recording import Recording
    from bootsim.lab.replay import PageReplay
    from bootsim.log import import_structlog_lazily
    from bootsim.state import directory
    from bootsim.state.snapshot import Stage

    import_structlog_lazily()
    try:
        pfn = None if page is None else int(page, 0)
    except ValueError:
        raise InputError(f"--page {page}: expected a page frame number") from None
    if state is not None:
        directory.check_target(state)
    found = Recording(recording)
    run = PageReplay(found, load_build(config) if config else None)
    total = len(run.records)
    run.run(at, _progress(total) if sys.stderr.isatty() else None)
    if answers is not None:
        files.write(answers, run.answers.tobytes())
    if state is not None:
        stage = Stage(found.last_stage, run.state(), None, None)
        directory.write(state, [stage], dtb=found.dtb.read_bytes(), dmesg="", meta={"recording": recording.name})
    right, asked, first = run.score()
    click.echo(f"{recording.name}: {right} of {asked} answers of pages agree, {run.at} of {total} records")
    if first is not None:
        record, real, ours = first
        click.echo(f"first difference: record {record}: {_words(real)} in the recording, {_words(ours)} here")
    if pfn is not None:
        click.echo("\n".join(run.life_of(pfn)) or f"nothing happened to page {pfn:#x}")
    if right != asked:
        sys.exit(EXIT_DIFFERS)


def _words(words: list[int]) -> str:
    return " ".join(f"{word:#x}" for word in words)


def _progress(total: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        click.echo(f"\r{done * 100 // total}%", nl=done >= total, err=True)

    return told
