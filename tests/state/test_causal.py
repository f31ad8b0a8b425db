"""Causes: changed facts, their roots, and what has none."""

from __future__ import annotations

import pytest

from bootsim.facts import Facts
from bootsim.state.causal import Causes


class Roots:
    def __init__(self, **values):
        self.values = {name.replace("__", ":"): value for name, value in values.items()}

    def value(self, name):
        return self.values.get(name, "not given")

    def expand(self, name):
        return list(self.values) if name.endswith("*") else [name]

    def where(self, name):
        return "somewhere:1"


def facts(offset, limit, end, extra=None):
    f = Facts()
    f.add("PAGE_OFFSET", offset, "va", "", ("CONFIG_PAGE_OFFSET",))
    f.add("limit", limit, "pa", "", ("PAGE_OFFSET", "CONFIG_X"))
    f.add("end", end, "pa", "", ("limit",))
    if extra is not None:
        f.add("extra", extra, "pages", "", ("CONFIG_Y", "end"))
    return f


@pytest.fixture
def causes():
    a, b = facts(0xC0000000, 0x90000000, 1), facts(0x80000000, 0xA0000000, 2, extra=5)
    return Causes(a, Roots(CONFIG_PAGE_OFFSET="3G", CONFIG_X="n"), b, Roots(CONFIG_PAGE_OFFSET="2G", CONFIG_X="n"))


def test_changes_follow_from_the_root(causes):
    assert list(causes.facts) == ["PAGE_OFFSET", "limit", "end", "extra"]
    assert causes.explained == {"PAGE_OFFSET", "limit", "end", "extra"}
    assert causes.unexplained() == []
    assert causes.used_roots(["extra"]) == ["CONFIG_PAGE_OFFSET"]
    assert causes.parents("limit") == ["PAGE_OFFSET"]
    assert [causes.depth(name) for name in ("PAGE_OFFSET", "limit", "end", "extra")] == [1, 2, 3, 4]
    assert causes.facts["extra"].shown() == "extra none -> 5"
    assert causes.root("CONFIG_PAGE_OFFSET")[0].shown() == "CONFIG_PAGE_OFFSET 3G -> 2G  (somewhere:1)"


def test_a_change_without_a_root_is_told():
    same = Roots(CONFIG_PAGE_OFFSET="3G")
    causes = Causes(facts(1, 5, 9), same, facts(1, 6, 9), same)
    assert [change.name for change in causes.unexplained()] == ["limit"]
    assert causes.because(["limit", "PAGE_OFFSET"]) == []


def test_an_unchanged_fact_passes_nothing_on():
    # limit stays although PAGE_OFFSET moved; so the move cannot explain end
    causes = Causes(facts(1, 5, 8), Roots(CONFIG_PAGE_OFFSET="a"), facts(2, 5, 9), Roots(CONFIG_PAGE_OFFSET="b"))
    assert [change.name for change in causes.unexplained()] == ["end"]


def test_a_dead_boot_did_not_come_to_the_rest():
    a, b = facts(1, 5, 9, extra=1), facts(1, 5, 9)
    assert list(Causes(a, Roots(), b, Roots()).facts) == ["extra"]
    assert list(Causes(a, Roots(), b, Roots(), cut_short=(False, True)).facts) == []


def test_a_root_with_a_star_stands_for_many():
    a, b = Facts(), Facts()
    a.add("size", 1, "bytes", "", ("dtb:/:*",))
    b.add("size", 2, "bytes", "", ("dtb:/:*",))
    one, other = Roots(), Roots()
    one.values, other.values = {"dtb:/x:p": "1", "dtb:/y:q": "2"}, {"dtb:/x:p": "1", "dtb:/y:q": "3"}
    causes = Causes(a, one, b, other)
    assert [change.name for change in causes.root("dtb:/:*")] == ["dtb:/y:q"]
    assert causes.explained == {"size"}
