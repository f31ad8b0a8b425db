"""A script run in the surroundings of the shell: its assertions are its answer."""

from __future__ import annotations

import traceback
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import EXIT_DIFFERS, BootsimError, InputError
from bootsim.lab.bound import NEAR
from bootsim.reading import read_file

if TYPE_CHECKING:
    from types import CodeType

    from bootsim.lab.session import Session

_PACKAGE = str(Path(__file__).parents[1])
FIRST_LINE = "# bootsim:"


class AssertionFailed(BootsimError):
    """An assertion of a script that does not hold: an answer, not an error."""

    exit_code = EXIT_DIFFERS


class Script:
    """A script, read and compiled. Raises InputError where it cannot be."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.source = read_file(path, "a script").decode()
            self._code: CodeType = compile(self.source, str(path), "exec", dont_inherit=True)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except SyntaxError as error:
            line = f":{error.lineno}" if error.lineno else ""
            raise InputError(f"{path}{line}: {error.msg}") from None
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None

    @property
    def arguments(self) -> str:
        """The tree and the options that the first line names: `# bootsim: vexpress.dts --mem 1G`."""
        first = self.source.partition("\n")[0]
        return first.removeprefix(FIRST_LINE).strip() if first.startswith(FIRST_LINE) else ""

    def run(self, session: Session) -> None:
        """Run it on the session's machine.

        Raises AssertionFailed with file and line, InputError for what else the script gets wrong; a bug in bootsim
        comes as it is.
        """
        try:
            exec(self._code, {**session.names(), "__name__": "__main__", "__file__": str(self.path)})  # noqa: S102
        except SystemExit as stop:
            if stop.code:  # its own codes would be taken for bootsim's
                raise InputError(f"{self._place(stop)}: sys.exit({stop.code!r}); an answer is an assertion") from None
        except BootsimError as error:
            error.args = (f"{self._place(error)}: {error}",)
            raise
        except AssertionError as error:
            said = f": {error}" if str(error) else ""
            raise AssertionFailed(f"{self._place(error)}: {self._line(error)}{said}") from None
        except Exception as error:
            frames = reversed(_frames(error))
            inside = sum(1 for _ in takewhile(lambda frame: frame.filename.startswith(_PACKAGE), frames))
            wrong_use = isinstance(error, (TypeError, ValueError, OverflowError, LookupError, AttributeError))
            if inside > (NEAR if wrong_use else 0):
                raise
            raise InputError(f"{self._place(error)}: {type(error).__name__}: {error}") from None

    def _own(self, error: BaseException) -> traceback.FrameSummary:
        own = [frame for frame in _frames(error) if frame.filename == str(self.path)]
        return own[-1] if own else traceback.FrameSummary(str(self.path), 1, "")

    def _place(self, error: BaseException) -> str:
        return f"{self.path}:{self._own(error).lineno}"

    def _line(self, error: BaseException) -> str:
        return (self._own(error).line or "assert").strip()


def _frames(error: BaseException) -> list[Any]:
    return list(traceback.extract_tb(error.__traceback__))
