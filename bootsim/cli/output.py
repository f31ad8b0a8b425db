"""Standard output and standard error: in order, quiet when the reader has left, and one line when they are full."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO, cast

from bootsim.errors import InputError
from bootsim.escape import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Stream:
    """Stands in for sys.stdout or sys.stderr; everything else is asked of the stream itself, None where it is closed.

    After a broken pipe nothing more is written, and what runs goes on to its end: the reader has seen enough. Other
    failures raise InputError, but those of standard error, on which nobody could be told of them, are passed over.
    """

    def __init__(self, stream: Any, name: str, *, tells: bool) -> None:
        self._stream = stream
        self._name = name
        self._tells = tells
        self._open = True
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text."""
        if not isinstance(text, str):
            raise TypeError(f"{type(text).__name__}, expected str")
        if text:
            self._try(lambda: self._stream.write(for_terminal(text)))
        return len(text)

    def flush(self) -> None:
        """Hand to the reader what was written."""
        if self._stream is not None:
            self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._stream is not None and bool(self._stream.isatty())

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # nobody writes past this
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _try(self, action: Any) -> None:
        if not self._open:
            return
        if self._stream is None:
            self._open = False
            if self._tells:
                raise InputError(f"{self._name}: closed")
            return
        try:
            action()
        except BrokenPipeError:
            self._leave()
        except OSError as error:
            self._leave()
            if self._tells:
                raise InputError(f"{self._name}: {error.strerror}") from None

    def _leave(self) -> None:
        # What is still buffered would fail again when the interpreter exits: send it nowhere.
        self._open = False
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let standard output and standard error be as `_Stream` has them."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", _Stream(sys.stdout, "standard output", tells=True))
    sys.stderr = cast("TextIO", _Stream(sys.stderr, "standard error", tells=False))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def occupy_standard_files() -> None:
    """Open nothing where a standard file is closed, or the next file to be opened would take its place.

    A closed standard input is an empty one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115


def complain(text: str) -> None:
    """Write a line to standard error at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class LineOutput:
    """Writes lines to standard output, each lot handed to the reader at once."""

    def write(self, lines: Iterable[str]) -> None:
        """Write lines, without their newlines given; a newline in one is an input's, and escaped."""
        sys.stdout.write("".join(line.replace("\n", "\\x0a") + "\n" for line in lines))
        sys.stdout.flush()


class Experiments:
    """Counts the boots of an experiment on standard error once they take more than a second; on a terminal alone."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._wrote = False

    def __call__(self, boots: int, limit: int = 0) -> None:
        """One more boot, of at most `limit`."""
        if sys.stderr.isatty() and time.monotonic() - self._start > 1:
            most = f" of at most {limit}" if limit else ""
            sys.stderr.write(f"\r\x1b[Kexperiments: boot {boots}{most}")
            sys.stderr.flush()
            self._wrote = True

    def finish(self) -> None:
        """Leave no line behind."""
        if self._wrote:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def wants_color(choice: str) -> bool:
    """Whether to color: `always`, `never`, or `auto`, which asks the terminal and honours NO_COLOR."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
