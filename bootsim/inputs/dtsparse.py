# ruff: noqa: SLF001 - dtlib's nodes and properties are made by its parser, which this one is
"""The parser of device tree source: Zephyr's dtlib with dtc's ways. Import it only for source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devicetree.dtlib import (
    _DEFAULT,
    _EXPECT_PROPNODENAME,
    _N_BYTES_TO_TYPE,
    _T,
    DT,
    DTError,
    Node,
    _append_no_dup,
    _FileStackElt,
    _MarkerType,
    _Token,
)

from bootsim.errors import InputError
from bootsim.inputs.dtsnames import is_irregular

if TYPE_CHECKING:

    from bootsim.inputs.dtsnames import Reach, SourceNames

_M64 = (1 << 64) - 1
_LOCATED = re.compile(r"(.*):(\d+) \(column \d+\): parse error: (.*)", re.DOTALL)

# Tokens that can be nothing else, after white space: punctuation, numbers without suffix or octal zero, names of
# properties and nodes.
_PLAIN_TOKEN = re.compile(r"(\s*)(?:([;,{}()]|=(?!=)|<(?![<=])|>(?![>=]))|(0x[0-9a-fA-F]+|[1-9][0-9]*|0)(?![\w]))")
_PLAIN_NAME = re.compile(r"(\s*)(?:(})|([a-zA-Z0-9,._+*#?@-]+)(?=\s*[{=;]))")


def parse(text: str, filename: str, reach: Reach, names: SourceNames) -> SourceTree:
    """Parse preprocessed text into a tree with all references resolved. Raises InputError."""
    tree = SourceTree(text, filename, reach, names)
    try:
        tree.parse()
    except InputError:
        raise
    except DTError as error:
        located = _LOCATED.match(str(error))
        if located:
            raise InputError(f"{names(located[1])}:{located[2]}: {located[3]}") from None
        raise InputError(f"{names(filename)}: {error}") from None
    except RecursionError:
        raise InputError(f"{tree.here()}: nested too deeply") from None
    except Exception as error:
        raise InputError(f"{tree.here()}: cannot read this: {type(error).__name__}: {error}") from None
    return tree


class SourceTree(DT):  # type: ignore[misc]
    """dtlib's parser with dtc's ways, and the source line of everything."""

    def __init__(self, text: str, filename: str, reach: Reach, names: SourceNames) -> None:
        # not DT's, which reads a file, and takes /aliases more strictly than dtc
        self._names, self._main = names, filename
        self.filename = filename
        self._reach = reach
        self._include_path = reach.include_dirs
        self._force = False
        self._file_contents = text
        self._tok_i = self._tok_end_i = 0
        self._filestack: list[Any] = []
        self.alias2node: dict[str, Any] = {}
        self._lexer_state = _DEFAULT
        self._saved_token: Any = None
        self._lineno = 1
        self._root = None
        self._labels: dict[str, Any] = {}
        self._order: dict[str, dict[str, int]] = {}
        self._deleted = False
        self.lines: dict[tuple[str, str | None], str] = {}

    def here(self) -> str:
        """Where the parser is, as "file:line"."""
        return f"{self._names(self.filename)}:{self._lineno}"

    def parse(self) -> None:
        """Parse and resolve; afterwards `root` and `memreserves` hold the tree."""
        self._parse_dt()
        if self._deleted:
            self._restore_order(self.root)
        self._register_phandles()
        self._labels = {label: node for node in self.node_iter() for label in node.labels}
        self._fixup_props()
        self._remove_unreferenced()
        self._register_labels()
        for node in self.node_iter():
            self._drop_name(node)

    # ---------------------------------------------------------- nodes and properties

    def _parse_node(self, node: Any) -> Any:
        # As dtlib's, and: lines, order, and a bare `foo;` empties an earlier `foo = ...`
        path = node.path
        self.lines.setdefault((path, None), self.here())
        order = self._order.setdefault(path, {})
        self._expect_token("{")
        while True:
            labels, omit_if_no_ref = self._parse_propnode_labels()
            tok = self._next_token()
            if tok.id == _T.PROPNODENAME:
                where = self.here()
                if self._peek_token().val == "{":
                    order.setdefault("/" + tok.val, len(order))
                    self.lines.setdefault((f"{'' if path == '/' else path}/{tok.val}", None), where)
                    self._parse_child(node, tok.val, labels, omit_if_no_ref)
                else:
                    if omit_if_no_ref:
                        self._parse_error("/omit-if-no-ref/ can only be used on nodes")
                    order.setdefault(tok.val, len(order))
                    self.lines[path, tok.val] = where
                    self._parse_property(node, tok.val, labels)
            elif tok.id in (_T.DEL_NODE, _T.DEL_PROP):
                self._parse_deletion(node, tok.id == _T.DEL_NODE)
            elif tok.val == "}":
                self._expect_token(";")
                return node
            else:
                self._parse_error("expected node name, property name, or '}'")

    def _parse_child(self, node: Any, name: str, labels: list[str], omit_if_no_ref: bool) -> None:
        child = node.nodes.get(name) or Node(name=name, parent=node, dt=self)
        self._add_labels(child, labels)
        if omit_if_no_ref:
            child._omit_if_no_ref = True
        node.nodes[name] = child
        self._parse_node(child)

    def _parse_property(self, node: Any, name: str, labels: list[str]) -> None:
        prop = node._get_prop(name)
        if self._check_token("="):
            self._parse_assignment(prop)
        elif self._check_token(";"):
            prop.value, prop._markers = b"", []
        else:
            self._parse_error("expected '{', '=', or ';'")
        for label in labels:
            _append_no_dup(prop.labels, label)

    def _parse_deletion(self, node: Any, of_node: bool) -> None:
        self._deleted = True
        name = self._next_token()
        if name.id != _T.PROPNODENAME:
            self._parse_error(f"expected {'node' if of_node else 'property'} name")
        if of_node:
            if name.val in node.nodes:
                node.nodes[name.val]._del()
        else:
            node.props.pop(name.val, None)
        self._expect_token(";")

    def _next_ref2node(self) -> Any:
        self._deleted = True  # this may be a /delete-node/
        return super()._next_ref2node()

    def _restore_order(self, node: Any) -> None:
        # What was deleted and defined again stands, for dtc, where it first stood.
        order = self._order.get(node.path, {})
        end = len(order)
        node.props = dict(sorted(node.props.items(), key=lambda item: order.get(item[0], end)))
        node.nodes = dict(sorted(node.nodes.items(), key=lambda item: order.get("/" + item[0], end)))
        for child in node.nodes.values():
            self._restore_order(child)

    def _drop_name(self, node: Any) -> None:
        # dtc leaves out `name`, which says what the node's name says already
        name = node.props.get("name")
        if name is None:
            return
        if name.value != node.name.partition("@")[0].encode() + b"\0":
            where = self.lines.get((node.path, "name"), self._names(self._main))
            raise InputError(f"{where}: {node.path}: property name differs from the node's name")
        del node.props["name"]

    # ---------------------------------------------------------- labels

    def _add_labels(self, node: Any, labels: list[str]) -> None:
        for label in labels:
            _append_no_dup(node.labels, label)

    def _ref2node(self, s: str) -> Any:
        # dtlib searches the whole tree for every reference: once all is parsed, a table will do
        found = self._labels.get(s)
        return found if found is not None else super()._ref2node(s)

    # ---------------------------------------------------------- tokens

    def _next_token(self) -> Any:
        # What most tokens are, without trying all of dtlib's patterns at each
        if self._saved_token is not None:
            token, self._saved_token = self._saved_token, None
            return token
        state = self._lexer_state
        if state in (_DEFAULT, _EXPECT_PROPNODENAME):
            pattern = _PLAIN_TOKEN if state == _DEFAULT else _PLAIN_NAME
            match = pattern.match(self._file_contents, self._tok_end_i)
            if match is not None:
                space = match[1]
                if space:
                    self._lineno += space.count("\n")
                group = 2 if match[2] is not None else 3
                self._tok_i, self._tok_end_i = match.span(group)
                value = match[group]
                if group == 2:
                    if value in ("{", ";"):
                        self._lexer_state = _EXPECT_PROPNODENAME
                    return _Token(_T.MISC, value)
                if state == _EXPECT_PROPNODENAME:
                    self._lexer_state = _DEFAULT
                    return _Token(_T.PROPNODENAME, value)
                return _Token(_T.NUM, int(value, 0))
        return super()._next_token()

    # ---------------------------------------------------------- numbers

    def _parse_cells(self, prop: Any, n_bytes: int) -> None:
        # As dtlib's, with dtc's idea of what fits: the bits above are all clear or all set
        prop._add_marker(_N_BYTES_TO_TYPE[n_bytes])
        mask = (1 << 8 * n_bytes) - 1
        while True:
            tok = self._peek_token()
            if tok.id == _T.REF:
                self._next_token()
                if n_bytes != 4:
                    self._parse_error("phandle references are only allowed in arrays with 32-bit elements")
                prop._add_marker(_MarkerType.PHANDLE, tok.val)
            elif tok.id == _T.LABEL:
                prop._add_marker(_MarkerType.LABEL, tok.val)
                self._next_token()
            elif self._check_token(">"):
                return
            else:
                num = self._eval_prim()
                if num > mask and num | mask != _M64:
                    self._parse_error(f"{num:#x} does not fit in {8 * n_bytes} bits")
                prop.value += (num & mask).to_bytes(n_bytes, "big")

    def _eval_prim(self) -> int:
        tok = self._peek_token()
        if tok.id in (_T.NUM, _T.CHAR_LITERAL):
            num: int = self._next_token().val
            if num > _M64:
                self._parse_error(f"{num:#x} does not fit in 64 bits")
            return num
        if self._next_token().val != "(":
            self._parse_error(f"expected number or parenthesized expression, not {tok.val!r}")
        val: int = self._eval_ternary()
        self._expect_token(")")
        return val

    # Expressions are 64-bit and unsigned. dtlib's methods compute with Python's numbers, which agree as long as
    # no step goes below zero or above 64 bits.
    def _eval_unary(self) -> int:
        value: int = super()._eval_unary()
        return value & _M64

    def _eval_add(self) -> int:
        value: int = self._eval_mul()
        while True:
            if self._check_token("+"):
                value = value + self._eval_mul() & _M64
            elif self._check_token("-"):
                value = value - self._eval_mul() & _M64
            else:
                return value

    def _eval_mul(self) -> int:
        value: int = self._eval_unary()
        while True:
            if self._check_token("*"):
                value = value * self._eval_unary() & _M64
            elif self._check_token("/"):
                value //= self._divisor()
            elif self._check_token("%"):
                value %= self._divisor()
            else:
                return value

    def _divisor(self) -> int:
        value: int = self._eval_unary()
        if not value:
            self._parse_error("division by zero")
        return value

    def _eval_shift(self) -> int:
        value: int = self._eval_add()
        while True:
            if self._check_token("<<"):
                count = self._eval_add()
                value = value << count & _M64 if count < 64 else 0
            elif self._check_token(">>"):
                count = self._eval_add()
                value = value >> count if count < 64 else 0
            else:
                return value

    # ---------------------------------------------------------- files

    def _enter_file(self, filename: str) -> None:
        # As dtlib's, which would not notice a circle of files in several folders
        inside = [element[0] for element in self._filestack] + [self.filename]
        path, contents = self._read(self._unescape(filename.encode()).decode(), inside)
        self._filestack.append(_FileStackElt(self.filename, self._lineno, self._file_contents, self._tok_end_i))
        self._file_contents, self.filename, self._lineno, self._tok_end_i = contents, path, 1, 0

    def _read(self, filename: str, inside: list[str]) -> tuple[str, str]:
        with self._open(filename, encoding="utf-8") as file:
            path = str(file.name)
            if Path(path).resolve() in [Path(one).resolve() for one in inside]:
                chain = " -> ".join(self._names(one) for one in [*inside, path])
                raise InputError(f"{self.here()}: /include/ goes round in a circle: {chain}")
            return path, file.read()

    def _open(self, filename: str, mode: str = "r", **kwargs: Any) -> Any:
        # As dtlib's, for regular files only
        for folder in [Path(self.filename).parent, *map(Path, self._include_path)]:
            path = str(folder / filename)
            if is_irregular(path):
                raise InputError(f"{self.here()}: {self._names(path)} is not a regular file, cannot include it")
            self._reach.check(path, filename, self.here(), data="b" in mode)
            try:
                return open(path, mode, **kwargs)  # noqa: PTH123 - the caller closes it
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise InputError(f"{self.here()}: cannot include {filename!r}: {error}") from None
        raise InputError(
            f"{self.here()}: cannot find {filename!r} to include; looked in its folder and those given with -I"
        )
