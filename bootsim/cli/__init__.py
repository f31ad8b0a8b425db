"""The command line: a plain `bootsim boot` runs at once, all else goes to click (`group`).

click takes longer to load than a boot takes, so that no module imports it that a plain boot needs.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from bootsim.cli.output import guarded, occupy_standard_files
from bootsim.cli.plain import COMPLETE, read


def main() -> None:
    """Run the command line; the console script `bootsim`."""
    occupy_standard_files()
    try:
        options = None if COMPLETE in os.environ else read(sys.argv[1:])
        if options is None:
            from bootsim.cli.group import cli

            cli(prog_name="bootsim")
        else:
            _boot(options)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is the interpreter's own end


def _boot(options: dict[str, Any]) -> None:
    from bootsim.cli import booting
    from bootsim.cli.ending import code_of

    with guarded():
        code = code_of(lambda: booting.run(**options))
    sys.exit(code)
