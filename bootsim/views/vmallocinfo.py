"""/proc/vmallocinfo: the areas of kernel virtual memory; of a boot alone the static mappings.

Source: mm/vmalloc.c s_show(), show_purge_info()
Differs: addresses are the true ones, where the kernel prints hashes; the function stands without its offset and size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.mm.vmalloc import VmStruct
    from bootsim.views.held import Held

# vm_struct flags that the file names, in its order
_FLAGS = ((0x1, "ioremap"), (0x2, "vmalloc"), (0x4, "vmap"), (0x8, "user"), (0x10, "dma-coherent"))


def data(held: Held) -> list[dict[str, Any]]:
    """Return the areas by address, then those not yet free again.

    Of each: [start, end) (va), size in bytes, caller, pages, phys (pa, 0 for none), flags by name; `kind` is None, or
    in the file's words what has no owner: "vm_map_ram", "unpurged vm_area".
    """
    k = held.kernel("vmalloc areas")
    vmap = k.mm.vmap
    if vmap is None:
        return [_row(k, vm.addr, vm.addr + vm.size, vm)
                for vm in sorted(getattr(k.mm, "vmlist", []), key=lambda vm: vm.addr)]  # fmt: skip
    rows = [_row(k, start, end, vmap.vms.get(start)) for start, end in vmap.areas.busy]
    waiting = [_row(k, start, end, None, "unpurged vm_area") for start, end in vmap.areas.purge]
    return [*rows, *waiting] if rows else []


def _row(k: Kernel, start: int, end: int, vm: VmStruct | None, kind: str = "vm_map_ram") -> dict[str, Any]:
    row: dict[str, Any] = {"start": start, "end": end, "size": end - start, "kind": None if vm is not None else kind}
    if vm is None:
        return {**row, "caller": "", "pages": 0, "phys": 0, "flags": []}
    flags = [name for bit, name in _FLAGS if vm.flags & bit]
    if vm.pages_va >= k.mm.layout.VMALLOC_START:
        flags.append("vpages")
    return {**row, "caller": vm.caller, "pages": len(vm.pages), "phys": vm.phys_addr, "flags": flags}


def lines(held: Held) -> Iterator[str]:
    """Yield the file's lines, as root reads them with hashing off; none when nothing is mapped."""
    for area in data(held):
        span = f"{area['start']:#010x}-{area['end']:#010x} {area['size']:7d}"
        if area["kind"]:
            yield f"{span} {area['kind']}"
            continue
        caller = f" {area['caller']}" if area["caller"] else ""
        pages = f" pages={area['pages']}" if area["pages"] else ""
        phys = f" phys={area['phys']:#010x}" if area["phys"] else ""
        flags = "".join(f" {flag}" for flag in area["flags"])
        yield f"{span}{caller}{pages}{phys}{flags}"
