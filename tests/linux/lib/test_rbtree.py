"""Red-black trees: balanced, in order, and each node with the largest size below it. The shape: tests/differential."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.linux.lib.rbtree import RbTree


def insert(tree, keys, key, size):
    parent, right, at = 0, False, tree.root
    while at:
        parent, right = at, keys[at] <= key
        at = tree.node(at)[2 if right else 1]
    keys[tree.insert(parent, right, size)] = key


def blacks(tree, n, above=0):
    """Black nodes on every way down from `n`; checks colours, links and sizes on the way."""
    if not n:
        return 1, 0
    parent, left, right, red, size, most = tree.node(n)
    assert parent == above
    assert not (red and any(child and tree.node(child)[3] for child in (left, right)))
    (a, x), (b, y) = blacks(tree, left, n), blacks(tree, right, n)
    assert a == b
    assert most == max(size, x, y)
    return a + (not red), most


@given(st.lists(st.tuples(st.sampled_from("iiiie"), st.integers(0, 1 << 20), st.integers(0, 99)), max_size=400))
def test_balanced_and_in_order(steps):
    tree, keys = RbTree(augmented=True), {}
    for what, key, size in steps:
        if what == "i":
            insert(tree, keys, key, size)
        elif keys:
            n = sorted(keys)[key % len(keys)]
            tree.erase(n)
            del keys[n]
    blacks(tree, tree.root)
    assert [keys[n] for n in tree] == sorted(keys.values())
    assert tree.count == len(keys)


def test_a_new_size_reaches_the_root():
    tree, keys = RbTree(augmented=True), {}
    for key in range(40):
        insert(tree, keys, key, 1)
    last = list(tree)[-1]
    tree.resize(last, 7)
    assert tree.node(tree.root)[5] == 7
    tree.resize(last, 0)
    assert tree.node(tree.root)[5] == 1


def test_a_copy_lives_on_its_own():
    tree, keys = RbTree(), {}
    for key in range(200):
        insert(tree, keys, key, 0)
    other = deepcopy(tree)
    for n in list(tree):
        tree.erase(n)
    assert (tree.count, other.count) == (0, 200)
    assert [keys[n] for n in other] == list(range(200))


@pytest.mark.parametrize("n", [0, 1 << 31])
def test_no_such_node(n):
    tree = RbTree()
    with pytest.raises(IndexError):
        tree.erase(n)
    with pytest.raises(IndexError):
        tree.node(n)


def test_a_place_is_taken_once():
    tree = RbTree()
    root = tree.insert(0, False)
    tree.insert(root, True)
    with pytest.raises(ValueError, match="has a child"):
        tree.insert(root, True)
    with pytest.raises(ValueError, match="has a child"):
        tree.insert(0, False)
