"""YAML with positions: values of expected kinds out of nodes, and every error as file:line:column."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import yaml

from bootsim.errors import InputError
from bootsim.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 20


class Scalar(NamedTuple):
    """A scalar as it was written, whether YAML takes it for a text, and where it stands."""

    text: str
    is_text: bool
    node: yaml.Node


class Reader:
    """Reads one file's nodes and gathers the errors. A method that finds something wrong notes it and gives None."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._errors: list[tuple[int, int, str]] = []

    def place(self, node: yaml.Node, column: int = 0) -> tuple[int, int]:
        """The line and column of a node, both from 1; `column` characters into a plain or quoted scalar."""
        mark = node.start_mark
        quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return mark.line + 1, mark.column + 1 + (0 if block else column + quoted)

    def error(self, node: yaml.Node, message: str, column: int = 0) -> None:
        """Note an error at a node."""
        line, col = self.place(node, column)
        self._errors.append((line, col, f"{self.file}:{line}:{col}: {message}"))

    def finish(self) -> None:
        """Raise InputError with all errors, in the order of the file, if there are any."""
        if self._errors:
            raise InputError("\n".join(text for _, _, text in sorted(self._errors)))

    def mapping(
        self, node: yaml.Node, what: str, keys: tuple[str, ...], required: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        """The values of a mapping by key. Unknown and repeated keys, and required ones that miss, are errors."""
        if not isinstance(node, yaml.MappingNode):
            self.error(node, f"{described(node)}, expected {what} (a mapping)")
            return {}
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key not in keys:
                near = difflib.get_close_matches(key[:80], keys, 1)
                hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(keys)}"
                self.error(key_node, f"unknown name {key[:80]!r}: {hint}")
            elif key in found:
                first = found[key].start_mark
                self.error(key_node, f"{key} given again; the first is in line {first.line + 1}")
            else:
                found[key] = value
        for key in required:
            if key not in found:
                self.error(node, f"{what} without {key}")
        return found

    def many(self, node: yaml.Node | None, read: Callable[[yaml.Node], T | None]) -> list[T]:
        """The values of a list, or of one value that stands for a list of one. An empty list is an error."""
        if node is None:
            return []
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not nodes:
            self.error(node, "an empty list, expected at least one value")
        return [value for each in nodes if (value := read(each)) is not None]

    def scalar(self, node: yaml.Node, what: str) -> Scalar | None:
        """A scalar, not null."""
        if isinstance(node, yaml.ScalarNode) and not is_null(node):
            return Scalar(node.value, node.tag == "tag:yaml.org,2002:str", node)
        self.error(node, f"{described(node)}, expected {what}")
        return None

    def text(self, node: yaml.Node, what: str) -> str | None:
        """A text."""
        found = self.scalar(node, what)
        if found is not None and not found.is_text:
            self.error(node, f"{found.text}, expected {what} (in quotes, if it is one)")
            return None
        return None if found is None else found.text


def compose(path: Path, what: str) -> yaml.Node:
    """The root node of a YAML file that holds `what`. Raises InputError with file:line:column."""
    try:
        data = read_file(path, what, _MAX_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 text, expected {what} in YAML") from None
    return _composed(text, path, what)


def _composed(text: str, path: Path, what: str) -> yaml.Node:
    try:
        depth = 0  # events first: composing recurses
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise InputError(f"{path}{_at(event.start_mark)}: nested {depth} deep, expected {what}")
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"{path}{_at(event.start_mark)}: an alias, expected the value itself")
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        at = _at(getattr(error, "problem_mark", None))
        parts = [part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part]
        raise InputError(f"{path}{at}: not YAML: {', '.join(parts) or str(error).splitlines()[0]}") from None
    if root is None:
        raise InputError(f"{path}: empty, expected {what}")
    return root


def _at(mark: Any) -> str:
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def is_null(node: yaml.Node) -> bool:
    """Whether a node is YAML's null."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def described(node: yaml.Node) -> str:
    """What a node holds, for messages."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if is_null(node):
        return "nothing"
    shown = node.value if len(node.value) <= 60 else node.value[:57] + "..."
    return repr(shown) if node.tag == "tag:yaml.org,2002:str" else str(shown)
