"""`bootsim replay`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import SLAB_OPTION
from bootsim.cli.sizes import NUMBER, SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.inputs.build import KernelBuild
    from bootsim.lab.replay import PageReplay

_HELP = """Replay a recording of a real kernel's memory traffic, and tell how many answers agree.

    RECORDING is a folder with boot.dtb, meta.json and mmtrace.bin.xz. The machine boots from the same tree; then the
    page and slab allocators get the recorded requests and answer them themselves. The build is the one that meta.json
    names, in a folder builds/ above the recording, or --config. Of the first answer that differs the state before it is
    told: the lists that both answers were on, their pageblocks, the slab cache.

    Or RECORDING is a text trace of any system: kmem: events of `trace-cmd report` or of ftrace's trace file (also .gz,
    .xz, or - for standard input). What that system asked for is then put to the machine of --tree: what fails here, how
    low free memory falls, who holds what at the end. No frame is compared: such a trace lacks the state it began in.

    Or RECORDING is the folder of a process: console.log with its operations and marks.json (or .xz) with its address
    space between them. The replay starts from the first mark and makes the operations on a vexpress board with as much
    RAM; --answers writes the marks in the recording's form, --report a page of address spaces, faults, shared frames.

    \b
    Examples:
      bootsim replay processes/vm-3gh --config 3G/1G --answers marks.json
      bootsim replay traces/kl-slub-256
      bootsim replay traces/kl-slub-256 --answers answers.bin --state end
      bootsim replay traces/kl-slub-256 --at 40000 --page 0x61930
      bootsim replay traces/kl-slub-256 --object 0xc1805bc0 --json | jq .object
      bootsim replay traces/kl-slub-256 --report life.html --page 0x61930
      trace-cmd report -F kmem | bootsim replay - --tree board.dtb --mem 256M
      bootsim replay trace.txt --tree board.dtb --slab slob --object 0xc1a0adc0 --all
    """


_EXITS = ("Exit codes: 0 every answer agrees (of a text trace: every request was answered), 1 not, 2 bad input, 3 the "
          "kernel panicked at boot.")


@click.command(help=_HELP, epilog=_EXITS, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--config", metavar="BUILD", help="The kernel build, as for boot.")
@SLAB_OPTION
@click.option("--answers", type=click.Path(path_type=Path), help="Write the records, with the replay's answers.")
@click.option("--state", type=click.Path(path_type=Path), help="Write the state at the end as a state directory.")
@click.option("--at", type=click.IntRange(0), help="Stop before this record.")
@click.option("--page", type=NUMBER, metavar="PFN", help="Tell what happened to a page frame.")
@click.option("--object", "object_va", type=NUMBER, metavar="ADDR", help="Tell what happened to an object.")
@click.option("--tree", metavar="TREE", help="Of a text trace: the board it is put to.")
@click.option("--mem", type=SIZE, metavar="SIZE", help="Of a text trace: the board's amount of RAM.")
@click.option("--report", metavar="FILE", help="Of a recording: write a page of what became of it; --page is on it.")
@click.option("--json", "as_json", is_flag=True, help="Of a recording: print one JSON object.")
@click.option("--all", "everything", is_flag=True, help="Of a text trace: show every task and call site.")
def replay(
    recording: Path, config: str | None, slab: str | None, answers: Path | None, state: Path | None, at: int | None,
    page: int | None, object_va: int | None, tree: str | None, mem: int | None, as_json: bool, everything: bool,
    report: str | None,
) -> None:
    """Replay a recording; the help text is `_HELP`."""
    from bootsim import files
    from bootsim.errors import EXIT_DIFFERS, InputError
    from bootsim.lab.processrecording import is_process_recording
    from bootsim.log import import_structlog_lazily
    from bootsim.state import directory

    import_structlog_lazily()
    if state is not None:
        directory.check_target(state)
    if str(recording) != "-" and not recording.exists():
        raise InputError(f"{recording}: not there; expected a recording's folder, a text trace, or - for standard "
                         "input")
    if str(recording) == "-" or not recording.is_dir():
        from bootsim.cli.demand import replay_text

        _refuse("not for a text trace", {"--json": as_json, "--report": report, "--answers": answers})
        sys.exit(replay_text(recording, tree, config, slab, mem, state=state, at=at, page=page, object_va=object_va,
                             everything=everything))
    for file in (report, answers):
        if file is not None:
            files.target_of(file)
    if is_process_recording(recording):
        from bootsim.cli.demand import replay_process

        _refuse("not for the recording of a process", {
            "--json": as_json, "--state": state, "--at": at, "--page": page, "--object": object_va,
            "--tree": tree, "--mem": mem, "--all": everything})
        sys.exit(replay_process(recording, config, slab, answers, report))
    _refuse("only for a text trace; a recording has its own board",
            {"--tree": tree, "--mem": mem, "--all": everything})
    run = _run(recording, config, slab, at, page, report)
    if answers is not None:
        files.write(answers, run.answers.tobytes())
    if state is not None:
        _write_state(state, run, recording.name)
    lives = {name: told for name, told in (("page", None if page is None else run.life_of(page)),
                                           ("object", None if object_va is None else run.life_of_object(object_va)))
             if told is not None}
    agree = _tell(run, recording.name, lives, as_json=as_json)
    if not as_json:
        for name, told in lives.items():
            which = f"{page if name == 'page' else object_va:#x}"
            click.echo("\n".join(told) or f"nothing happened to {name} {which}")
    if not agree:
        sys.exit(EXIT_DIFFERS)


def _refuse(why: str, options: dict[str, Any]) -> None:
    # the first of the options that was given
    from bootsim.errors import InputError

    given = next((name for name, value in options.items() if value is not None and value is not False), None)
    if given is not None:
        raise InputError(f"{given}: {why}")


def _run(recording: Path, config: str | None, slab: str | None, at: int | None, page: int | None,
         report: str | None) -> PageReplay:  # fmt: skip
    from bootsim.inputs.configfile import load_build
    from bootsim.lab.recording import Recording
    from bootsim.lab.replay import PageReplay

    found = Recording(recording)
    build = load_build(config) if config else found.build()
    run = PageReplay(found, build if slab is None else _with_slab(build, slab))
    for note in run.notes:
        click.echo(f"bootsim: {note}", err=True)
    progress = _progress(len(run.records)) if sys.stderr.isatty() else None
    if report is None:
        run.run(at, progress)
    else:
        _write_report(report, run, at, page, recording.resolve().name, progress)
    return run


def _write_state(state: Path, run: PageReplay, name: str) -> None:
    from bootsim.reading import read_file
    from bootsim.state import directory
    from bootsim.state.snapshot import Stage

    found = run.recording
    stage = Stage(found.last_stage, run.state(), None, None)
    dtb = read_file(found.dtb, "a device tree blob")
    directory.write(state, [stage], dtb=dtb, dmesg="", meta={"recording": name}, objects=run.caches())


def _with_slab(build: KernelBuild, slab: str) -> KernelBuild:
    # told here: a replay does not show the log
    from bootsim.escape import printable
    from bootsim.inputs.slabchoice import what_follows, with_slab

    changed = with_slab(build, slab)
    if changed is not build:
        for what in what_follows(build, changed):
            click.echo(printable(f"bootsim: --slab {slab}: {what}"), err=True)
    return changed


def _tell(run: PageReplay, name: str, lives: dict[str, list[str]], *, as_json: bool) -> bool:
    # how many answers agree, and the first that does not; whether all do
    from bootsim.lab.divergence import around
    from bootsim.views.divergence import lines

    right, asked, first = run.score()
    total = len(run.records)
    found = None if first is None else around(run.recording, run.k.build, *first)
    if as_json:
        click.echo(json.dumps({"recording": name, "agree": right, "answers": asked, "replayed": run.at,
                               "records": total, "untold": run.untold(), "first_difference": found, **lives}))
    else:
        click.echo(f"{name}: {right} of {asked} answers agree, {run.at} of {total} records")
        click.echo("".join(f"{line}\n" for line in run.untold()), nl=False)
        if first is not None and found is not None:
            record, real, ours = first
            click.echo(f"first difference: record {record}: {_words(real)} in the recording, {_words(ours)} here")
            click.echo("\n".join(lines(found)))
    return right == asked


def _write_report(file: str, run: PageReplay, at: int | None, page: int | None, name: str,
                  progress: Callable[[int], None] | None) -> None:  # fmt: skip
    # the replay runs here, and is looked at on the way
    from bootsim import files
    from bootsim.lab.life import follow
    from bootsim.views.report import life

    seen = follow(run, at, [] if page is None else [page], progress)
    files.write(file, life.render(run, seen, name))


def _words(words: list[int]) -> str:
    return " ".join(f"{word:#x}" for word in words)


def _progress(total: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        click.echo(f"\r{done * 100 // total}%", nl=done >= total, err=True)

    return told
