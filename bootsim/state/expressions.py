"""Expectations on a boot: a small language of its own, so that a file from anywhere can be checked safely.

    expression  = term { "or" term } .
    term        = factor { "and" factor } .
    factor      = "not" factor | "no" NAME | "(" expression ")" | comparison .
    comparison  = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand
                          | [ "not" ] "in" operand ( "-" | ".." ) operand ] .
    operand     = NUMBER | NAME | TEXT .

    lowmem >= 700M and no overlap
    cma.default.base in 0x80000000-0x9fffffff       both ends belong to the range
    digest == 5f0c...                               what a text is compared with needs no quotes

NUMBER is decimal or 0x hexadecimal, with K, M or G. NAME is a quantity (bootsim.state.quantities), in backquotes when
it holds blanks. TEXT stands in single or double quotes. `no NAME` holds when the quantity is 0, a NAME alone when it is
not. A quantity that a boot does not have makes its comparison fail. Every part keeps its column.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from bootsim.errors import BootsimError
from bootsim.sizes import parse_number
from bootsim.state.quantities import TEXTS, UnknownQuantityError, shown

MAX_LENGTH = 2000
MAX_DEPTH = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<op><=|>=|==|!=|\.\.|[<>()-])|(?P<name>[A-Za-z_](?:[\w,@:/+-]|\.(?!\.))*)|`(?P<quoted>[^`]+)`"
    r"|(?P<number>[0-9][\w/]*)|(?P<text>\"[^\"]*\"|'[^']*'))"
)
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_WORDS = frozenset({"and", "or", "not", "no", "in"})


class Values(Protocol):
    """What an expression is held against."""

    def value(self, name: str) -> int | str:
        """The value of a quantity. Raises UnknownQuantityError."""

    def unit(self, name: str) -> str:
        """The unit of a quantity."""


class ExpressionError(BootsimError):
    """Text that is no expression. `column` counts from 0 at its start."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


class Outcome(NamedTuple):
    """Whether an expression holds; if not, why, and the quantities that decided. `unknown` are names without one."""

    holds: bool
    reasons: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Operand(NamedTuple):
    """A number, a text or a name, as it was written."""

    kind: str
    written: str
    value: int | str
    column: int


class Compare(NamedTuple):
    """`left op right`."""

    op: str
    left: Operand
    right: Operand


class Within(NamedTuple):
    """`operand in first-last`, both ends included."""

    operand: Operand
    first: Operand
    last: Operand
    negated: bool


class Zero(NamedTuple):
    """`no NAME` (`wanted` True), or a NAME by itself (False)."""

    operand: Operand
    wanted: bool


class Not(NamedTuple):
    """`not inner`."""

    inner: Node


class Both(NamedTuple):
    """`a and b and ...` or, with `every` False, `a or b or ...`."""

    parts: tuple[Node, ...]
    every: bool


Node = Compare | Within | Zero | Not | Both


class Expression(NamedTuple):
    """A parsed expression and its text."""

    text: str
    root: Node

    def names(self) -> tuple[str, ...]:
        """The quantities it mentions, in order, each once."""
        return tuple(dict.fromkeys(operand.written for operand in _operands(self.root) if operand.kind == "name"))

    def evaluate(self, values: Values) -> Outcome:
        """Hold the expression against the values of a boot."""
        return _evaluate(self.root, values)


