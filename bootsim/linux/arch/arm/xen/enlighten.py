"""A kernel that may run on Xen (arch/arm/xen/enlighten.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.drivers.of.fdt import of_fdt_is_compatible
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def xen_early_init(k: Kernel) -> None:
    """Look for Xen in the tree.

    Raises InputError for a tree that Xen made.
    Source: arch/arm/xen/enlighten.c xen_early_init(), fdt_find_hyper_node()
    Differs: a hypervisor is not modelled.
    """
    if not k.build.config.XEN:
        return
    for node in k.of.fdt.nodes:
        if node.depth == 1 and node.name == "hypervisor" and of_fdt_is_compatible(node, "xen,xen"):
            raise InputError(f"{place_of(k, node.path, 'compatible')}: Xen is not modelled; expected a tree without it")
