"""`bootsim replay` of a text trace, and of a process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bootsim.cli.booting import tell_prepared
from bootsim.errors import EXIT_DIFFERS, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from bootsim.lab.processreplay import ProcessReplay


def replay_text(
    path: Path, tree: str | None, config: str | None, slab: str | None, mem: int | None, *, state: Path | None,
    at: int | None, page: int | None, object_va: int | None, everything: bool,
) -> int:
    """Put the demand of a text trace to the machine of a tree, tell how it went; returns the exit code.

    Raises InputError, and KernelPanic when the machine does not boot.
    """
    import bootsim
    from bootsim.lab.demand import Demand
    from bootsim.lab.texttrace import TextTrace
    from bootsim.stages import STAGES
    from bootsim.state import directory
    from bootsim.state.snapshot import Stage, page_tables, zones
    from bootsim.views import demand as view
    from bootsim.views.dmesg import console

    if tree is None:
        raise InputError(f"{path}: a text trace does not say on which machine; expected --tree TREE, and --config")
    k = bootsim.prepare(tree, config=config or "3G/1G", slab=slab, mem=mem)
    tell_prepared(k)
    blob = k.machine.ram.read(k.machine.dtb_pa, int.from_bytes(k.machine.ram.read(k.machine.dtb_pa + 4, 4), "big"))
    bootsim.run(k)
    demand = Demand(k, TextTrace(path), page=page, object_va=object_va)
    terminal = sys.stderr.isatty()
    demand.run(at, (lambda done: click.echo(f"\r{done} events", nl=False, err=True)) if terminal else None)
    if terminal:
        click.echo("\r\033[K", nl=False, err=True)
    if state is not None:
        tables, l1, l2 = page_tables(k)
        end = Stage(list(STAGES)[-1], {"zones": zones(k), "tables": tables}, l1, l2)
        directory.write(state, [end], dtb=blob, dmesg=console(k), meta={"build": k.build.name, "trace": path.name})
    click.echo("\n".join(view.lines(demand, everything=everything)))
    asked = [f"page {page:#x}"] if page is not None else []
    asked += [f"object {object_va:#010x}"] if object_va is not None else []
    if asked:
        click.echo("\n".join(demand.life) or f"nothing happened to {' or '.join(asked)}")
    return EXIT_DIFFERS if demand.refused_here else 0


def _write_report(file: str, replay: ProcessReplay, name: str) -> None:
    # the operations are made here, and looked at on the way
    from bootsim import files
    from bootsim.lab.processlife import follow
    from bootsim.views.report import processlife

    life = follow(replay)
    files.write(file, processlife.render(replay, life, name))


def replay_process(path: Path, config: str | None, slab: str | None, answers: Path | None, report: str | None) -> int:
    """Replay the recording of a process, tell how much of it agrees; returns the exit code.

    Raises InputError, and KernelPanic when the machine does not boot.
    """
    import json

    import bootsim
    from bootsim import files
    from bootsim.lab.processrecording import ProcessRecording
    from bootsim.lab.processreplay import ProcessReplay

    recording = ProcessRecording(path)
    k = bootsim.prepare("vexpress.dts", config=config or "3G/1G", slab=slab, mem=recording.ram_bytes,
                        smp=recording.cpus, cmdline="norandmaps")
    tell_prepared(k)
    bootsim.run(k)
    replay = ProcessReplay(recording, k)
    for note in replay.notes:
        click.echo(f"bootsim: {note}", err=True)
    if report is None:
        replay.run()
    else:
        _write_report(report, replay, path.resolve().name)
    if answers is not None:
        files.write(answers, json.dumps(replay.marks).encode())
    agree, total = replay.mappings()
    same, entries = replay.entries()
    click.echo(f"{path.name}: {replay.agree} of {replay.asked} answers agree; {agree} of {total} mappings and {same} "
               f"of {entries} page table entries at {len(replay.marks) - 1} marks")
    if replay.taken:
        click.echo(f"{replay.taken} pages of the program's own code are mapped because the marks have them: "
                   "no operation tells which code it ran")
    for fd in sorted(recording.read_only):
        click.echo(f"{recording.files.get(fd, fd)} was opened for reading only, as a mapping tells that was "
                   "refused or may never be writable")
    if replay.first is not None:
        words, got = replay.first
        click.echo(f"first difference: {json.dumps(words)}: here {got}")
    return EXIT_DIFFERS if (replay.agree, agree, same) != (replay.asked, total, entries) else 0
