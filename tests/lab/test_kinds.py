"""Kinds of records: each has one number, said in one place."""

import re
from pathlib import Path

import pytest

from bootsim.lab import kinds

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
