"""How source files are called in messages, and which of them a source may take in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INCLUDES = Path("scripts/dtc/include-prefixes")  # of a kernel's source


class SourceNames:
    """File names as a person wrote them: the main file as it was given, others relative to here if they are below.

    A bundled tree was given by its name, `called`; what lies beside it has a name of that kind, too.
    """

    def __init__(self, filename: str, called: str | None = None) -> None:
        self._main, self._main_paths = called or filename, [filename]
        self._folders = [] if called is None else [f"{Path(filename).parent}/"]
        try:
            self._main_paths.append(str(Path(filename).absolute()))
            self._folders.append(f"{Path.cwd()}/")
        except OSError:  # the current folder is gone: names stay as they are
            pass

    def __call__(self, path: str) -> str:
        """The name for messages of a file that was opened as `path`."""
        if path in self._main_paths:
            return self._main
        return next((path.removeprefix(folder) for folder in self._folders if path.startswith(folder)), path)


def is_irregular(path: str) -> bool:
    """Whether `path` exists and is a folder, device or pipe, which reading might never end."""
    found = Path(path)
    return found.exists() and not found.is_file()


class Reach:
    """Which files a source may take in: those in its folder and in the folders given with -I, links followed.

    Beyond them, what a path without links says outright (`../common/board.dtsi`) may be included as source text; an
    absolute or linked path, and anything that /incbin/ reads, only with `outside`. A tree in a kernel's source reaches
    all of it, and finds the kernel's include folders by itself: `include_dirs` are those given, and behind them these.
    """

    def __init__(self, filename: str, include_dirs: Sequence[str], *, outside: bool = False) -> None:
        self._outside = outside
        roots = [Path(filename).parent, *map(Path, include_dirs)]
        self.include_dirs = list(include_dirs)
        self._roots = [root.resolve() for root in roots]
        for root in list(self._roots):
            kernel = next((folder for folder in (root, *root.parents) if (folder / _INCLUDES).is_dir()), None)
            if kernel is not None and kernel not in self._roots:
                self._roots.append(kernel)
                self.include_dirs.append(str(kernel / _INCLUDES))

    def check(self, path: str, written: str, where: str, *, data: bool = False) -> None:
        """Raise InputError when the file at `path`, `written` so in the source at `where`, is out of reach.

        `data` is for /incbin/.
        """
        real = Path(path).resolve()
        if self._outside or not real.exists() or any(real.is_relative_to(root) for root in self._roots):
            return
        linked = real != Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links
        if data or linked or Path(written).is_absolute():
            raise InputError(
                f"{where}: {written!r} is {real}, outside the tree's folder and those given with -I; "
                "--allow-outside takes it in"
            )
