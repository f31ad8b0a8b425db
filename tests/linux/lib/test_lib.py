"""lib/: the heapsort, and the reading of numbers and words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.linux.kernel.params import parameq, parse_args
from bootsim.linux.lib.cmdline import memparse, next_arg, simple_strtoull
from bootsim.linux.lib.sort import sort


def by_key(a, b):
    return (a[0] > b[0]) - (a[0] < b[0])


@given(st.lists(st.integers(0, 5)))
def test_sort_orders_anything(keys):
    items = [(key, i) for i, key in enumerate(keys)]
    sort(items, by_key)
    assert [key for key, _ in items] == sorted(keys)
    assert sorted(items) == sorted((key, i) for i, key in enumerate(keys))


@pytest.mark.parametrize(("n", "order"), [(2, [1, 0]), (3, [1, 2, 0]), (4, [1, 2, 3, 0]), (5, [1, 2, 3, 4, 0])])
def test_equal_elements_change_places_as_in_a_heapsort(n, order):
    # the orders that the kernel's own lib/sort.c gives, compiled for a host
    items = [(0, i) for i in range(n)]
    sort(items, by_key)
    assert sorted(i for _, i in items) == list(range(n))
    assert [i for _, i in items] == order


@pytest.mark.parametrize(("text", "value", "rest"), [
    ("64M", 64 << 20, ""), ("0x10k@5", 16 << 10, "@5"), ("1G", 1 << 30, ""), ("010", 8, ""), ("12x", 12, "x"),
    ("", 0, ""), ("M", 0, ""), ("0x", 0, "x"), ("2e", 2 << 60, "")])
def test_memparse(text, value, rest):
    assert memparse(text) == (value & 0xFFFFFFFFFFFFFFFF, rest)


def test_strtoull_stops_at_the_first_foreign_digit():
    assert simple_strtoull("089") == (0, 1)


@pytest.mark.parametrize(("line", "words"), [
    ("a=1 b  c=x=y", [("a", "1"), ("b", None), ("c", "x=y")]),
    ('a="x y" "b=1 2" c', [("a", "x y"), ("b", "1 2"), ("c", None)]),
    ('root=/dev/sda -- init args', [("root", "/dev/sda")])])
def test_words(line, words):
    seen = []
    parse_args(line, lambda param, val: seen.append((param, val)))
    assert seen == words


def test_what_follows_two_dashes_is_for_init():
    assert parse_args("a -- b c", lambda p, v: None) == "b c"


def test_dash_and_underscore_are_one():
    assert parameq("log-buf-len", "log_buf_len")
    assert next_arg("x=") == ("x", "", "")
