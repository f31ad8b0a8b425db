"""Every field of a build is acted upon, refused, or known to be without effect."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.build import Config, MachineDesc, Sizeof, Symbols, Values, without_effect

PACKAGE = Path(bootsim.__file__).parent
# Readers and writers of descriptions, which treat all fields alike, and groups of options that go together.
NOT_READERS = {"inputs/build.py", "inputs/configfile.py", "inputs/configwriter.py", "inputs/warnsites.py",
               "state/decisions.py"}
IN_THE_IMAGE = {"pglist_data", "list_head"}  # sizes that statically allocated structs have


def words_of(path: Path) -> set[str]:
    """Attributes that a module reads, and the words of its strings, but for docstrings."""
    if path.suffix != ".py":
        return set(re.findall(r"\.(\w+)", path.read_text()))
    tree, found = ast.parse(path.read_text()), set()
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.add(node.value.removeprefix("!"))
    return found


@pytest.fixture(scope="module")
def read():
    """Every name that some module of the package reads."""
    paths = [path for path in PACKAGE.rglob("*.p*") if path.suffix in (".py", ".pyx", ".pxd")]
    return set().union(*(words_of(path) for path in paths if str(path.relative_to(PACKAGE)) not in NOT_READERS))


def test_every_option_is_read_or_known_to_be_without_effect(read):
    assert Config.KERNEL_NAMES.keys() - read - Config.WITHOUT_EFFECT.keys() == set()


def test_what_is_said_to_be_without_effect_is_read_by_nobody(read):
    assert Config.WITHOUT_EFFECT.keys() & read == set()
    assert all(why and not why.endswith(".") for why in Config.WITHOUT_EFFECT.values())


@pytest.mark.parametrize("fields", [Symbols, Sizeof, MachineDesc])
def test_every_other_field_is_read(read, fields):
    assert fields.KERNEL_NAMES.keys() - read - IN_THE_IMAGE == set()


def test_a_field_without_effect_keeps_its_default():
    class Some(Values):
        A: bool = without_effect(False, "nobody asks")
        B: int = 3

    assert Some.WITHOUT_EFFECT == {"A": "nobody asks"}
    assert Some().as_dict() == {"A": False, "B": 3}
    assert Some(A=True).A is True