def parse(text: str) -> Expression:
    """Parse an expression. Raises ExpressionError with the column of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{len(text)} characters, expected at most {MAX_LENGTH}", 0)
    parser = _Parser(_tokens(text), len(text))
    root = parser.either(0)
    if parser.token is not None:
        raise parser.expected("and, or, or the end")
    return Expression(text, root)


def _operands(node: Node) -> list[Operand]:
    if isinstance(node, Compare):
        return [node.left, node.right]
    if isinstance(node, Within):
        return [node.operand, node.first, node.last]
    if isinstance(node, Zero):
        return [node.operand]
    if isinstance(node, Not):
        return _operands(node.inner)
    return [operand for part in node.parts for operand in _operands(part)]


# -------------------------------------------------------------------- parsing


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"unexpected {text[at]!r}", at)
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; one method a rule."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._length = length

    @property
    def token(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def expected(self, what: str) -> ExpressionError:
        token = self.token
        found = "the end" if token is None else repr(token.text)
        return ExpressionError(f"found {found}, expected {what}", self._length if token is None else token.column)

    def take(self, *words: str) -> str | None:
        token = self.token
        if token is None or token.kind not in ("op", "name") or token.text not in words:
            return None
        self._at += 1
        return token.text

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.expected(f"at most {MAX_DEPTH} levels")
        return self._joined("or", self._all, depth)

    def _all(self, depth: int) -> Node:
        return self._joined("and", self._factor, depth)

    def _joined(self, word: str, rule: Callable[[int], Node], depth: int) -> Node:
        parts = [rule(depth)]
        while self.take(word):
            parts.append(rule(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts), word == "and")

    def _factor(self, depth: int) -> Node:
        if self.take("not"):
            if depth > MAX_DEPTH:
                raise self.expected(f"at most {MAX_DEPTH} levels")
            return Not(self._factor(depth + 1))
        if self.take("no"):
            return Zero(self._name(), True)
        if self.take("("):
            inner = self.either(depth + 1)
            if not self.take(")"):
                raise self.expected("and, or, or )")
            return inner
        return self._comparison()

    def _name(self) -> Operand:
        operand = self._operand("a quantity's name")
        if operand.kind != "name":
            self._at -= 1
            raise self.expected("a quantity's name")
        return operand

    def _comparison(self) -> Node:
        left = self._operand()
        if op := self.take(*_COMPARE):
            return _checked(op, left, self._operand())
        if self.take("in"):
            return self._range(left, negated=False)
        if self.take("not"):
            if not self.take("in"):
                raise self.expected("in")
            return self._range(left, negated=True)
        if left.kind != "name":
            raise self.expected("a comparison (==, !=, <, <=, >, >= or in)")
        return Zero(left, False)

    def _range(self, operand: Operand, *, negated: bool) -> Node:
        first = self._operand("a range such as 0x80000000-0x9fffffff")
        if not self.take("-", ".."):
            raise self.expected("- and the end of the range")
        last = self._operand("the end of the range")
        for each in (operand, first, last):
            if each.kind == "text" or (each.kind == "name" and each.written in TEXTS):
                raise ExpressionError(f"{each.written!r} is a text, expected a number or a quantity", each.column)
        if isinstance(first.value, int) and isinstance(last.value, int) and first.value > last.value:
            raise ExpressionError(f"the range {first.written}-{last.written} is empty", first.column)
        return Within(operand, first, last, negated)

    def _operand(self, what: str = "a quantity, a number or a quoted text") -> Operand:
        token = self.token
        if token is None or token.kind == "op" or (token.kind == "name" and token.text in _WORDS):
            raise self.expected(what)
        self._at += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return Operand("text", token.text[1:-1], token.text[1:-1], token.column)
        return Operand("name", token.text, token.text, token.column)


def _number(token: _Token) -> Operand:
    try:
        return Operand("number", token.text, parse_number(token.text), token.column)
    except ValueError:
        # a digest may begin with a digit: only a comparison with a text quantity takes it
        return Operand("word", token.text, token.text, token.column)


def _checked(op: str, left: Operand, right: Operand) -> Compare:
    # A text quantity makes a text of what it is compared with; words are nothing else.
    sides = (left, right)
    if any(side.kind == "name" and side.written in TEXTS for side in sides):
        if op not in ("==", "!="):
            raise ExpressionError(f"{op} compares numbers, and a text is only == or !=", right.column)
        left, right = (
            side if side.kind == "name" and side.written in TEXTS else Operand("text", side.written, side.written,
                                                                              side.column)
            for side in sides
        )  # fmt: skip
        return Compare(op, left, right)
    for side in sides:
        if side.kind == "word":
            raise ExpressionError(f"{side.written!r} is not a number such as 700M or 0x60000000", side.column)
        if side.kind == "text" and op not in ("==", "!="):
            raise ExpressionError(f"{op} compares numbers, and {side.written!r} is a text", side.column)
    return Compare(op, left, right)


# -------------------------------------------------------------------- evaluation


def _value(operand: Operand, values: Values) -> int | str:
    return values.value(operand.written) if operand.kind == "name" else operand.value


def _told(operand: Operand, values: Values) -> str:
    return f"{operand.written} is {shown(values.value(operand.written), values.unit(operand.written))}"


def _evaluate(node: Node, values: Values) -> Outcome:
    if isinstance(node, Both):
        return _joined(node, values)
    if isinstance(node, Not):
        inner = _evaluate(node.inner, values)
        names = tuple(operand.written for operand in _operands(node.inner) if operand.kind == "name")
        reasons = () if not inner.holds else (f"{_written(node.inner)} holds, expected not",)
        return inner._replace(holds=not inner.holds and not inner.unknown,
                              reasons=inner.reasons if inner.unknown else reasons, names=names)  # fmt: skip
    names = tuple(operand.written for operand in _operands(node) if operand.kind == "name")
    try:
        return _leaf(node, values, names)
    except UnknownQuantityError as error:
        return Outcome(False, (str(error),), names, (error.name,))


def _leaf(node: Compare | Within | Zero, values: Values, names: tuple[str, ...]) -> Outcome:
    if isinstance(node, Zero):
        zero = not _value(node.operand, values)
        if zero == node.wanted:
            return Outcome(True, (), names)
        return Outcome(False, (f"{_told(node.operand, values)}, expected {'0' if node.wanted else 'another'}",), names)
    if isinstance(node, Within):
        value, first, last = (_value(each, values) for each in (node.operand, node.first, node.last))
        inside = isinstance(value, int) and isinstance(first, int) and isinstance(last, int) and first <= value <= last
        holds = inside != node.negated
        wanted = f"expected it {'outside' if node.negated else 'in'} {node.first.written}-{node.last.written}"
        told = [_told(each, values) for each in (node.operand, node.first, node.last) if each.kind == "name"]
        return Outcome(holds, () if holds else (f"{', '.join(told)}, {wanted}",), names)
    left, right = _value(node.left, values), _value(node.right, values)
    if isinstance(left, str) or isinstance(right, str):
        holds = (str(left) == str(right)) == (node.op == "==")
    else:
        holds = _COMPARE[node.op](left, right)
    told = [_told(each, values) for each in (node.left, node.right) if each.kind == "name"]
    told = told or [node.left.written]
    bound = node.right.written if node.left.kind == "name" else node.left.written
    op = node.op if node.left.kind == "name" else _MIRRORED[node.op]
    return Outcome(holds, () if holds else (f"{', '.join(told)}, expected {op} {bound}",), names)


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _joined(node: Both, values: Values) -> Outcome:
    outcomes = [_evaluate(part, values) for part in node.parts]
    holds = all(o.holds for o in outcomes) if node.every else any(o.holds for o in outcomes)
    failed = [o for o in outcomes if not o.holds]
    return Outcome(
        holds,
        () if holds else tuple(reason for o in failed for reason in o.reasons),
        tuple(dict.fromkeys(name for o in (outcomes if holds else failed) for name in o.names)),
        tuple(dict.fromkeys(name for o in failed for name in o.unknown)),
    )


def _written(node: Node) -> str:
    if isinstance(node, Compare):
        return f"{node.left.written} {node.op} {node.right.written}"
    if isinstance(node, Within):
        inside = "not in" if node.negated else "in"
        return f"{node.operand.written} {inside} {node.first.written}-{node.last.written}"
    if isinstance(node, Zero):
        return f"no {node.operand.written}" if node.wanted else node.operand.written
    if isinstance(node, Not):
        return f"not {_written(node.inner)}"
    return f" {'and' if node.every else 'or'} ".join(_written(part) for part in node.parts)
