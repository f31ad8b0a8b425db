"""Device tree source to blob: pcpp preprocesses, dtlib parses, fdt flattens. The blob is, byte for byte, dtc's.

The kernel reserves the blob by its size and numbers nodes by their order, so order, phandles and the sharing of strings
must be dtc's. dtlib is Zephyr's and differs from dtc in some points; `SourceTree` puts them right. Libraries are imported
here and not above, because a tree that comes as a blob needs none of them.
"""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_NESTED = 12  # times a file may be open inside itself; an include guard ends a harmless cycle at once
MAX_TOKENS = 20_000_000  # of macro expansions
_M64 = (1 << 64) - 1
_NEEDS_PCPP = re.compile(
    r"^[ \t]*#[ \t]*(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|pragma|line|error|warning|import|\d|$)"
    r"|\\[ \t]*$|\b__(?:FILE|LINE|DATE|TIME|COUNTER|DTS)__",
    re.MULTILINE,
)

Lines = dict[tuple[str, str | None], str]


def compile_source(text: str, filename: str, include_dirs: Sequence[str] = ()) -> tuple[bytes, Lines]:
    """Compile source text; `filename` is where it came from, for includes beside it and for messages.

    Returns the blob, and "file:line" of every (path, property or None). Raises InputError with file and line of the
    source as it was written.
    """
    names = _Names(filename)
    if _NEEDS_PCPP.search(text):
        text = _preprocess(text, filename, include_dirs, names)
    tree = _parse(text, filename, include_dirs, names)
    return _flatten(tree), tree.lines


class _Names:
    """File names as a person wrote them: the main file as it was given, others relative to here if they are below."""

    def __init__(self, filename: str) -> None:
        self._main, self._main_path = filename, os.path.abspath(filename)
        self._here = os.path.join(os.getcwd(), "")

    def __call__(self, path: str) -> str:
        if path in (self._main, self._main_path):
            return self._main
        return path.removeprefix(self._here)


# -------------------------------------------------------------------- preprocessing


def _preprocess(text: str, filename: str, include_dirs: Sequence[str], names: _Names) -> str:
    cpp = _make_preprocessor(include_dirs, names)
    out = io.StringIO()
    try:
        cpp.parse(text, filename)
        cpp.write(out)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{cpp.here()}: macros or conditions nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - pcpp stumbles over much that cpp reports
        raise InputError(f"{cpp.here()}: the preprocessor cannot read this: {type(error).__name__}: {error}") from None
    return out.getvalue()


def _make_preprocessor(include_dirs: Sequence[str], names: _Names) -> Any:
    import pcpp

    class Preprocessor(pcpp.Preprocessor):  # type: ignore[misc]
        """cpp as the kernel's build runs it on device trees: -undef -D__DTS__ -x assembler-with-cpp."""

        def __init__(self) -> None:
            super().__init__()
            self.line_directive = "#"
            self.assume_encoding = "utf-8"
            self.rewrite_paths = []
            self.path = [os.path.abspath(directory) for directory in include_dirs]
            self.undef(self.tokenize("__PCPP__"))
            self.define("__DTS__ 1")
            self._open: list[str] = []
            self._budget = MAX_TOKENS

        def here(self) -> str:
            """The last directive's "file:line"."""
            last = self.lastdirective
            if last is None or not last.source:
                return names(self._open[-1]) if self._open else names("")
            return f"{names(last.source)}:{last.lineno}"

        def on_error(self, file: str, line: int, msg: str) -> None:
            raise InputError(f"{names(file)}:{line}: {msg}")

        def on_include_not_found(self, is_malformed: bool, is_system: bool, curdir: str, path: str) -> NoReturn:  # noqa: ARG002
            if is_malformed:
                raise InputError(f'{self.here()}: malformed #include {path}, expected "file" or <file>')
            where = "the folders given with -I" if is_system else "its folder and those given with -I"
            raise InputError(f"{self.here()}: cannot find {path!r} to include; looked in {where}")

        def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
            if os.path.exists(includepath) and not os.path.isfile(includepath):
                raise InputError(f"{self.here()}: {names(includepath)} is not a regular file, cannot include it")
            return super().on_file_open(is_system_include, includepath)

        def on_directive_unknown(self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any) -> bool | None:  # noqa: ARG002
            if directive.value == "error":
                raise InputError(f"{self.here()}: #error {''.join(tok.value for tok in toks)}")
            if directive.value == "warning":
                return True
            # A property such as #address-cells: for assembler cpp goes on to expand macros in such a line
            if any(tok.type == self.t_ID and tok.value in self.macros for tok in toks):
                expanded = self.expand_macros([_copy(tok) for tok in toks])
                toks[0].value = "".join(tok.value for tok in expanded)
                for tok in toks[1:]:
                    tok.value = ""
            return None

        def parsegen(self, input: str, source: str | None = None, abssource: str | None = None) -> Iterator[Any]:  # noqa: A002
            name = abssource or ""
            if self._open.count(name) >= MAX_NESTED:
                cycle = self._open[-1 - self._open[::-1].index(name) :] + [name]
                chain = " -> ".join(names(path) for path in cycle)
                raise InputError(f"{self.here()}: #include goes round in a circle: {chain}")
            self._open.append(name)
            yield from super().parsegen(input, source, abssource)
            self._open.pop()

        def expand_macros(self, tokens: list[Any], expanding_from: Sequence[str] = ()) -> list[Any]:
            self._budget -= len(tokens) + 1
            if self._budget < 0:
                raise InputError(f"{self.here()}: macros expand to more than {MAX_TOKENS} tokens")
            expanded: list[Any] = super().expand_macros(tokens, list(expanding_from))
            return expanded

    return Preprocessor()


