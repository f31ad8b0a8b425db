"""/proc/vmallocinfo: the static mappings, which are all that boot itself puts there.

Source: mm/vmalloc.c s_show()
Differs: addresses are the true ones, where the kernel prints hashes; the function stands without its offset and size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.views.held import Held

# vm_struct flags that the file names, in its order
_FLAGS = ((0x1, "ioremap"), (0x2, "vmalloc"), (0x4, "vmap"), (0x8, "user"), (0x10, "dma-coherent"))


def data(held: Held) -> list[dict[str, Any]]:
    """Return the areas by address: [start, end) (va), size in bytes, caller, phys (pa, 0 for none), flags by name."""
    areas = sorted(getattr(held.kernel("vmalloc areas").mm, "vmlist", []), key=lambda vm: vm.addr)
    return [
        {"start": vm.addr, "end": vm.addr + vm.size, "size": vm.size, "caller": vm.caller, "phys": vm.phys_addr,
         "flags": [name for bit, name in _FLAGS if vm.flags & bit]}
        for vm in areas
    ]  # fmt: skip


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines, as root reads them with hashing off; none when nothing is mapped."""
    for area in data(held):
        phys = f" phys={area['phys']:#010x}" if area["phys"] else ""
        flags = "".join(f" {flag}" for flag in area["flags"])
        caller = f" {area['caller']}" if area["caller"] else ""
        yield f"{area['start']:#010x}-{area['end']:#010x} {area['size']:7d}{caller}{phys}{flags}"
