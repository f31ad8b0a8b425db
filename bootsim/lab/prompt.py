"""Python's own prompt on a booted machine: completion, history, the log after each line, `back()`."""

from __future__ import annotations

import code
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import BootsimError
from bootsim.lab.effects import effects
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from types import CodeType

    from bootsim.lab.session import Session

_BANNER = """{k}
The kernel's functions are bound to the machine k: page = alloc_pages(GFP_KERNEL, 2), __free_pages(page, 2).
cat("/proc/buddyinfo"), kmem(addr), vtop(va), with cpu(1): ..., holders(), back() undoes a line, branch() copies."""
_HISTORY = ".bootsim_history"
_SHOWN = 30  # records at the beginning and at the end of what a line did; those between them are counted


class Prompt(code.InteractiveConsole):
    """The prompt of `bootsim shell`: what the log gets while a line runs is shown behind it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.names(), "<shell>")
        self.session = session

    def runcode(self, what: CodeType) -> None:
        """Run one line; an error of bootsim's own is one line, too."""
        self.session.remember()
        before, shown = self.session.past[-1][0], len(self.session.k.log.records)
        try:
            exec(what, self.locals)  # noqa: S102
        except SystemExit:
            raise
        except BootsimError as error:
            self.write(f"{error}\n")
        except BaseException:
            self.showtraceback()
        k = self.session.k
        end = len(k.log.records)
        for effect in effects(before, k) if self.session.past and self.session.past[-1][0] is before else ():
            step(k, "{effect}", func="shell", effect=effect)
        first, last = shown + _SHOWN, end - _SHOWN
        for nr, record in enumerate(k.log.records[shown:], shown):
            if nr == first < last:
                sys.stdout.write(f"... {last - first} lines more: k.log.records[{first}:{last}]\n")
            if not first <= nr < last:
                sys.stdout.write(f"{record.text}\n")


def show_value(value: Any) -> None:
    """Show what a line came to; a number that may be a frame or an address in hexadecimal, too."""
    import builtins

    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 12:
        builtins._ = value  # type: ignore[attr-defined]
        sys.stdout.write(f"{value:#x} ({value})\n")
    else:
        sys.__displayhook__(value)


def run(session: Session) -> None:
    """Talk with a person until the end of input. History and completion are there where Python has readline."""
    prompt = Prompt(session)
    sys.displayhook = show_value
    with contextlib.suppress(ImportError), _readline(prompt.locals):
        prompt.interact(_BANNER.format(k=session.k), "")
        return
    prompt.interact(_BANNER.format(k=session.k), "")


@contextlib.contextmanager
def _readline(names: Any) -> Any:
    import readline
    import rlcompleter

    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: of a user who has no home
        readline.read_history_file(Path.home() / _HISTORY)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            readline.set_history_length(1000)
            readline.write_history_file(Path.home() / _HISTORY)
