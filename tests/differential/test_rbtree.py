"""lib/rbtree.c, with the callbacks that keep the largest value of each subtree, against the replay: shape for shape."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.lib.rbtree import RbTree

HEADERS = {f"linux/{name}.h": f"include/linux/{name}.h" for name in ("rbtree", "rbtree_augmented")}


@pytest.fixture(scope="module")
def theirs(compiled):
    return compiled("rbtree.c", {"lib-rbtree.c": "lib/rbtree.c", **HEADERS})


KEYS = st.integers(1, 200)
SIZES = st.integers(0, 9)
STEPS = st.lists(st.tuples(st.sampled_from("iiieer"), KEYS, SIZES), max_size=300)


class Ours:
    """The replay's tree, with keys."""

    def __init__(self):
        self.tree = RbTree(augmented=True)
        self.keys = {0: 0}

    def insert(self, key, size):
        parent, right, at = 0, False, self.tree.root
        while at:
            parent, right = at, self.keys[at] <= key
            at = self.tree.node(at)[2 if right else 1]
        node = self.tree.insert(parent, right, size)
        self.keys[node] = key
        return node

    def node(self, n):
        parent, left, right, *rest = self.tree.node(n)
        return [self.keys[parent], self.keys[left], self.keys[right], *map(int, rest)]


@settings(max_examples=1000, deadline=None)
@given(STEPS)
def test_every_node_lies_where_the_kernel_has_it(theirs, steps):
    theirs.host_clear()
    ours, live = Ours(), {}
    for what, key, size in steps:
        if what == "i" and key not in live:
            live[key] = ours.insert(key, size)
            theirs.host_insert(key, key, size)
        elif what == "e" and key in live:
            ours.tree.erase(live.pop(key))
            theirs.host_erase(key)
        elif what == "r" and key in live:
            ours.tree.resize(live[key], size)
            theirs.host_resize(key, size)
        else:
            continue
        for other, n in live.items():
            out = (ctypes.c_uint * 6)()
            theirs.host_node(other, out)
            assert ours.node(n) == list(out)