def _copy(token: Any) -> Any:
    import copy

    return copy.copy(token)


# -------------------------------------------------------------------- parsing


def _parse(text: str, filename: str, include_dirs: Sequence[str], names: _Names) -> Any:
    from devicetree.dtlib import DTError

    tree = _make_tree(text, filename, include_dirs, names)
    try:
        tree.parse()
    except InputError:
        raise
    except DTError as error:
        message = str(error)
        located = _LOCATED.match(message)
        if located:
            raise InputError(f"{names(located[1])}:{located[2]}: {located[3]}") from None
        raise InputError(f"{names(filename)}: {message}") from None
    except RecursionError:
        raise InputError(f"{tree.here()}: nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - dtlib has no error of its own for some broken numbers and names
        raise InputError(f"{tree.here()}: cannot read this: {type(error).__name__}: {error}") from None
    return tree


_LOCATED = re.compile(r"(.*):(\d+) \(column \d+\): parse error: (.*)", re.DOTALL)


def _make_tree(text: str, filename: str, include_dirs: Sequence[str], names: _Names) -> Any:
    from devicetree import dtlib

    t = dtlib._T  # noqa: SLF001 - the parser's methods are meant for DT itself, of which this is one

    class SourceTree(dtlib.DT):  # type: ignore[misc]
        """dtlib's parser with dtc's ways, and the source line of everything."""

        def __init__(self) -> None:  # not DT's, which reads a file and takes /aliases more strictly than dtc
            self.filename = filename
            self._include_path = list(include_dirs)
            self._force = False
            self._file_contents = text
            self._tok_i = self._tok_end_i = 0
            self._filestack: list[Any] = []
            self.alias2node: dict[str, Any] = {}
            self._lexer_state = dtlib._DEFAULT  # noqa: SLF001
            self._saved_token = None
            self._lineno = 1
            self._root = None
            self._labels: dict[str, Any] = {}
            self._order: dict[str, dict[str, int]] = {}
            self._deleted = False
            self.lines: Lines = {}

        def here(self) -> str:
            """Where the parser is, as "file:line"."""
            return f"{names(self.filename)}:{self._lineno}"

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
                if tok.id == t.PROPNODENAME:
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
                elif tok.id in (t.DEL_NODE, t.DEL_PROP):
                    self._parse_deletion(node, tok.id == t.DEL_NODE)
                elif tok.val == "}":
                    self._expect_token(";")
                    return node
                else:
                    self._parse_error("expected node name, property name, or '}'")

        def _parse_child(self, node: Any, name: str, labels: list[str], omit_if_no_ref: bool) -> None:
            child = node.nodes.get(name) or dtlib.Node(name=name, parent=node, dt=self)
            self._add_labels(child, labels)
            if omit_if_no_ref:
                child._omit_if_no_ref = True  # noqa: SLF001
            node.nodes[name] = child
            self._parse_node(child)

        def _parse_property(self, node: Any, name: str, labels: list[str]) -> None:
            prop = node._get_prop(name)  # noqa: SLF001
            if self._check_token("="):
                self._parse_assignment(prop)
            elif self._check_token(";"):
                prop.value, prop._markers = b"", []  # noqa: SLF001
            else:
                self._parse_error("expected '{', '=', or ';'")
            for label in labels:
                dtlib._append_no_dup(prop.labels, label)  # noqa: SLF001

        def _parse_deletion(self, node: Any, of_node: bool) -> None:
            self._deleted = True
            name = self._next_token()
            if name.id != t.PROPNODENAME:
                self._parse_error(f"expected {'node' if of_node else 'property'} name")
            if of_node:
                if name.val in node.nodes:
                    node.nodes[name.val]._del()  # noqa: SLF001
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
                where = self.lines.get((node.path, "name"), names(filename))
                raise InputError(f"{where}: {node.path}: property name differs from the node's name")
            del node.props["name"]

        # ---------------------------------------------------------- labels

        def _add_labels(self, node: Any, labels: list[str]) -> None:
            for label in labels:
                dtlib._append_no_dup(node.labels, label)  # noqa: SLF001

        def _ref2node(self, s: str) -> Any:
            # dtlib searches the whole tree for every reference: once all is parsed, a table will do
            found = self._labels.get(s)
            return found if found is not None else super()._ref2node(s)

        # ---------------------------------------------------------- numbers

        def _parse_cells(self, prop: Any, n_bytes: int) -> None:
            # As dtlib's, with dtc's idea of what fits: the bits above are all clear or all set
            prop._add_marker(dtlib._N_BYTES_TO_TYPE[n_bytes])  # noqa: SLF001
            mask = (1 << 8 * n_bytes) - 1
            while True:
                tok = self._peek_token()
                if tok.id == t.REF:
                    self._next_token()
                    if n_bytes != 4:
                        self._parse_error("phandle references are only allowed in arrays with 32-bit elements")
                    prop._add_marker(dtlib._MarkerType.PHANDLE, tok.val)  # noqa: SLF001
                elif tok.id == t.LABEL:
                    prop._add_marker(dtlib._MarkerType.LABEL, tok.val)  # noqa: SLF001
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
            if tok.id in (t.NUM, t.CHAR_LITERAL):
                num: int = self._next_token().val
                if num > _M64:
                    self._parse_error(f"{num:#x} does not fit in 64 bits")
                return num
            if self._next_token().val != "(":
                self._parse_error(f"expected number or parenthesized expression, not {tok.val!r}")
            val = self._eval_ternary()
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
            value: int = super()._eval_mul()
            return value & _M64

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
            self._filestack.append(
                dtlib._FileStackElt(self.filename, self._lineno, self._file_contents, self._tok_end_i)  # noqa: SLF001
            )
            with self._open(self._unescape(filename.encode()).decode(), encoding="utf-8") as file:
                path = file.name
                if sum(os.path.abspath(one) == os.path.abspath(path) for one in inside):
                    chain = " -> ".join(names(one) for one in [*inside, path])
                    raise InputError(f"{self.here()}: /include/ goes round in a circle: {chain}")
                contents = file.read()
            self._file_contents, self.filename, self._lineno, self._tok_end_i = contents, path, 1, 0

        def _open(self, filename: str, mode: str = "r", **kwargs: Any) -> Any:
            folders = [os.path.dirname(self.filename), *self._include_path]
            for path in (os.path.join(folder, filename) for folder in folders):
                try:
                    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
                        raise InputError(f"{self.here()}: {names(path)} is not a regular file, cannot include it")
                    return open(path, mode, **kwargs)  # noqa: PTH123, SIM115 - the caller closes it
                except FileNotFoundError:
                    continue
                except (OSError, ValueError) as error:
                    raise InputError(f"{self.here()}: cannot include {filename!r}: {error}") from None
            raise InputError(
                f"{self.here()}: cannot find {filename!r} to include; looked in its folder and those given with -I"
            )

    return SourceTree()


# -------------------------------------------------------------------- flattening


def _flatten(tree: Any) -> bytes:
    import fdt

    flat = fdt.FDT(fdt.Header())
    flat.header.version, flat.header.last_comp_version, flat.header.boot_cpuid_phys = 17, 16, 0
    flat.entries = [{"address": base, "size": size} for _, base, size in tree.memreserves]
    _fill(flat.root, tree.root)
    blob: bytes = flat.to_dtb()
    return blob


def _fill(flat: Any, node: Any) -> None:
    # The lists are filled directly: append() looks for equal names each time, and dtlib has none
    from fdt import Node, PropBytes

    for prop in node.props.values():
        flat.props.append(PropBytes(prop.name, data=prop.value))
    for child in node.nodes.values():
        below = Node(child.name)
        flat.nodes.append(below)
        _fill(below, child)
