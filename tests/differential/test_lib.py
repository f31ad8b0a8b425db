"""lib/sort.c and lib/cmdline.c against the replay."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.linux.lib.cmdline import get_option, memparse, next_arg
from bootsim.linux.lib.sort import sort


@pytest.fixture(scope="module")
def theirs(compiled):
    library = compiled("lib.c", {"lib-sort.c": "lib/sort.c", "lib-cmdline.c": "lib/cmdline.c"})
    library.memparse.restype = ctypes.c_ulonglong
    library.next_arg.restype = ctypes.c_void_p
    return library


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.integers(-8, 8), max_size=70))
def test_sort_moves_equal_elements_alike(theirs, keys):
    pairs = [(key, mark) for mark, key in enumerate(keys)]
    flat = (ctypes.c_int * (2 * len(pairs)))(*(n for pair in pairs for n in pair))
    theirs.host_sort(flat, len(pairs))
    sort(pairs, lambda a, b: a[0] - b[0])
    assert pairs == list(zip(flat[::2], flat[1::2], strict=True))


# The kernel's words are bytes of Latin-1; NUL ends them.
TEXT = st.text(st.sampled_from("0123456789abcdefxXkKmMgGtTpPeE-+,=@\"' \t\xa0.z"), max_size=24)


@settings(max_examples=3000, deadline=None)
@given(TEXT)
def test_memparse(theirs, text):
    raw = ctypes.create_string_buffer(text.encode("latin-1"))
    end = ctypes.c_char_p()
    value = theirs.memparse(raw, ctypes.byref(end))
    assert memparse(text) == (value, end.value.decode("latin-1"))


@settings(max_examples=3000, deadline=None)
@given(TEXT)
def test_get_option(theirs, text):
    raw = ctypes.create_string_buffer(text.encode("latin-1"))
    at, number = ctypes.c_char_p(ctypes.addressof(raw)), ctypes.c_int()
    found = theirs.get_option(ctypes.byref(at), ctypes.byref(number))
    rest = at.value.decode("latin-1")
    assert get_option(text) == (found, number.value, rest)


@settings(max_examples=5000, deadline=None)
# Not a lone quote: there the kernel's unsigned index wraps, to the quote itself on 32 bits, and out of memory on 64.
@given(TEXT.map(lambda text: text.lstrip(" \t\xa0")).filter(lambda text: text not in ("", '"')))
def test_next_arg(theirs, text):
    raw = ctypes.create_string_buffer(text.encode("latin-1"))
    param, value = ctypes.c_char_p(), ctypes.c_char_p()
    rest = ctypes.cast(theirs.next_arg(raw, ctypes.byref(param), ctypes.byref(value)), ctypes.c_char_p)
    plain = [None if word.value is None else word.value.decode("latin-1") for word in (param, value, rest)]
    assert list(next_arg(text)) == plain
