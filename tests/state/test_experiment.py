"""Causes by experiment, on boots that are nothing but the numbers of the decisions they have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import InputError
from bootsim.state.effects import OTHER, A, B, Effect
from bootsim.state.experiment import Laboratory, boots_at_most, settle


def effect(function, decisions):
    """An effect that has the value `function(chosen)`."""
    a, b = function(frozenset()), function(frozenset(range(decisions)))
    assert a != b

    def answer(chosen):
        value = function(chosen)
        return None if value is None else A if value == a else B if value == b else OTHER

    return Effect("fact", "x", "fact:x", str(a), str(b), (), answer)


def causes(function, decisions, **rest):
    made = effect(function, decisions)
    lab = laboratory(decisions, **rest)
    settle([made], lab)
    return made, lab


def laboratory(decisions, make=frozenset, **rest):
    return Laboratory(decisions, frozenset(), frozenset(range(decisions)), make, **rest)


@pytest.mark.parametrize(("function", "sets"), [
    (lambda s: 1 in s, ((1,),)),
    (lambda s: {0, 2} <= s, ((0, 2),)),
    # each is enough: memory goes beyond a limit with either
    (lambda s: bool({0, 3} & s), ((0,), (3,))),
    # sums need all their parts: the size of a tree
    (lambda s: sum({0: 8, 2: 16}.get(n, 0) for n in s), ((0, 2),)),
    # one overrides another
    (lambda s: 7 if 1 in s else 3 if 0 in s else 0, ((1,),)),
    # one hides another that is made alone, and takes a third
    (lambda s: "both" if {1, 2} <= s else "one" if 1 in s else "none", ((1, 2),)),
])  # fmt: skip
def test_smallest_sets(function, sets):
    found, _ = causes(function, 4)
    assert found.sets == sets
    assert found.settled


def test_two_of_three():
    # nothing moves it alone, and taking one of them back is not enough: delta debugging finds two that are
    found, _ = causes(lambda s: len(s & {0, 1, 2}) >= 2, 4)
    (two,) = found.sets
    assert len(two) == 2
    assert set(two) < {0, 1, 2}


def test_one_decision_needs_no_boot():
    found, lab = causes(bool, 1)
    assert (found.sets, lab.boots) == (((0,),), 0)


def test_two_decisions_need_two_boots():
    _, lab = causes(lambda s: {0, 1} <= s, 2)
    assert lab.boots == 2


def test_a_boot_that_cannot_be_made_answers_nothing():
    def make(chosen):
        if 0 in chosen and 1 not in chosen:
            raise InputError("no such kernel")
        return chosen

    made = effect(lambda s: {0, 1} <= s, 3)
    lab = laboratory(3, make)
    settle([made], lab)
    assert made.sets == ((0, 1),)
    assert lab.impossible[frozenset({0})] == "no such kernel"


def test_a_dead_boot_answers_nothing():
    # 2 alone kills the kernel before the effect; 1 heals it
    found, _ = causes(lambda s: None if 2 in s and 1 not in s else 0 in s, 3)
    assert found.sets == ((0,),)


def test_boots_are_bounded_and_told():
    heard = []
    found, lab = causes(lambda s: len(s) > 9, 12, limit=20, progress=lambda boots, limit: heard.append((boots, limit)))
    assert lab.boots == 20
    assert lab.exhausted
    assert not found.settled
    assert heard[-1] == (20, 20)
    assert boots_at_most(1) == 0
    assert boots_at_most(14) == 144


@pytest.mark.property
@settings(max_examples=200, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 4), min_size=1, max_size=3), min_size=1, max_size=3))
def test_what_is_found_makes_the_effect_and_nothing_less_does(makers):
    # an effect that any of some sets of decisions makes
    decisions = 5
    found, _ = causes(lambda s: any(each <= s for each in makers), decisions)
    assert found.settled
    for chosen in found.sets:
        assert found.answer(frozenset(chosen)) == B
        assert all(found.answer(frozenset(less)) != B for less in itertools.combinations(chosen, len(chosen) - 1))


@pytest.mark.property
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.integers(0, 4), st.integers(1, 1000), min_size=1))
def test_a_sum_needs_all_its_parts(parts):
    found, _ = causes(lambda s: sum(parts.get(n, 0) for n in s), 5)
    assert found.sets == (tuple(sorted(parts)),)
