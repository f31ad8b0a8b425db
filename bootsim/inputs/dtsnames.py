"""How source files are called in messages."""

from __future__ import annotations

from pathlib import Path


class SourceNames:
    """File names as a person wrote them: the main file as it was given, others relative to here if they are below."""

    def __init__(self, filename: str) -> None:
        self._main = self._main_path = filename
        self._here = ""
        try:
            self._main_path = str(Path(filename).absolute())
            self._here = f"{Path.cwd()}/"
        except OSError:  # the current folder is gone: names stay as they are
            pass

    def __call__(self, path: str) -> str:
        """The name for messages of a file that was opened as `path`."""
        if path in (self._main, self._main_path):
            return self._main
        return path.removeprefix(self._here)


def is_irregular(path: str) -> bool:
    """Whether `path` exists and is a folder, device or pipe, which reading might never end."""
    found = Path(path)
    return found.exists() and not found.is_file()
