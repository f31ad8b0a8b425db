"""What a machine and its copies have in common: values that nothing changes once they are made.

`Kernel.copy()` is deepcopy(): plain data needs nothing for it, and a field cannot be forgotten. Two kinds of object say
how they are copied: those that hold memory of the host, by a `__deepcopy__` of their own, and the values here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class Shared:
    """A value, never changed once it is made: a machine's copy has the same one."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self
