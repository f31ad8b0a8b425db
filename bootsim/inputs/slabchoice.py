"""A build with another slab allocator than its own: what --slab makes of it, and what is not known of such a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.inputs.build import Config, KernelBuild

ALLOCATORS = ("slab", "slub", "slob")
# What Kconfig asks for beside the choice itself: init/Kconfig, lib/Kconfig.debug, security/Kconfig.
_ONLY_SLUB = ("SLUB_DEBUG", "SLUB_DEBUG_ON", "SLUB_CPU_PARTIAL")
_ONLY_SLAB = ("DEBUG_SLAB",)
_NOT_SLOB = ("SLAB_FREELIST_RANDOM", "SLAB_FREELIST_HARDENED", "MEMCG_KMEM", "HARDENED_USERCOPY")


def allocator_of(config: Config) -> str:
    """The slab allocator of a build, as --slab calls it."""
    return "slab" if config.SLAB else "slub" if config.SLUB else "slob"


def with_slab(build: KernelBuild, allocator: str) -> KernelBuild:
    """The build with this slab allocator, and with what Kconfig then switches off or on by default.

    Its image stays as it is; `what_follows` tells that. The build itself when it has this allocator. Raises InputError.
    """
    if allocator not in ALLOCATORS:
        raise InputError(f"slab: {allocator!r}, expected one of {', '.join(ALLOCATORS)}")
    if allocator == allocator_of(build.config):
        return build
    config = build.config
    changes = {name.upper(): name == allocator for name in ALLOCATORS}
    gone = {"slab": _ONLY_SLUB, "slub": _ONLY_SLAB, "slob": (*_ONLY_SLUB, *_ONLY_SLAB, *_NOT_SLOB)}[allocator]
    changes |= dict.fromkeys(gone, False)
    if allocator == "slub":
        changes |= {"SLUB_DEBUG": config.SYSFS, "SLUB_CPU_PARTIAL": config.SMP}
    symbols = build.symbols.replace(kmem_cache_boot=0)
    return build.replace(config=config.replace(**changes), symbols=symbols, provenance="derived",
                         assumed=(*build.assumed, f"config.{allocator.upper()}"))


def what_follows(before: KernelBuild, after: KernelBuild) -> tuple[str, str]:
    """What else than the allocator `with_slab` changed, and what of such a kernel it cannot know; in words."""
    old, new = (allocator_of(build.config) for build in (before, after))
    names = [name for name in (*_ONLY_SLUB, *_ONLY_SLAB, *_NOT_SLOB)
             if getattr(before.config, name) != getattr(after.config, name)]
    off, on = ([f"CONFIG_{name}" for name in names if getattr(after.config, name) is value] for value in (False, True))
    told = [f"CONFIG_{new.upper()} in place of CONFIG_{old.upper()}"]
    told += [f"with it {', '.join(on)} by default"] if on else []
    told += [f"without {', '.join(off)}"] if off else []
    image = f"the image stays that of {before.name}, though a kernel with {new.upper()} has its sections elsewhere"
    if new != "slub":
        image += ", and kmem_cache_boot, the descriptor of the cache of caches, which is at 0 here"
    return "; ".join(told), image
