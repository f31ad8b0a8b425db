"""Text to look at, at a prompt."""

from __future__ import annotations

import re

from bootsim.errors import InputError


class Text(str):
    """Lines to look at: a prompt shows them as they are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def grep(self, pattern: str) -> Text:
        """Return the lines that a regular expression is found in. Raises InputError for one that is none."""
        try:
            return Text("\n".join(line for line in self.splitlines() if re.search(pattern, line)))
        except re.error as error:
            raise InputError(f"grep: {pattern!r}: {error}") from None
