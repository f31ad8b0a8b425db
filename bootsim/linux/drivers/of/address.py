"""Addresses of devices, from their own bus up to the processor's (drivers/of/address.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.mm.ioremap.remap import ioremap
from bootsim.linux.drivers.of.base import of_get_parent
from bootsim.linux.drivers.of.fdt_address import OF_MAX_ADDR_CELLS, translate_one
from bootsim.linux.kernel.printk import step
from bootsim.linux.lib.fdt import cells, read_number

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.base import DeviceNode

_ROOT_CELLS = 1  # OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT


def of_bus_default_count_cells(k: Kernel, node: DeviceNode) -> tuple[int, int]:
    """How many cells an address and a size have in the reg of a node.

    Source: drivers/of/address.c of_bus_default_count_cells(); drivers/of/base.c of_n_addr_cells(), of_n_size_cells()
    """
    return _cells_above(k, node, "#address-cells"), _cells_above(k, node, "#size-cells")


def _cells_above(k: Kernel, node: DeviceNode, name: str) -> int:
    bus = of_get_parent(k, node) or node
    while True:
        told = cells(bus.properties.get(name, b""))
        if told:
            return told[0]
        above = of_get_parent(k, bus)
        if above is None:
            return _ROOT_CELLS
        bus = above


def of_match_bus(k: Kernel, bus: DeviceNode) -> bool:
    """Whether addresses on a bus are plain numbers; of a bus with a kind of its own the log tells that they are not.

    Source: drivers/of/address.c of_match_bus(), of_bus_pci_match(), of_bus_isa_match()
    Differs: addresses on a PCI or ISA bus, whose first cell says what sort of address follows, are not read.
    """
    kind = bus.properties.get("device_type", b"").rstrip(b"\0").decode("latin-1")
    if bus.name not in ("pcie", "isa") and kind not in ("pci", "pciex", "vci", "ht"):
        return True
    step(k, "{path}: addresses on a PCI or ISA bus are not translated here", func="of_match_bus", path=bus.path)
    return False


def of_get_address(k: Kernel, node: DeviceNode, index: int = 0) -> tuple[int, int] | None:
    """A range of a node's reg: its address on the node's own bus, and its size; None when there is none.

    Source: drivers/of/address.c of_get_address()
    Differs: as of_match_bus().
    """
    bus = of_get_parent(k, node)
    na, ns = of_bus_default_count_cells(k, node)
    words = cells(node.properties.get("reg", b""))[index * (na + ns):(index + 1) * (na + ns)]
    if bus is None or not of_match_bus(k, bus) or not 0 < na <= OF_MAX_ADDR_CELLS or len(words) < na + ns:
        return None
    return read_number(words[:na]), read_number(words[na:])


def of_translate_address(k: Kernel, node: DeviceNode, addr: int) -> int | None:
    """An address on a node's own bus as one of the processor's (pa), through the ranges of the buses above; or None.

    Source: drivers/of/address.c of_translate_address(), of_translate_one()
    Differs: as of_match_bus().
    """
    found: int | None = addr
    while found is not None and (bus := of_get_parent(k, node)) is not None:
        na, ns = of_bus_default_count_cells(k, node)
        if not of_match_bus(k, bus) or not 0 < na <= OF_MAX_ADDR_CELLS or ns <= 0:
            return None
        if of_get_parent(k, bus) is None:
            return found
        found = translate_one(bus.properties.get("ranges"), found, na, ns, of_bus_default_count_cells(k, bus)[0])
        node = bus
    return None


def of_iomap(k: Kernel, node: DeviceNode, index: int = 0) -> int:
    """Map the registers that a node's reg names: their address (va), or 0.

    Source: drivers/of/address.c of_iomap()
    Differs: as of_match_bus().
    """
    found = of_get_address(k, node, index)
    if found is None:
        return 0
    pa = of_translate_address(k, node, found[0])
    return 0 if pa is None else ioremap(k, pa, found[1], "of_iomap")
