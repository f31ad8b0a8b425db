"""Kinds of records: each has one number, said in one place."""

import re
from pathlib import Path

import pytest

from bootsim.lab import kinds
from bootsim.lab.replay import ANSWER_WORDS, MAPPING_ANSWER_WORDS, OBJECT_ANSWER_WORDS

LAB = Path(kinds.__file__).parent
KINDS = {name: value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, int)}
SOURCES = [path for path in sorted(LAB.iterdir()) if path.suffix in (".py", ".pyx", ".pxd") and path.stem != "kinds"]


def test_no_two_kinds_have_one_number():
    assert len(KINDS) > 50
    assert len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nobody_else_gives_a_kind_its_number(path):
    assert not [line for line in path.read_text().splitlines()
                if (found := re.match(r"\s*_?([A-Z][A-Z_]+)\b.* = [\d, x]+$", line)) and found[1] in KINDS]


def test_every_kind_is_told_with_its_answers():
    text, told = (LAB.parents[1] / "docs/recordings.md").read_text(), {}
    for row in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", text, re.MULTILINE):
        words = tuple(at for at, cell in enumerate(row[1].split(" | ")) if cell.startswith("**A**"))
        told |= dict.fromkeys(map(int, row[0].split(", ")), words)
    assert told.keys() == {*KINDS.values()} - {kinds.COMPACT_ENTERED}
    answers = {**ANSWER_WORDS, **MAPPING_ANSWER_WORDS, **OBJECT_ANSWER_WORDS}
    assert {kind: words for kind, words in told.items() if words} == answers
