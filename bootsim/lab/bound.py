"""A function of the kernel bound to a session's machine, as a shell or script calls it; and who got memory by it."""

from __future__ import annotations

import inspect
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.mm.page_alloc import format_gfp_flags
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.lab.session import Session

_PACKAGE = str(Path(__file__).parents[1])
NEAR = 3  # calls from a person's to where an argument of the wrong kind is found out; one that lies deeper is a bug


class Held(NamedTuple):
    """Memory that a call gave: its frame (`pfn`) or object (`va`), the call in words, and the line that made it.

    Pages that were given by their address have both.
    """

    pfn: int | None
    va: int | None
    call: str
    place: str


class Bound:
    """A function of the kernel with its machine."""

    def __init__(self, session: Session, function: Callable[..., Any]) -> None:
        self._session = session
        self._function = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._numbers: set[str] = set()
        try:
            parameters = inspect.signature(function).parameters.values()
            self._numbers = {parameter.name for parameter in parameters if parameter.annotation == "int"}
            self._parameters = [parameter.name for parameter in parameters][1:]
            if "create" not in self.__name__ and self.__name__ != "vmap":  # a cache's flags and an area's are others
                self._parameters = ["gfp_flags" if name == "flags" else name for name in self._parameters]
        except (TypeError, ValueError):
            self._parameters = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call it on the session's machine; a page may be a frame's number, a node its path, an mm is a process's.

        Raises InputError for other arguments.
        """
        given = [*zip([*self._parameters, *[""] * len(args)], args, strict=False), *options.items()]
        try:
            args = tuple(self._own(name, value) for name, value in given[:len(args)])
            options = {name: self._own(name, value) for name, value in options.items()}
            answer = self._function(self._session.k, *args, **options)
        except OverflowError as error:
            wide = [f"{name} = {value}" for name, value in given
                    if isinstance(value, int) and not 0 <= value < 1 << 32]
            if not wide and len(traceback.extract_tb(error.__traceback__)) > NEAR:
                raise
            told = f"{', '.join(wide)}, expected a number of 32 bits" if wide else str(error)
            raise InputError(f"{self.__name__}(): {told}") from None
        except (TypeError, ValueError) as error:
            if len(traceback.extract_tb(error.__traceback__)) > NEAR:
                raise
            raise InputError(f"{self.__name__}(): {error}") from None
        except AttributeError as error:
            if error.name == "pgdat":
                raise InputError(f"{self.__name__}(): no zones yet; bootmem_init() makes them") from None
            listed = [value for each in args if isinstance(each, list | tuple) for value in each]
            if any(error.obj is value for value in (*args, *options.values(), *listed)):
                raise InputError(f"{self.__name__}(): {error}") from None
            raise
        self._session.heard(self.__name__, self._words(args, options), args, answer)
        return answer

    def _own(self, name: str, value: Any) -> Any:
        # a page of this machine, whichever it was taken from, or its frame; a zone by its name
        if isinstance(value, Page):
            value = value.pfn if name == "pfn" else Page(self._session.k, value.pfn)
        if name in self._numbers and not isinstance(value, int):
            raise InputError(f"{self.__name__}(): {name} = {value!r}, expected a number")
        if name == "zone" and isinstance(value, str):
            zones = [zone["name"] for zone in self._session.k.zones]
            if value not in zones:
                raise InputError(f"{self.__name__}(): no zone {value!r}; there are: {', '.join(zones)}")
            return zones.index(value)
        if name == "node":
            return self._node(value)
        if name == "mm":
            self._session.tables_of(self.__name__, value)
            return value.task.mm
        if name == "page" and isinstance(value, int):
            return Page(self._session.k, value)
        if name == "page" and not isinstance(value, Page):
            raise InputError(f"{self.__name__}(): page = {value!r}, expected a page, or its frame's number")
        return value

    def _node(self, value: Any) -> Any:
        # a node of the tree, by its path or an alias
        from bootsim.linux.drivers.of.base import DeviceNode, of_find_node_by_path

        node = of_find_node_by_path(self._session.k, value) if isinstance(value, str) else value
        if not isinstance(node, DeviceNode):
            raise InputError(f"{self.__name__}(): no node {value!r} in the tree; a path or an alias is expected")
        return node

    def _words(self, args: tuple[Any, ...], options: dict[str, Any]) -> str:
        named = [*self._parameters, *[""] * len(args)]
        words = [word_of(name, value) for name, value in zip(named, args, strict=False)]
        words += [f"{name}={word_of(name, value)}" for name, value in options.items()]
        return f"{self.__name__}({', '.join(words)})"

    def __repr__(self) -> str:
        return f"<{self.__name__}({', '.join(self._parameters)})>"


def word_of(name: str, value: Any) -> str:
    """Return an argument or an answer in words; the argument's name tells what it is."""
    if name == "mm":
        return f"process {value.owner.pid}" if getattr(value, "owner", None) is not None else "process"
    if isinstance(value, int) and not isinstance(value, bool):
        if name.startswith("gfp"):
            return format_gfp_flags(value)
        return f"{value:#x}" if value >= 1 << PAGE_SHIFT else str(value)
    if isinstance(value, Page):
        return f"page {value.pfn:#x}"
    called = getattr(value, "full_name", getattr(value, "name", None))
    return called if isinstance(called, str) else repr(value)


def place() -> str:
    """Return the line that called, outside of bootsim."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    function = frame.f_code.co_name
    where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    return where if function == "<module>" else f"{where} in {function}"
