"""Options of the command line about mappings (mm/mmap.c, mm/memory.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import SetupParam
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def cmdline_parse_stack_guard_gap(k: Kernel, text: str) -> bool:
    """stack_guard_gap=PAGES: the room that stays free below a stack. Anything but a number is passed over.

    Source: mm/mmap.c cmdline_parse_stack_guard_gap()
    """
    if all(c in "0123456789" for c in text):
        k.options["stack_guard_gap"] = int(text or "0") << PAGE_SHIFT & 0xFFFFFFFF
    return True


def disable_randmaps(k: Kernel, _text: str) -> bool:
    """norandmaps: programs, heaps, stacks and mappings lie where they would without chance.

    Source: mm/memory.c disable_randmaps()
    """
    k.options["norandmaps"] = True
    return True


SETUP_PARAMS = (
    SetupParam("stack_guard_gap=", cmdline_parse_stack_guard_gap),
    SetupParam("norandmaps", disable_randmaps),
)
