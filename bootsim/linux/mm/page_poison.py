"""Writing a pattern into free pages (mm/page_poison.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.jump_label import static_key_disable, static_key_enable
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.linux.lib.kstrtox import kstrtobool

if TYPE_CHECKING:
    from bootsim.linux import Kernel

PAGE_POISON = 0xAA  # include/linux/poison.h; 0 with CONFIG_PAGE_POISONING_ZERO


def early_page_poison_param(k: Kernel, arg: str | None) -> int:
    """page_poison=: fill pages with a pattern when they are freed. Returns 0 or -errno.

    Source: mm/page_poison.c early_page_poison_param()
    """
    value = kstrtobool(arg)
    if value is None:
        return -EINVAL
    (static_key_enable if value else static_key_disable)(k, k.mm.want_page_poisoning)
    return 0


EARLY_PARAMS = (EarlyParam("page_poison", early_page_poison_param, ("PAGE_POISONING",)),)


def page_poisoning_enabled(k: Kernel) -> bool:
    """Whether free pages are filled with a pattern: page_poison=, or debug_pagealloc= (ARM cannot unmap pages).

    Source: mm/page_poison.c page_poisoning_enabled()
    """
    return k.build.config.PAGE_POISONING and (k.mm.want_page_poisoning.taken or k.mm.debug_pagealloc_enabled)


def poison_byte(k: Kernel) -> int:
    """The byte that free pages are filled with.

    Source: include/linux/poison.h PAGE_POISON
    """
    return 0 if k.build.config.PAGE_POISONING_ZERO else PAGE_POISON
