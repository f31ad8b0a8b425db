"""`python -m bootsim`, and the console script `bootsim`: nothing is loaded before Ctrl-C has its meaning."""

from __future__ import annotations

import atexit
import gc
import sys

from bootsim.errors import EXIT_INTERRUPTED


def main() -> None:
    """Run the command line.

    What it loads stays to the end: looking through it for garbage, then and at the end, takes longer than a boot.
    """
    gc.disable()
    atexit.register(gc.freeze)
    try:
        from bootsim.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("bootsim: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
