"""Command lines between two command lines."""

import pytest

from bootsim.state.words import Words, words_of


def test_words_are_cut_as_the_kernel_cuts_them():
    found = words_of('  quiet cma=16M  x="a b" "y=1 2" ')
    assert [word.text for word in found] == ["quiet", "cma=16M", 'x="a b"', '"y=1 2"']
    assert [(word.name, word.value) for word in found] == [
        ("quiet", None), ("cma", "16M"), ("x", "a b"), ("y", "1 2")]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "options"), [
    ("cma=16M quiet", "cma=32M quiet", ["cma"]),
    ("quiet", "quiet vmalloc=512M", ["vmalloc"]),
    ("console=ttyAMA0 console=tty0", "console=ttyAMA0", ["console"]),
    ("a=1 b=2 c=3", "b=2 c=3 a=1", ["(order)"]),
    ("a  b", "a b", ["(order)"]),
    ("a b=1", "b=2 a", ["b", "(order)"]),
    ("", "mem=1G cma=8M", ["mem", "cma"]),
])  # fmt: skip
def test_options_that_differ(a, b, options):
    assert Words(a, b).options() == options


def test_lines_in_between():
    words = Words("cma=16M quiet", "vmalloc=1G quiet cma=32M loud")
    assert words.options() == ["cma", "vmalloc", "loud", "(order)"]
    assert words.line([]) == "cma=16M quiet"
    assert words.line(["cma", "vmalloc", "loud", "(order)"]) == "vmalloc=1G quiet cma=32M loud"
    assert sorted(words.line(["vmalloc"]).split()) == ["cma=16M", "quiet", "vmalloc=1G"]
    assert words.line(["cma"]) == "cma=32M quiet"
    assert words.line(["(order)"]) == "quiet cma=16M"
    assert words.line(["loud"]) == "cma=16M quiet loud"
    assert words.values("cma") == ("cma=16M", "cma=32M")
    assert words.values("loud") == ("not given", "loud")
