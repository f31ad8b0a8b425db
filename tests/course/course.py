"""The course in docs/course.md and docs/course.zh.md: its topics, and what their commands print.

A topic is a heading `## N. Title`, prose, and blocks of commands with what they print:

    ```console
    $ bootsim show vexpress.dts buddyinfo --mem 1G
    Node 0, zone   Normal ...
    $ bootsim shell vexpress.dts --mem 1G
    >>> page = alloc_page(GFP_KERNEL)
    bootsim: alloc_page(GFP_KERNEL) = page 0x8fbff
    ```

A line `...` among what is printed stands for any lines. `main()` writes what the commands print into both files, and
the pictures that they save into docs/pictures: `make course`.
"""

from __future__ import annotations

import builtins
import contextlib
import difflib
import io
import re
import shlex
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

import bootsim
from bootsim.cli.group import cli
from bootsim.cli.inputs import parsed
from bootsim.lab.prompt import Prompt, show_value
from bootsim.lab.session import Session
from bootsim.views import alive

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"
LANGUAGES = {"English": ROOT / "docs/course.md", "Chinese": ROOT / "docs/course.zh.md"}
_HEADING = re.compile(r"^## (?=\d)(?P<numbers>[\d, -]+)\. (?P<title>.*?) *(?:<a id=\"[\w-]+\"></a> *)+$", re.MULTILINE)
_FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = "$ bootsim shell "
ANY = "..."


class Entry(NamedTuple):
    """A command of a block, one line or several, and the lines shown under it."""

    command: list[str]
    shown: list[str]


class Topic(NamedTuple):
    """A heading's numbers and title, the prose below it, and the text of each block."""

    numbers: tuple[int, ...]
    title: str
    prose: str
    blocks: list[str]


def topics(text: str) -> list[Topic]:
    """Return the topics of one language."""
    starts = [*_HEADING.finditer(text)]
    ends = [*(match.start() for match in starts[1:]), len(text)]
    found = []
    for match, end in zip(starts, ends, strict=True):
        body = text[match.end() : end]
        found.append(Topic(_numbers(match["numbers"]), match["title"], _FENCE.sub("", body), _FENCE.findall(body)))
    return found


def _numbers(words: str) -> tuple[int, ...]:
    # "17, 18" or "23-25" or "3"
    first, dash, last = words.partition("-")
    return tuple(range(int(first), int(last) + 1)) if dash else tuple(map(int, words.split(",")))


def entries(block: str) -> list[Entry]:
    """Return the commands of a block, with what is shown under each."""
    found: list[Entry] = []
    for line in block.splitlines():
        if line.startswith(("$ ", ">>> ")):
            found.append(Entry([line], []))
        elif line.startswith("... ") and not found[-1].shown:
            found[-1].command.append(line)
        else:
            found[-1].shown.append(line)
    return found


@cache
def booted(arguments: str) -> bootsim.Kernel:
    """Return the machine that `bootsim shell` has for these arguments; to be copied."""
    tree, inputs = parsed(arguments, "bootsim shell")
    return bootsim.boot(tree, **inputs)


def printed(block: str, folder: Path) -> list[list[str]]:
    """Return what each command of a block prints, run one after the other in a folder, where they leave their files."""
    if not (folder / "labs").exists():
        (folder / "labs").symlink_to(ROOT / "labs")
    prompt, outputs = None, []
    with contextlib.chdir(folder):
        for command, _ in entries(block):
            if command[0].startswith(_SHELL):
                k = booted(command[0].removeprefix(_SHELL)).copy()
                prompt = Prompt(Session(k, alive.text))
                outputs.append("")
            elif command[0].startswith("$ "):
                outputs.append(_command(command[0].removeprefix("$ ")))
            else:
                outputs.append(_typed(prompt, [line[4:] for line in command]))
    return [[line.rstrip() for line in output.splitlines()] for output in outputs]


def _command(line: str) -> str:
    # `bootsim show ...`, whose exit code is 0 or that of the comment behind it, as in README.md: `# exits 1`; what it
    # tells on standard error is left out, where a sweep tells how far it is
    words, _, comment = line.partition("  # exits ")
    done = CliRunner(env={"COLUMNS": "120"}).invoke(cli, shlex.split(words)[1:])
    if done.exit_code != int(comment or 0):
        raise AssertionError(f"{line}: exit code {done.exit_code}\n{done.output}") from done.exception
    return done.stdout


def _typed(prompt: Prompt | None, lines: list[str]) -> str:
    # lines at the prompt; an empty one more ends a compound statement
    assert prompt is not None, f"{lines[0]}: no `{_SHELL}TREE` before it"
    output, before, last = io.StringIO(), sys.displayhook, getattr(builtins, "_", None)
    sys.displayhook = show_value
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            if any([prompt.push(line) for line in lines][-1:]):
                prompt.push("")
    finally:
        sys.displayhook, builtins._ = before, last
    assert "Traceback" not in output.getvalue(), f"{lines[0]}\n{output.getvalue()}"
    return output.getvalue()


def agrees(shown: list[str], lines: list[str]) -> bool:
    """Whether the lines of a document are the printed ones, where a line `...` stands for any lines."""
    if ANY not in shown:
        return shown == lines
    first, *middle, last = _pieces(shown)
    if lines[: len(first)] != first or (last and lines[-len(last) :] != last):
        return False
    at, end = len(first), len(lines) - len(last)
    for piece in middle:
        at = next((i for i in range(at, end - len(piece) + 1) if lines[i : i + len(piece)] == piece), end + 1)
        at += len(piece)
    return at <= end


def _pieces(shown: list[str]) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for line in shown:
        if line == ANY:
            pieces.append([])
        else:
            pieces[-1].append(line)
    return pieces


def refreshed(entry: Entry, lines: list[str]) -> list[str]:
    """Return the lines to show for what was printed now: of a choice with `...`, the ones that are nearest to it.

    Raises AssertionError where a shown line has none.
    """
    shown = entry.shown
    if ANY not in shown:
        return lines
    if agrees(shown, lines):
        return shown
    found, at = [], 0
    for line in shown:
        if line != ANY:
            near = difflib.get_close_matches(line, lines[at:], 1, 0.5)
            assert near, f"{entry.command[0]}: prints nothing like {line!r}"
            at = lines.index(near[0], at) + 1
            line = near[0]
        found.append(line)
    return found


def written(block: str, outputs: list[list[str]]) -> str:
    """Return a block with what its commands print."""
    lines: list[str] = []
    for entry, output in zip(entries(block), outputs, strict=True):
        lines += [*entry.command, *refreshed(entry, output)]
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write what the commands print into both files, and the pictures that they save."""
    known: dict[str, str] = {}

    def again(match: re.Match[str]) -> str:
        block = match[1]
        if block not in known:
            with tempfile.TemporaryDirectory() as folder:
                known[block] = written(block, printed(block, Path(folder)))
                for picture in Path(folder).glob("*.svg"):
                    shutil.copy(picture, PICTURES)
        return f"```console\n{known[block]}```"

    for path in LANGUAGES.values():
        before = path.read_text(encoding="utf-8")
        text = _FENCE.sub(again, before)
        if text != before:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
