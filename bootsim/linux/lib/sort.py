"""The kernel's sort (lib/sort.c): a heapsort, so elements that compare equal change places in a definite way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sort(items: list[T], cmp: Callable[[T, T], int]) -> None:
    """Sort in place with the kernel's bottom-up heapsort.

    Source: lib/sort.c sort_r()
    """
    n = len(items)
    a = n // 2
    if not a:
        return
    while True:
        if a:
            a -= 1
        else:
            n -= 1
            if not n:
                return
            items[0], items[n] = items[n], items[0]
        b = a
        while (d := 2 * b + 2) < n:
            b = d - 1 if cmp(items[d - 1], items[d]) >= 0 else d
        if d == n:
            b = d - 1
        while b != a and cmp(items[a], items[b]) >= 0:
            b = (b - 1) // 2
        c = b
        while b != a:
            b = (b - 1) // 2
            items[b], items[c] = items[c], items[b]
