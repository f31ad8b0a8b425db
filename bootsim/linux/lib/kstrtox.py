"""Strict conversion of text to numbers (lib/kstrtox.c)."""

from __future__ import annotations


def kstrtobool(text: str | None) -> bool | None:
    """Read y, n, 1, 0, on or off by the first characters; None when it is none of them (-EINVAL).

    Source: lib/kstrtox.c kstrtobool()
    """
    word = (text or "")[:2].lower()
    if word[:1] in ("y", "1") or word == "on":
        return True
    if word[:1] in ("n", "0") or word == "of":
        return False
    return None
