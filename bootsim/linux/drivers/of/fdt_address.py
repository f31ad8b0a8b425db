"""Addresses in the flat tree, through the ranges of every bus above (drivers/of/fdt_address.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_ERR, printk
from bootsim.linux.lib.fdt import FlatNode, cells, fdt_parent_offset, read_number

if TYPE_CHECKING:
    from bootsim.linux import Kernel

OF_MAX_ADDR_CELLS = 4
_U64 = 0xFFFFFFFFFFFFFFFF


def _count_cells(k: Kernel, parent: FlatNode, node: FlatNode) -> tuple[int, int] | None:
    # fdt_bus_default_count_cells() and OF_CHECK_COUNTS(); `node` is the one a complaint names
    addr, size = parent.be32_to_cpup("#address-cells"), parent.be32_to_cpup("#size-cells")
    na = k.of.dt_root_addr_cells if addr is None else addr
    ns = k.of.dt_root_size_cells if size is None else size
    if check_counts(na, ns):
        return na, ns
    printk(k, KERN_ERR, "OF: fdt: Bad cell count for {name}", func="fdt_translate_address", name=node.name)
    return None


def check_counts(na: int, ns: int) -> bool:
    """Whether a bus may have addresses of `na` cells and sizes of `ns`.

    Source: drivers/of/fdt_address.c OF_CHECK_COUNTS()
    """
    return 0 < na <= OF_MAX_ADDR_CELLS and 0 < ns < 1 << 31


def translate_one(ranges: bytes | None, addr: int, na: int, ns: int, pna: int) -> int | None:
    """An address on a bus with these `ranges` as one on the bus above, of `pna` cells; None when no range holds it.

    Source: drivers/of/fdt_address.c fdt_translate_one(), fdt_bus_default_map(), fdt_bus_default_translate()
    """
    if ranges is None:
        return None
    if not ranges:
        return addr
    words = cells(ranges)
    for i in range(0, len(words) - (na + pna + ns) + 1, na + pna + ns):
        child, parent, size = (read_number(words[i + a:i + b]) for a, b in
                               ((0, na), (na, na + pna), (na + pna, na + pna + ns)))
        if child <= addr < child + size:
            return (parent + addr - child) & _U64
    return None


def of_flat_dt_translate_address(k: Kernel, node: FlatNode) -> int | None:
    """The physical address of the first range of a node's reg, or None.

    Source: drivers/of/fdt_address.c of_flat_dt_translate_address(), fdt_translate_address()
    """
    reg = node.first.get("reg")
    if reg is None:
        printk(k, KERN_ERR, "OF: fdt: warning: device tree node '{name}' has no address.",
               func="fdt_translate_address", name=node.name)
        return None
    bus = fdt_parent_offset(k.of.fdt, node)
    if bus is None or (counts := _count_cells(k, bus, node)) is None:
        return None
    na, ns = counts
    addr: int | None = read_number(cells(reg)[:na])
    while addr is not None and (above := fdt_parent_offset(k.of.fdt, bus)) is not None:
        if (counts := _count_cells(k, above, bus)) is None:
            return None
        addr = translate_one(bus.first.get("ranges"), addr, na, ns, counts[0])
        bus, (na, ns) = above, counts
    return addr
