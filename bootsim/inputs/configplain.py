"""Reading a kernel-build description that is as plain as `bootsim profile` writes them: a value a line.

All of bootsim's own are, and importing PyYAML takes longer than a boot. Whatever is not as plain, or is wrong, is left
to bootsim.inputs.configyaml, which reads any YAML and says what is wrong.
"""

from __future__ import annotations

import re
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from bootsim.inputs.build import KernelBuild, Values
from bootsim.inputs.buildcheck import problems

# indentation and dash, name, value; or indentation and dash, text
_LINE = re.compile(r'(|  |  - |    )(?:([A-Za-z_][\w ]*):(?: (\S.*))?|("[ !#-\[\]-~]*"))')
_INTEGER = re.compile(r"0|[1-9][0-9]*|0x[0-9a-f]+")
_WORDS: dict[str, Any] = {"true": True, "false": False, "[]": ()}


class _NotPlainError(Exception):
    """Something that is left to YAML."""


def read_plain(text: str) -> KernelBuild | None:
    """The kernel build that `text` describes, None when it is not plain or not right."""
    try:
        build: KernelBuild = _build(KernelBuild, _sections(text))
    except _NotPlainError:
        return None
    return None if next(problems(build), None) else build


def _sections(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    section: dict[str, Any] | None = None  # where names of the next line go
    items: list[Any] | None = None
    lead_of_names = ""
    for line in text.split("\n"):
        if not line or line[0] == "#":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _NotPlainError
        lead, name, value, item = match.groups()
        if lead == "":
            if name is None or name in found:
                raise _NotPlainError
            section, items, lead_of_names = (None, None, "") if value is not None else ({}, [], "  ")
            found[name] = _value(value) if value is not None else (section, items)
        elif item is not None and lead == "  - " and items is not None:
            items.append(item[1:-1])
            section = None
        else:
            if lead == "  - " and items is not None:
                section, lead_of_names = {}, "    "
                items.append(section)
            elif lead != lead_of_names:
                raise _NotPlainError
            if section is None or name is None or value is None or name in section:
                raise _NotPlainError
            section[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text[0] == '"' and _LINE.fullmatch(text):
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0)
    raise _NotPlainError


def _build(kind: type[Values], given: Any) -> Any:
    attributes = {name: attribute for attribute, name in kind.KERNEL_NAMES.items()}
    if not given.keys() <= attributes.keys():
        raise _NotPlainError
    values = {attributes[name]: _typed(kind.__annotations__[attributes[name]], value) for name, value in given.items()}
    if not kind.KERNEL_NAMES.keys() - kind.DEFAULTS.keys() <= values.keys():
        raise _NotPlainError
    return kind(**values)


def _typed(kind: Any, value: Any) -> Any:
    if type(value) is kind:
        return value
    if get_origin(kind) is tuple and isinstance(value, tuple):
        inner, (names, items) = get_args(kind)[0], value or ({}, ())
        if not names and (items or not value):
            return tuple(_typed(inner, (each, ()) if isinstance(each, dict) else each) for each in items)
    elif isinstance(value, tuple):
        if value and not value[1] and isinstance(kind, type) and issubclass(kind, Values):
            return _build(kind, value[0])
    elif (isinstance(kind, UnionType) and type(value) in get_args(kind)) or (
        get_origin(kind) is Literal and any(type(value) is type(each) and value == each for each in get_args(kind))
    ):
        return value
    raise _NotPlainError
