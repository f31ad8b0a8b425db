"""Walking over the command line's parameters (kernel/params.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_ERR, printk
from bootsim.linux.lib.cmdline import next_arg
from bootsim.linux.lib.kstrtox import kstrtobool, kstrtol, kstrtoull

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.lib.cmdline import CoreParam


def parameqn(a: str, b: str) -> bool:
    """Whether `a` starts with `b`, "-" and "_" being one.

    Source: kernel/params.c parameqn()
    """
    return a.replace("-", "_").startswith(b.replace("-", "_"))


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


def _convert(kind: str, val: str | None) -> bool | int | str | None:
    # the type's param_set function: the value, or None when it refuses
    if kind == "bool":
        return kstrtobool("1" if val is None else val)
    if val is None:
        return None
    if kind == "bint":
        return kstrtobool(val)
    if kind == "charp":
        return val
    return kstrtoull(val, 0, 32) if kind in ("uint", "ulong") else kstrtol(val, 0)


def param_set(k: Kernel, doing: str, param: CoreParam, val: str | None) -> None:
    """Set a parameter by its type, or say that the value is none of it.

    Source: kernel/params.c parse_one(), parse_args(), param_set_bool(), STANDARD_PARAM_DEF()
    """
    value = _convert(param.kind, val)
    if value is None:
        printk(k, KERN_ERR, "{doing}: `{val}' invalid for parameter `{name}'", func="parse_args", doing=doing,
               val=val or "", name=param.name)
    elif param.handler is not None:
        param.handler(k, value)
