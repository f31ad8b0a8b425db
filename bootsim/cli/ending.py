"""How a run of the command line ends: its exit code, and one line of words for what went wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from bootsim.cli.output import complain
from bootsim.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_INTERRUPTED, BootsimError

if TYPE_CHECKING:
    from collections.abc import Callable

_REPORT = "bootsim: this is a bug in bootsim. Please report it with the command line, the tree and the lines above."


def code_of(run: Callable[[], Any]) -> int:
    """What a run exits with. Its last words go out here, while standard output can still be told to be full."""
    try:
        found = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _told("interrupted", EXIT_INTERRUPTED)
    except BootsimError as error:
        words = "interrupted" if error.exit_code == EXIT_INTERRUPTED else f"error: {error}"
        return _told(words, error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _told(f"error: {where}{error.strerror or error}", EXIT_BAD_INPUT)
    except MemoryError as error:
        return _told(f"error: {str(error) or 'the host has no more memory'}", EXIT_BAD_INPUT)
    except Exception:
        import traceback

        complain(f"{traceback.format_exc()}{_REPORT}")
        return EXIT_BUG
    return found if isinstance(found, int) else 0


def _told(message: str, code: int) -> int:
    complain(f"bootsim: {message}")
    return code
