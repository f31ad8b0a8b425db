"""Static keys: branches that the kernel patches in its code instead of reading a variable (kernel/jump_label.c).

Early parameters come before jump_label_init(). Until then a key that is switched only changes its variable, and
jump_label_init() patches only the branches that are not to be taken: a key that is off in the image and switched on so
early stays without effect. Without CONFIG_JUMP_LABEL a key is a variable, and the branches read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.panic import warn

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# Where STATIC_KEY_CHECK_USE() stands in 5.10.223: (file and line, function), with JUMP_LABEL and without.
_CHECKS = {
    (True, True): ("kernel/jump_label.c:166", "static_key_enable_cpuslocked"),
    (True, False): ("kernel/jump_label.c:197", "static_key_disable_cpuslocked"),
    (False, True): ("include/linux/jump_label.h:306", "static_key_enable"),
    (False, False): ("include/linux/jump_label.h:317", "static_key_disable"),
}
_STRUCT_BYTES = {True: 8, False: 4}


class StaticKey:
    """struct static_key: `enabled` is its variable, `taken` what the branches in the code do."""

    __slots__ = ("enabled", "name", "taken")

    def __init__(self, name: str, on: bool = False) -> None:
        self.name = name
        self.enabled = self.taken = on

    def __repr__(self) -> str:
        return f"StaticKey({self.name!r}, enabled={self.enabled}, taken={self.taken})"


def _symbol(k: Kernel, key: StaticKey) -> str:
    # %pS of a variable: its name if all symbols are in kallsyms, else its address
    config, va = k.build.config, getattr(k.build.symbols, key.name)
    if config.KALLSYMS_ALL or not va:
        return f"{key.name}+0x0/{_STRUCT_BYTES[config.JUMP_LABEL]:#x}"
    return f"{va:#x}"


def _switch(k: Kernel, key: StaticKey, on: bool) -> None:
    jump_label = k.build.config.JUMP_LABEL
    if not k.static_key_initialized:
        where, func = _CHECKS[jump_label, on]
        warn(k, where, f"{func}(): static key '{_symbol(k, key)}' used before call to jump_label_init()", func=func)
    key.enabled = on
    if k.static_key_initialized or not jump_label:
        key.taken = on


def static_key_enable(k: Kernel, key: StaticKey) -> None:
    """Switch a key on.

    Source: kernel/jump_label.c static_key_enable_cpuslocked(), include/linux/jump_label.h static_key_enable()
    Differs: lines of the C files are those of 5.10.223. A build that does not tell the key's address is taken to have
        all symbols in kallsyms.
    """
    _switch(k, key, True)


def static_key_disable(k: Kernel, key: StaticKey) -> None:
    """Switch a key off.

    Source: kernel/jump_label.c static_key_disable_cpuslocked(), include/linux/jump_label.h static_key_disable()
    Differs: as static_key_enable().
    """
    _switch(k, key, False)


def jump_label_init(k: Kernel) -> None:
    """From now on switching a key patches its branches; those of keys that are off become no-operations.

    Source: kernel/jump_label.c jump_label_init()
    """
    k.static_key_initialized = True
    for key in (k.mm.init_on_alloc, k.mm.init_on_free, k.mm.want_page_poisoning):
        key.taken = key.taken and key.enabled
