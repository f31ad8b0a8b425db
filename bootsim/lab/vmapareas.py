"""How the kernel keeps its addresses beside the linear mapping: both trees of vmap_area, their list, each vm_struct.

vmap_area_root has what is taken, each area with its vm_struct, and vmap_area_list the same in order of address;
free_vmap_area_root what is free, where each node knows the largest range below it; vmap_purge_list what was given back
and is not yet flushed out of the TLB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.lab.drawing import Box, Drawing, Row
from bootsim.linux.mm.vmalloc import early
from bootsim.linux.mm.vmalloc.area import Vmap, vmap_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.mm.vmalloc.areas import RangeTree
    from bootsim.linux.mm.vmalloc.early import VmStruct

_FLAGS = {value: name for name, value in vars(early).items() if name.startswith("VM_")}


def vmap_areas(k: Kernel) -> Drawing:
    """Return the areas of a machine. One that has not been asked for any yet is looked at as its first use would be."""
    vmap = k.mm.vmap or vmap_state(k.copy())
    columns: list[list[Box]] = [[], [], []]
    columns[0].append(_root("vmap_area_root", vmap.areas.busy_tree))
    columns[0].append(_root("free_vmap_area_root", vmap.areas.free_tree))
    purge = [Row(f"{start:#010x}-{end:#010x}") for start, end in vmap.areas.purge]
    columns[0].append(Box("purge", "vmap_purge_list", [*purge, Row(f"vmap_lazy_nr {vmap.areas.lazy_nr}")]))
    columns[1] += _nodes(vmap.areas.busy_tree, vmap)
    columns[1] += _nodes(vmap.areas.free_tree, None)
    columns[2] += [_vm_struct(vm) for _, vm in sorted(vmap.vms.items())]
    return Drawing("Kernel addresses beside the linear mapping", columns)


def _root(name: str, tree: RangeTree) -> Box:
    return Box(name, name, [Row(f"rb_node, {tree.count} areas", _key(tree, tree.root))])


def _key(tree: RangeTree, n: int) -> str:
    return f"{'free' if tree.augmented else 'busy'} {n}" if n else ""


def _nodes(tree: RangeTree, vmap: Vmap | None) -> Iterator[Box]:
    # in order of address, each pointing to its successor, as the list does; `vmap`: they are taken
    numbers = [*tree]
    for n, after in zip(numbers, [*numbers, 0][1:], strict=True):
        start, end, va = tree.area(n)
        _, left, right, red, _, most = tree.node(n)
        rows = [Row(f"va_start {start:#010x}, va_end {end:#010x}"), Row(f"rb_node {'red' if red else 'black'}")]
        rows += [Row(f"rb_{side}", _key(tree, child)) for side, child in (("left", left), ("right", right)) if child]
        rows += [Row("list.next", _key(tree, after))] if after else []
        if vmap is None:
            rows.append(Row(f"subtree_max_size {most:#x}"))
        else:
            rows.append(Row("vm", f"vm {start}") if start in vmap.vms else Row("vm NULL"))
        yield Box(_key(tree, n), f"vmap_area at {va:#010x}", rows)


def _vm_struct(vm: VmStruct) -> Box:
    flags = " | ".join(name for bit, name in _FLAGS.items() if vm.flags & bit)
    rows = [Row(f"addr {vm.addr:#010x}, size {vm.size:#x}"), Row(f"flags {flags or '0'}")]
    if vm.pages:
        more = f" ... {len(vm.pages) - 3} more" if len(vm.pages) > 3 else ""
        rows.append(Row(f"nr_pages {len(vm.pages)}, pages {', '.join(f'{pfn:#x}' for pfn in vm.pages[:3])}{more}"))
    if vm.phys_addr:
        rows.append(Row(f"phys_addr {vm.phys_addr:#010x}"))
    if vm.caller:
        rows.append(Row(f"caller {vm.caller}"))
    return Box(f"vm {vm.addr}", f"vm_struct at {vm.va:#010x}" if vm.va else "vm_struct of the boot", rows)
