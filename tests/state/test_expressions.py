"""The language of expectations: what holds, what is told when it does not, and what is no expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.state.expressions import ExpressionError, parse
from bootsim.state.quantities import UnknownQuantityError

VALUES = {"lowmem": 768 << 20, "highmem": 0, "warning": 0, "overlap": 2, "cma.default.base": 0x9F000000,
          "digest": "3fab", "build": "3G/1G", "hash.Dentry cache.entries": 131072,
          "reserved.linux,cma-pool.size": 4096}  # fmt: skip


class Values:
    def value(self, name):
        if name not in VALUES:
            raise UnknownQuantityError(name)
        return VALUES[name]

    def unit(self, name):
        return "pa" if name.endswith("base") else "bytes" if "mem" in name else "text" if name == "digest" else "count"


def evaluate(text):
    return parse(text).evaluate(Values())


@pytest.mark.parametrize("text", [
    "lowmem >= 700M", "lowmem == 768M", "lowmem == 0x30000000", "700M <= lowmem", "lowmem>=700M", "lowmem != 1",
    "cma.default.base in 0x80000000-0x9fffffff", "cma.default.base in 0x9f000000..0x9f000000",
    "cma.default.base not in 0-0x80000000", "no warning", "no highmem", "overlap", "not no overlap",
    "not (lowmem < 700M)", "lowmem > 1G or highmem == 0", "lowmem > 1 and no warning and overlap == 2",
    "digest == 3fab", "digest != 'x y'", "'3fab' == digest", "build == 3G/1G", 'build == "3G/1G"',
    "`hash.Dentry cache.entries` == 0x20000",
    "reserved.linux,cma-pool.size == 4K", "highmem <= lowmem", "warning in highmem..overlap", " lowmem\t> 3 ",
    "no warning or lowmem > 1G and highmem == 1",
])  # fmt: skip
def test_holds(text):
    outcome = evaluate(text)
    assert outcome.holds, outcome
    assert outcome.reasons == ()


@pytest.mark.parametrize(("text", "reason"), [
    ("lowmem >= 800M", "lowmem is 768M, expected >= 800M"),
    ("800M <= lowmem", "lowmem is 768M, expected >= 800M"),
    ("lowmem < highmem", "lowmem is 768M, highmem is 0, expected < highmem"),
    ("cma.default.base in 0-0x80000000", "cma.default.base is 0x9f000000, expected it in 0-0x80000000"),
    ("lowmem not in 1M-1G", "lowmem is 768M, expected it outside 1M-1G"),
    ("no overlap", "overlap is 2, expected 0"),
    ("warning", "warning is 0, expected another"),
    ("not lowmem", "lowmem holds, expected not"),
    ("digest == 4c", "digest is 3fab, expected == 4c"),
    ("no camera", "no quantity 'camera' in this boot"),
    ("not camera > 3", "no quantity 'camera' in this boot"),
])  # fmt: skip
def test_does_not_hold(text, reason):
    outcome = evaluate(text)
    assert not outcome.holds
    assert outcome.reasons == (reason,)


def test_all_that_fails_is_told():
    outcome = evaluate("lowmem > 1G and no overlap and no warning")
    assert outcome.reasons == ("lowmem is 768M, expected > 1G", "overlap is 2, expected 0")
    assert outcome.names == ("lowmem", "overlap")
    assert evaluate("lowmem > 1 or camera > 3").holds
    assert evaluate("camera > 3 or lens > 3").unknown == ("camera", "lens")


@pytest.mark.parametrize(("text", "column", "message"), [
    ("", 0, "found the end"),
    ("lowmem >", 8, "found the end"),
    ("lowmem >= 7x", 10, "'7x' is not a number"),
    ("lowmem >= 700M highmem", 15, "expected and, or, or the end"),
    ("(lowmem", 7, "expected and, or, or )"),
    ("700M", 4, "expected a comparison"),
    ("lowmem $ 3", 7, "unexpected '$'"),
    ("digest < 3", 9, "a text is only == or !="),
    ("lowmem < 'x'", 9, "'x' is a text"),
    ("lowmem in 5-3", 10, "the range 5-3 is empty"),
    ("digest in 3-5", 0, "'digest' is a text"),
    ("lowmem in 5", 11, "expected - and the end of the range"),
    ("lowmem not 5", 11, "expected in"),
    ("no 5", 3, "expected a quantity's name"),
    ("no and", 3, "expected a quantity's name"),
    ("lowmem = 5", 7, "unexpected '='"),
    ("__import__('os')", 10, "expected and, or, or the end"),
    ("lowmem >= 5 and", 15, "found the end"),
    ("(" * 100, 51, "at most 50 levels"),
    ("not " * 100, 208, "at most 50 levels"),
    ("x" * 3000, 0, "expected at most 2000"),
])  # fmt: skip
def test_what_is_no_expression(text, column, message):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.column == column


@pytest.mark.property
@given(st.text(alphabet="lowmem 0123456789xKMG<>=!()-.'\"`and or not in no,@:/", max_size=40))
def test_any_text_is_an_expression_or_told_why_not(text):
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert 0 <= error.column <= len(text)
    else:
        assert expression.evaluate(Values()).holds in (True, False)
