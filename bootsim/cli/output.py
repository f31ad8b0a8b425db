"""Standard output for a stream of lines: in order, and quiet when the reader has left."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


class LineOutput:
    """Writes lines to standard output. After a broken pipe it writes no more; the boot goes on to its end."""

    def __init__(self) -> None:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
        self._open = True

    def write(self, lines: Iterable[str]) -> None:
        """Write lines, without their newlines given, and hand them to the reader at once."""
        if self._open:
            text = "".join(f"{line}\n" for line in lines)
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except BrokenPipeError:
                self._leave()
            except OSError as error:
                self._leave()
                raise InputError(f"standard output: {error.strerror}") from None

    def _leave(self) -> None:
        # What is still buffered would fail again when the interpreter exits: send it nowhere.
        self._open = False
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def wants_color(choice: str) -> bool:
    """Whether to color: `always`, `never`, or `auto`, which asks the terminal and honours NO_COLOR."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
