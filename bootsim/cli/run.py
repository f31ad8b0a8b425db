"""`bootsim run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.booting import hardware, received_tree, tell_prepared, write_state
from bootsim.cli.inputs import input_options
from bootsim.cli.values import prepare_from

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_HELP = """Boot TREE and run SCRIPT, a Python file, in the surroundings of `bootsim shell`.

    Its assertions are its answer: the first that does not hold is told with its line, and the exit code is 1. A mistake
    in the script is bad input (2). pytest collects scripts whose names end in .bootsim.py; their first line names tree
    and options: `# bootsim: vexpress.dts --mem 1G`.

    \b
    Examples:
      bootsim run vexpress.dts leak.bootsim.py --mem 1G
      bootsim run board.dtb traffic.py --state after
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tree", metavar="TREE")
@click.argument("script", metavar="SCRIPT")
@input_options
@click.option("--state", metavar="DIR", help="Write a state directory; what the script leaves is its stage `end`.")
def run(tree: str, script: str, *, state: str | None, **options: Any) -> None:
    """Run a script; the help text is `_HELP`."""
    import bootsim
    from bootsim.lab.script import Script
    from bootsim.lab.session import Session
    from bootsim.log import import_structlog_lazily
    from bootsim.state.directory import check_target
    from bootsim.state.recorder import Recorder
    from bootsim.views import alive

    import_structlog_lazily()
    if state is not None:
        check_target(state)
    work = Script(script)
    recorder = None if state is None else Recorder()
    k = prepare_from(tree, options, observer=recorder)
    tell_prepared(k)
    blob = received_tree(k)
    bootsim.run(k)
    session = Session(k, alive.text)
    try:
        work.run(session)
    finally:
        if state is not None and recorder is not None:
            stages = [*recorder.stages.values(), _end(session.k)]
            how = {"until": None, "panic": None, "script": script, **hardware(options)}
            write_state(state, session.k, blob, stages, how)


def _end(k: Kernel) -> Any:
    from bootsim.state.snapshot import take

    return take(k, "mark_readonly")._replace(name="end")
