"""Reading a kernel-build description in any YAML, with the place of every error.

The schema is walked over the nodes of `yaml.compose`, so that every error knows its line and column. pydantic would do
the type checks, but importing it takes longer than booting; the schema needs only int, bool, str and lists of them.
"""

from __future__ import annotations

import difflib
import re
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml

from bootsim.errors import InputError
from bootsim.inputs.build import Config, KernelBuild, Values
from bootsim.inputs.buildcheck import problems

V = TypeVar("V", bound=Values)

# libyaml's parser where PyYAML was built with it: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_DEPTH = 20
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9_]*|0[xX][0-9a-fA-F_]*[0-9a-fA-F])")
_KINDS = {bool: "true or false", int: "a whole number", str: "text", tuple: "a list"}


def read_yaml(text: str, file: str) -> KernelBuild:
    """The kernel build described by YAML text; `file` is what errors call it. Raises InputError."""
    reader = _Reader(file)
    root = _compose(text, file)
    values = reader.values(root, KernelBuild, ())
    if values is not None and not reader.errors:
        for path, message in problems(values):
            reader.error_at(path, message)
    if reader.errors or values is None:
        raise InputError("\n".join(reader.sorted_errors()))
    return values


def _compose(text: str, file: str) -> yaml.Node:
    try:
        # Events first: composing recurses, and text can nest deeper than the stack.
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise InputError(f"{file}{_at(event.start_mark)}: nested {depth} deep, expected at most 2")
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{file}{_position(error)}: not YAML: {_reason(error)}") from None
    if root is None:
        raise InputError(f"{file}: empty, expected a kernel build in YAML")
    return root


def _position(error: yaml.YAMLError) -> str:
    return _at(getattr(error, "problem_mark", None))


def _at(mark: Any) -> str:
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def _reason(error: yaml.YAMLError) -> str:
    parts = [getattr(error, name, None) for name in ("context", "problem")]
    return ", ".join(part for part in parts if part) or str(error).splitlines()[0]


class _Reader:
    """Turns nodes into values, and gathers every error on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[tuple[int, int, str]] = []
        self.nodes: dict[tuple[str, ...], yaml.Node] = {}

    def error(self, node: yaml.Node, path: tuple[str, ...], message: str) -> None:
        mark = node.start_mark
        field = ": ".join(path)
        text = f"{self.file}:{mark.line + 1}:{mark.column + 1}: {field + ': ' if field else ''}{message}"
        self.errors.append((mark.line, mark.column, text))

    def error_at(self, path: tuple[str, ...], message: str) -> None:
        # A value that is not in the file is reported at the nearest thing around it.
        known = path
        while known not in self.nodes:
            known = known[:-1]
        self.error(self.nodes[known], path, message)

    def sorted_errors(self) -> list[str]:
        return [text for _, _, text in sorted(self.errors)]

    def values(self, node: yaml.Node, kind: type[V], path: tuple[str, ...]) -> V | None:
        """A mapping node as an instance of `kind`, None when it cannot be one."""
        self.nodes[path] = node
        if not isinstance(node, yaml.MappingNode):
            what = "a kernel build (a mapping)" if not path else "a mapping of names to values"
            self.error(node, path, f"{_describe(node)}, expected {what}")
            return None
        attributes = {name: attribute for attribute, name in kind.KERNEL_NAMES.items()}
        types = kind.__annotations__
        found: dict[str, Any] = {}
        seen: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key not in attributes:
                self._unknown(key_node, key, kind, path)
            elif key in seen:
                first = seen[key].start_mark
                message = f"given again, expected once: the first is at {first.line + 1}:{first.column + 1}"
                self.error(key_node, (*path, key), message)
            else:
                seen[key] = key_node
                attribute = attributes[key]
                found[attribute] = self.value(value_node, types[attribute], (*path, key))
        required = (name for name, attribute in attributes.items() if attribute not in kind.DEFAULTS)
        missing = [name for name in required if name not in seen]
        for name in missing:
            self.error(node, (*path, name), f"missing, expected {_expected(types[attributes[name]])}")
        return None if missing else kind(**found)

    def _unknown(self, node: yaml.Node, key: str | None, kind: type[Values], path: tuple[str, ...]) -> None:
        if key is None:
            self.error(node, path, f"{_describe(node)} as a name, expected text")
            return
        names = list(kind.KERNEL_NAMES.values())
        hint = ""
        if kind is Config and key.startswith("CONFIG_"):
            hint = f": write {key.removeprefix('CONFIG_')} without CONFIG_"
        elif near := difflib.get_close_matches(key[:80], names, n=1):
            hint = f": did you mean {near[0]}?"
        elif len(names) < 20:
            hint = f", expected one of {', '.join(names)}"
        self.error(node, (*path, key[:80]), f"unknown name{hint}")

    def value(self, node: yaml.Node, kind: Any, path: tuple[str, ...]) -> Any:
        """The value of a node as the schema's type `kind`; None, and an error noted, when it is not one."""
        self.nodes[path] = node
        if kind is int or kind is bool or kind is str:
            return self._scalar(node, kind, path)
        if isinstance(kind, type) and issubclass(kind, Values):
            return self.values(node, kind, path)
        if isinstance(kind, UnionType):
            (inner,) = (each for each in get_args(kind) if each is not type(None))
            return None if _is_null(node) else self._scalar(node, inner, path)
        if get_origin(kind) is Literal:
            return self._choice(node, get_args(kind), path)
        return self._list(node, get_args(kind)[0], path)

    def _scalar(self, node: yaml.Node, kind: type, path: tuple[str, ...]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            tag, text = node.tag, node.value
            if kind is bool and tag == "tag:yaml.org,2002:bool" and text.lower() in ("true", "false"):
                return text.lower() == "true"
            if kind is int and tag == "tag:yaml.org,2002:int" and len(text) < 40 and _INTEGER.fullmatch(text):
                return int(text.replace("_", ""), 16 if "x" in text.lower() else 10)
            if kind is str and tag == "tag:yaml.org,2002:str":
                return text
        self.error(node, path, f"{_describe(node)}, expected {_expected(kind)}")
        return None

    def _choice(self, node: yaml.Node, choices: tuple[Any, ...], path: tuple[str, ...]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            for choice in choices:
                if node.value == str(choice) and node.tag.endswith(":" + type(choice).__name__):
                    return choice
        expected = " or ".join(str(choice) for choice in choices)
        self.error(node, path, f"{_describe(node)}, expected {expected}")
        return None

    def _list(self, node: yaml.Node, kind: Any, path: tuple[str, ...]) -> tuple[Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode):
            self.error(node, path, f"{_describe(node)}, expected a list")
            return None
        return tuple(self.value(item, kind, (*path, str(index))) for index, item in enumerate(node.value))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if _is_null(node):
        return "nothing"
    shown = node.value if len(node.value) <= 60 else node.value[:57] + "..."
    return repr(shown) if node.tag == "tag:yaml.org,2002:str" else shown


def _expected(kind: Any) -> str:
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list"
    return _KINDS.get(kind, "a mapping of names to values")
