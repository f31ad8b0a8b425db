"""Values that come from a file, held against the shape they should have: a number is a number, a list a list.

Each function returns the value, numbers as integers, or raises ShapeError, which says where in the file, what was found
and what was expected. Numbers may be written as texts, as some captures have them: "512", "0x60000000".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from bootsim.errors import InputError
from bootsim.reading import read_file
from bootsim.sizes import parse_number

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

T = TypeVar("T")
TOP = (1 << 32) - 1
_MAX_BYTES = 1 << 28


class ShapeError(ValueError):
    """A value of the wrong shape."""

    def __init__(self, at: str, value: Any, expected: str) -> None:
        super().__init__(f"{at}: {shown(value)}, expected {expected}")


def shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def number(value: Any, at: str, most: int = TOP) -> int:
    """A whole number from 0 to `most`."""
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = parse_number(value)
        except ValueError:
            raise ShapeError(at, value, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(at, value, "a number")
    if not 0 <= value <= most:
        raise ShapeError(at, value, f"0 to {most:#x}")
    return value


def text(value: Any, at: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ShapeError(at, value, "a text")
    return value


def mapping(value: Any, at: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise ShapeError(at, value, "an object")
    return value


def listing(value: Any, at: str, each: Callable[[Any, str], T], least: int = 0, most: int | None = None) -> list[T]:
    """A list of `least` to `most` things that `each` holds against their shape."""
    many = "a list" if not least and most is None else f"a list of {least}" if least == most else (
        f"a list of {least} to {most}" if most is not None else f"a list of {least} or more")  # fmt: skip
    if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
        raise ShapeError(at, value, many)
    return [each(item, f"{at}[{i}]") for i, item in enumerate(value)]


def record(value: Any, at: str, fields: Mapping[str, Callable[[Any, str], Any]]) -> dict[str, Any]:
    """An object with all of `fields`, each of the shape that its function says; other fields stay as they are."""
    found = dict(mapping(value, at))
    for name, shape in fields.items():
        if name not in found:
            raise ShapeError(at, value, f"one with {name}")
        found[name] = shape(found[name], f"{at}.{name}")
    return found


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object that a JSON file holds. Raises InputError."""
    try:
        return mapping(json.loads(read_file(path, "a JSON object", _MAX_BYTES)), "")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ShapeError as error:
        raise InputError(f"{path}{error}") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path}: not JSON: {why}") from None
