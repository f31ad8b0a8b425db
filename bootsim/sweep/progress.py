"""How far a sweep has come, on standard error: a line that rewrites itself, or now and then a line in a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_ON_TERMINAL_S, _IN_LOG_S = 0.2, 10.0


class Progress:
    """Counts boots and shows their rate and the time left. `shown` None: only on a terminal or in a long run."""

    def __init__(self, total: int, *, shown: bool | None = None, out: TextIO | None = None) -> None:
        self._total = total
        self._out = out or sys.stderr
        self._terminal = self._out.isatty()
        self._shown = shown is not False
        self._every = _ON_TERMINAL_S if self._terminal else _IN_LOG_S
        self._start = self._last = time.monotonic()
        self._done = self._failed = 0
        self._wrote = False

    def add(self, *, failed: bool) -> None:
        """One more boot is done."""
        self._done += 1
        self._failed += failed
        now = time.monotonic()
        if self._shown and now - self._last >= self._every:
            self._last = now
            self._write(self.line())

    def line(self) -> str:
        """The counts, boots a second, and the time left."""
        elapsed = max(time.monotonic() - self._start, 1e-9)
        rate = self._done / elapsed
        left = f", ETA {clock((self._total - self._done) / rate)}" if 0 < self._done < self._total else ""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._done}/{self._total} boots, {rate:.0f}/s{left}{failed}"

    def finish(self, word: str = "") -> None:
        """Write the last line, if there were others or the run took a while."""
        if self._shown and (self._wrote or word or time.monotonic() - self._start > 1):
            elapsed = clock(time.monotonic() - self._start)
            self._write(f"{word}{self.line()} in {elapsed}")
            if self._terminal:
                self._out.write("\n")
                self._out.flush()

    def _write(self, text: str) -> None:
        self._wrote = True
        self._out.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        self._out.flush()


def clock(seconds: float) -> str:
    """Seconds as people read them: 0:07, 4:12, 1:02:03."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
