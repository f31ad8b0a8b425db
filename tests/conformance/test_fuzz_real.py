"""The parts of the random trees that need no kernel."""

import random

import fuzz_real

from bootsim.inputs.configfile import load_build
from bootsim.inputs.dtb import read_tree


def test_a_tree_follows_from_its_seed():
    trees = [fuzz_real.random_tree(random.Random(f"1:{n}")) for n in range(40)]
    assert trees == [fuzz_real.random_tree(random.Random(f"1:{n}")) for n in range(40)]
    assert len(set(trees)) == 40
    assert all(read_tree(tree).banks for tree in trees)


def test_what_differs_is_told_by_line():
    assert fuzz_real.compare(["a", "SLUB: x"], ["a", "SLUB: x"]) == ""
    assert "line 1: 'b'" in fuzz_real.compare(["a", "b"], ["a", "c"])
    assert "nothing more" in fuzz_real.compare(["a", "b"], ["a"])
    assert fuzz_real.compare([], ["dies before its console works"]) == ""
    assert "says nothing" in fuzz_real.compare([], ["SLUB: alive"])


def test_a_replay_that_outlives_the_kernel_is_a_difference():
    assert "falls silent" in fuzz_real.compare(["a"], ["a", "SLUB: alive"])
    assert fuzz_real.compare(["a"], ["a"]) == ""


def test_a_tree_may_begin_its_ram_elsewhere():
    rng = [random.Random(f"9:{n}") for n in range(60)]
    bases = [fuzz_real.random_base(r) for r in rng]
    banks = [read_tree(fuzz_real.random_tree(r, base)).banks for r, base in zip(rng, bases, strict=True)]
    starts = [min(b[0] for b in bank) - base for bank, base in zip(banks, bases, strict=True)]
    assert any(start > 0 for start in starts)
    assert any(start < 0 for start in starts)


def test_callers_that_a_compiler_inlines_are_no_difference():
    real, other = "memblock_reserve: [0x80000000-0x80000fff] f+0x1/0x2", "memblock_reserve: [0x80000000-0x80000fff] g"
    assert fuzz_real.compare([real], [other]) == ""
    assert fuzz_real.compare([real], [other.replace("80000fff", "80001fff")])


def test_the_replay_of_a_random_tree_ends_where_the_comparison_does():
    log = fuzz_real.replayed_log(fuzz_real.random_tree(random.Random("1:0")), load_build("3G/1G"))
    assert fuzz_real.LAST.search(log[-1])
