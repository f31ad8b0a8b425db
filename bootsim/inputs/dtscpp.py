"""The preprocessor for device tree source: pcpp, as the kernel's build runs cpp. Imported only when source needs it."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pcpp

from bootsim.errors import InputError
from bootsim.inputs.dtsnames import is_irregular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.inputs.dtsnames import Reach, SourceNames

MAX_NESTED = 12  # times a file may be open inside itself; an include guard ends a harmless circle at once
MAX_TOKENS = 300_000  # of macro expansions; the largest kernel trees take 65 000

_DIRECTIVE = re.compile(
    r"[ \t]*#[ \t]*(?:(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|pragma|line|error|warning|import)\b|\d|$)"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_SPECIAL = frozenset({"__LINE__", "__COUNTER__"})
_SPAN = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL)


class _RawToken:
    """Whole lines of text, or the end of the last of them, in the form pcpp gives its tokens."""

    def __init__(self, kind: str, value: str, lineno: int, source: str) -> None:
        self.type, self.value, self.lineno, self.source, self.lexpos = kind, value, lineno, source, 0


def _joined_lines(text: str) -> set[int]:
    """The lines (from 0) that go on in the next one, because of a block comment or a backslash."""
    joined: set[int] = set()
    line = position = 0
    for match in _SPAN.finditer(text):
        if match[0][:2] == "/*" and "\n" in match[0]:
            line += text.count("\n", position, match.start())
            position = match.start()
            joined.update(range(line, line + match[0].count("\n")))
    if "\\\n" in text:
        joined.update(i for i, content in enumerate(text.split("\n")) if content.endswith("\\"))
    return joined


def preprocess(text: str, filename: str, reach: Reach, names: SourceNames) -> str:
    """Return the text with includes and macros expanded and `# line "file"` markers. Raises InputError."""
    cpp = Preprocessor(reach, names)
    try:
        cpp.parse(text, filename)
        return cpp.output()
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{cpp.here()}: macros or conditions nested too deeply") from None
    except Exception as error:
        raise InputError(f"{cpp.here()}: the preprocessor cannot read this: {type(error).__name__}: {error}") from None


class Preprocessor(pcpp.Preprocessor):  # type: ignore[misc]
    """cpp as the kernel's build runs it on device trees: -undef -D__DTS__ -x assembler-with-cpp."""

    def __init__(self, reach: Reach, names: SourceNames) -> None:
        super().__init__()
        self._names, self._reach, self._written = names, reach, ""
        self.line_directive = "#"
        self.assume_encoding = "utf-8"
        self.rewrite_paths: list[Any] = []
        self.path = [str(Path(directory).resolve()) for directory in reach.include_dirs]
        self.undef(self.tokenize("__PCPP__"))
        self.define("__DTS__ 1")
        self._open: list[str] = []
        self._budget = MAX_TOKENS
        self._open_call, self._open_parentheses = False, 0

    def here(self) -> str:
        """The last directive's "file:line"."""
        last = self.lastdirective
        if last is None or not last.source:
            return self._names(self._open[-1]) if self._open else self._names("")
        return f"{self._names(last.source)}:{last.lineno}"

    def on_error(self, file: str, line: int, msg: str) -> None:
        """Stop at whatever cpp calls an error."""
        raise InputError(f"{self._names(file)}:{line}: {msg}")

    def on_include_not_found(self, is_malformed: bool, is_system: bool, curdir: str, path: str) -> NoReturn:  # noqa: ARG002
        """Stop, and say where the file was looked for."""
        if is_malformed:
            raise InputError(f'{self.here()}: malformed #include {path}, expected "file" or <file>')
        where = "the folders given with -I" if is_system else "its folder and those given with -I"
        raise InputError(f"{self.here()}: cannot find {path!r} to include; looked in {where}")

    def include(self, tokens: list[Any], original_line: Any) -> Iterator[Any]:
        """Take in a file; how it is written is kept for `on_file_open`."""
        self._written = "".join(token.value for token in tokens).strip('"<> ')
        yield from super().include(tokens, original_line)

    def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
        """Open an include; anything but a regular file is refused."""
        if is_irregular(includepath):
            raise InputError(f"{self.here()}: {self._names(includepath)} is not a regular file, cannot include it")
        self._reach.check(includepath, self._written, self.here())
        return super().on_file_open(is_system_include, includepath)

    def on_directive_unknown(self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any) -> bool | None:  # noqa: ARG002
        """Stop at #error; expand macros in a property such as #address-cells, as cpp does for assembler."""
        if directive.value == "error":
            raise InputError(f"{self.here()}: #error {''.join(tok.value for tok in toks)}")
        if directive.value == "warning":
            return True
        if any(tok.type == self.t_ID and tok.value in self.macros for tok in toks):
            expanded = self.expand_macros([copy.copy(tok) for tok in toks])
            toks[0].value = "".join(tok.value for tok in expanded)
            for tok in toks[1:]:
                tok.value = ""
        return None

    def parsegen(self, input: str, source: str | None = None, abssource: str | None = None) -> Iterator[Any]:  # noqa: A002
        """Parse one file; stop when it is being read already too many times."""
        name = abssource or ""
        if self._open.count(name) >= MAX_NESTED:
            cycle = self._open[-1 - self._open[::-1].index(name) :] + [name]
            chain = " -> ".join(self._names(path) for path in cycle)
            raise InputError(f"{self.here()}: #include goes round in a circle: {chain}")
        self._open.append(name)
        yield from super().parsegen(input, source, abssource)
        self._open.pop()

    def group_lines(self, input: str, abssource: str) -> Iterator[list[Any]]:  # noqa: A002
        """Take lines apart for pcpp. Most hold nothing for it: they pass in one piece, several at a time."""
        lines = [line.rstrip() for line in input.split("\n")]
        joined = _joined_lines("\n".join(lines))
        start, count = 0, len(lines)
        while start < count:
            end = start
            while end < count and end not in joined and self._is_plain(lines[end]):
                end += 1
            if end > start:
                yield self._raw(lines[start:end], start + 1, abssource)
                start = end
                continue
            while end in joined and end < count - 1:
                end += 1
            for tokens in super().group_lines("\n".join(lines[start : end + 1]) + "\n", abssource):
                for token in tokens:
                    token.lineno += start
                self._follow(tokens)
                yield tokens
            start = end + 1

    def _is_plain(self, line: str) -> bool:
        # Whether pcpp would put out the line as it is.
        if self._open_call or "'" in line or "\\" in line or "//" in line or "/*" in line or line.count('"') % 2:
            return False
        if _DIRECTIVE.match(line):
            return False
        macros = self.macros
        return not any(word in macros or word in _SPECIAL for word in _WORD.findall(line))

    def _raw(self, lines: list[str], lineno: int, source: str) -> list[Any]:
        last = lineno + len(lines) - 1
        return [_RawToken("RAW", "\n".join(lines), lineno, source), _RawToken(self.t_NEWLINE, "\n", last, source)]

    def _follow(self, tokens: list[Any]) -> None:
        # The arguments of a macro may go on in the next lines, which then are not plain.
        words = [tok.value for tok in tokens if tok.value.strip()]
        if not words:
            return
        if words[0] == "#":
            self._open_parentheses, self._open_call = 0, False
            return
        self._open_parentheses = max(0, self._open_parentheses + words.count("(") - words.count(")"))
        last = self.macros.get(words[-1])
        self._open_call = self._open_parentheses > 0 or (last is not None and last.arglist is not None)

    def output(self) -> str:
        """All text, with line markers wherever lines do not follow one another."""
        out: list[str] = []
        source, expected, at_start = None, 0, True
        while (token := self.token()) is not None:
            if not token.value:
                continue
            if at_start and (token.source != source or token.lineno != expected):
                source, expected = token.source, token.lineno
                out.append(f'# {expected} "{source}"\n')
            out.append(token.value)
            expected += token.value.count("\n")
            at_start = token.value[-1] == "\n"
        return "".join(out)

    def expand_macros(self, tokens: list[Any], expanding_from: Sequence[str] = ()) -> list[Any]:
        """Expand macros, within the budget that all of a run share."""
        self._budget -= len(tokens) + 1
        if self._budget < 0:
            raise InputError(f"{self.here()}: macros expand to more than {MAX_TOKENS} tokens")
        expanded: list[Any] = super().expand_macros(tokens, list(expanding_from))
        return expanded
