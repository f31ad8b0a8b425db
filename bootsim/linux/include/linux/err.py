"""Errors as return values (include/linux/err.h)."""

from __future__ import annotations

from typing import Any

from bootsim.shared import Shared


class Err(Shared, int):
    """What a failing function returns: the kernel's own number (-ENOMEM, or 0 for "no address"), with why it failed.

    `why` says it in words or plain values, and goes up with the number; nobody has to guess it from that.
    """

    why: Any

    def __new__(cls, number: int, why: Any) -> Err:
        """Make the error `number` that has the cause `why`."""
        err = super().__new__(cls, number)
        err.why = why
        return err
