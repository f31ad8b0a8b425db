"""The commands as click has them: one module a command, loaded when the command runs."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from bootsim import __version__
from bootsim.cli.ending import code_of
from bootsim.cli.output import guarded
from bootsim.cli.plain import COMPLETE
from bootsim.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, BootsimError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Each command: the module that holds it under its own name, and the line `bootsim --help` shows.
COMMANDS = {
    "boot": ("bootsim.cli.boot", "Replay the boot of a device tree and print its log."),
    "check": ("bootsim.cli.check", "Hold boots against what is expected of them."),
    "compare": ("bootsim.cli.compare", "Hold a replayed boot against a real one."),
    "configs": ("bootsim.cli.configs", "List the kernel builds that come with bootsim."),
    "diff": ("bootsim.cli.diff", "Tell how two boots differ, and why."),
    "digest": ("bootsim.cli.digest", "Print one number that stands for a whole boot."),
    "explain": ("bootsim.cli.explain", "Tell where a quantity comes from, or who owns an address."),
    "facts": ("bootsim.cli.facts", "List the derived quantities of a boot."),
    "golden": ("bootsim.cli.golden", "Record boots as text, and tell what has changed since."),
    "profile": ("bootsim.cli.profile", "Describe a kernel build from its own files."),
    "replay": ("bootsim.cli.replay", "Replay a recording of a real kernel's memory traffic."),
    "report": ("bootsim.cli.report", "Write one HTML page that shows a boot, or two side by side."),
    "run": ("bootsim.cli.run", "Run a Python script on a booted machine."),
    "shell": ("bootsim.cli.shell", "Give Python's prompt on a booted machine."),
    "show": ("bootsim.cli.show", "Show a boot's state as the kernel's own files show it."),
    "sweep": ("bootsim.cli.sweep", "Boot every combination of trees, builds, sizes and command lines."),
    "where": ("bootsim.cli.where", "Tell where a board's RAM went, every byte by its owner."),
    "why-not": ("bootsim.cli.why_not", "Tell what single change would make something hold."),
}

# Those that end after one boot: garbage is not worth looking for (see bootsim.__main__).
_ONE_BOOT = {"boot", "digest", "facts", "show"}

_HELP = """Replay the memory side of booting 32-bit ARM Linux 5.10.

    A device tree goes in; the boot log the real kernel would print comes out, with every page table, memblock region
    and free block behind it.

    \b
    Example:
      bootsim boot vexpress.dts --config 3G/1G --mem 1G
    """
_EXIT_CODES = (
    "Exit codes: 0 done, 1 different, or no (diff, compare, check, golden, replay, run, why-not), 2 bad input, "
    "3 the replayed kernel panicked, 70 a bug in bootsim, 130 interrupted."
)


class _Commands(click.Group):
    """A group that knows its commands by name and loads the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        if cmd_name not in _ONE_BOOT and not gc.isenabled():
            gc.freeze()
            gc.enable()
        if COMPLETE in os.environ:
            from bootsim.cli.complete import teach

            teach(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r}{_nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, *args: Any, **rest: Any) -> Any:
        """Run, and end the process with one line and the right code, whatever happens."""
        run: Callable[..., Any] = super().main
        standalone = rest.pop("standalone_mode", True)
        if not standalone or COMPLETE in os.environ:  # a shell takes bytes, and needs no words
            return run(*args, **rest, standalone_mode=standalone)
        with guarded():
            code = code_of(lambda: _worded(lambda: run(*args, **rest, standalone_mode=False)))
        sys.exit(code)

    def make_context(self, *args: Any, **rest: Any) -> click.Context:
        """Read the command line."""
        with _interruptible():
            return super().make_context(*args, **rest)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _interruptible():
            return super().invoke(ctx)


class _InterruptedError(BootsimError):
    """Ctrl-C on its way to the person: click would make an empty line of it."""

    exit_code = EXIT_INTERRUPTED


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise _InterruptedError from None


def _worded(run: Callable[[], Any]) -> Any:
    # What a run returns, and where click refuses the command line, its words and the exit code.
    try:
        return run()
    except click.ClickException as error:
        error.show()
        return EXIT_BAD_INPUT


def _nearest(word: str, names: Any) -> str:
    import difflib

    close = difflib.get_close_matches(word, names, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


@click.group(cls=_Commands, help=_HELP, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="bootsim", message="%(prog)s %(version)s")
def cli() -> None:
    """Hold the commands; the help text is `_HELP`."""
