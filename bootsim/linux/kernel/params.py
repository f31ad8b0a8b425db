"""Walking over the command line's parameters (kernel/params.c)."""

from __future__ import annotations

from collections.abc import Callable

from bootsim.linux.lib.cmdline import next_arg


def parameq(a: str, b: str) -> bool:
    """Whether two parameter names are equal, "-" and "_" being one.

    Source: kernel/params.c parameq()
    """
    return a.replace("-", "_") == b.replace("-", "_")


def parse_args(args: str, handle: Callable[[str, str | None], None]) -> str | None:
    """Call `handle(param, value)` for each word up to `--`; return what follows that, or None.

    Source: kernel/params.c parse_args()
    """
    args = args.lstrip(" \t\n\v\f\r\xa0")
    while args:
        param, val, args = next_arg(args)
        if val is None and param == "--":
            return args
        handle(param, val)
    return None
