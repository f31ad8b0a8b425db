"""/proc/slabinfo, and the files of /sys/kernel/slab: the caches of a booted machine.

Source: mm/slab_common.c slab_show(), mm/slub.c slab_attrs[]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.views.held import NotHeld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

_VERSION = "slabinfo - version: 2.1"
_COLUMNS = ("# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
            "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>")
_STATISTICS = (" : globalstat <listallocs> <maxobjs> <grown> <reaped> <error> <maxfreeable> <nodeallocs> <remotefrees> "
               "<alienoverflow> : cpustat <allochit> <allocmiss> <freehit> <freemiss>")


def _slab(held: Held) -> Any:
    slab = held.kernel("slab caches").mm.slab
    if slab is None:
        raise NotHeld(f"{held.stage}: no slab cache: the boot has not come to kmem_cache_init()")
    return slab


def _files(held: Held, path: str) -> dict[str, str | None]:
    # what is at a path below /sys/kernel/slab: a cache's files, or one of them
    slab = _slab(held)
    name, _, file = path.partition("/")
    cache = next((s for s in slab.slab_caches if name == s.name or name in s.aliases), None)
    if cache is None or not held.build.config.SLUB:
        raise InputError(f"/sys/kernel/slab/{path}: no such cache in this build's allocator")
    from bootsim.linux.mm.slub.sysfs import sysfs

    files = sysfs(slab, cache)
    if file and file not in files:
        raise InputError(f"/sys/kernel/slab/{path}: there are {', '.join(files)}")
    if file and files[file] is None:
        raise InputError(f"/sys/kernel/slab/{path}: the kernel answers with -ENOSYS: the cache has no SLAB_STORE_USER "
                         "(slub_debug=U)")
    return {file: files[file]} if file else files


def data(held: Held, path: str | None = None) -> Any:
    """Return the caches by name, or what a file of /sys/kernel/slab says."""
    if path is not None:
        return _files(held, path)
    return {s.name: {"object_size": s.object_size, "size": s.size, "flags": s.flags, "refcount": s.refcount}
            for s in reversed(_slab(held).slab_caches)}


def lines(held: Held, path: str | None = None) -> Iterator[str]:
    """Yield the file's lines; of a cache's folder, each file with what it says."""
    if path is not None:
        files = _files(held, path)
        shown = {name: "-ENOSYS" if text is None else text for name, text in files.items()}
        yield from shown.values() if "/" in path else (f"{name} {text}" for name, text in shown.items())
        return
    slab = _slab(held)
    config = held.build.config
    if not config.SLAB and not config.SLUB_DEBUG:
        raise NotHeld("/proc/slabinfo is there with CONFIG_SLAB or CONFIG_SLUB_DEBUG alone")
    checked = config.SLAB and config.DEBUG_SLAB
    yield _VERSION + (" (statistics)" if checked else "")
    yield _COLUMNS + (_STATISTICS if checked else "")
    for cache in reversed(slab.slab_caches):
        yield slab.slabinfo(cache)
