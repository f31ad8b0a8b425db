"""`bootsim shell`."""

from __future__ import annotations

from typing import Any

import click

from bootsim.cli.booting import tell_prepared
from bootsim.cli.inputs import input_options, known_stage
from bootsim.cli.values import prepare_from

_HELP = """Boot TREE and give Python's prompt on the machine.

    The machine is k, the kernel's functions are bound to it, and every call is told as a line of the log. Tab
    completes, the history is kept. back() undoes the last line, branch() makes a second machine.

    \b
    Examples:
      bootsim shell vexpress.dts --mem 1G --smp 2
      >>> page = alloc_pages(GFP_KERNEL, 2)
      >>> kmem(page.pa)
      >>> cat("/proc/buddyinfo")
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tree", metavar="TREE")
@input_options
@click.option("--until", callback=known_stage, metavar="STAGE", help="Stop the boot after this stage.")
def shell(tree: str, *, until: str | None, **options: Any) -> None:
    """Give a prompt; the help text is `_HELP`."""
    import bootsim
    from bootsim.lab import prompt
    from bootsim.lab.session import Session
    from bootsim.log import import_structlog_lazily
    from bootsim.views import alive

    import_structlog_lazily()
    k = prepare_from(tree, options)
    tell_prepared(k)
    bootsim.run(k, until=until)
    prompt.run(Session(k, alive.text))
