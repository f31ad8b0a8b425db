"""Where on a board something other than RAM answers, as far as its tree and the kernel know.

Pages that a reg in the tree names, through the ranges of the buses above; the kernel's static mappings; registers that
the SoC answers for. Whatever else the processor asks is an external abort.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.soc import SCU_CONFIG
from bootsim.linux.drivers.of.fdt_address import check_counts, translate_one
from bootsim.linux.lib.fdt import cells, read_number
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.base import DeviceNode

    Counts = tuple[int, int]
    Translate = Callable[[int], int | None]

_ROOT_COUNTS = 1, 1  # OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT


def devices(k: Kernel) -> list[tuple[int, int]]:
    """Return the ranges (start, end; pa) in order, in whole pages, joined."""
    root = k.of.of_root if hasattr(k.of, "of_root") else None
    found = [] if root is None else list(_of_bus(root, _counts(root, _ROOT_COUNTS), lambda at: at))
    found += [(svm.vm.phys_addr, svm.vm.size) for svm in k.mm.static_vmlist]
    soc = k.machine.soc
    found += [(pa, 4) for pa in (*soc.registers, soc.scu_base_pa + SCU_CONFIG)]
    joined: list[tuple[int, int]] = []
    for start, end in sorted((pa & -PAGE_SIZE, -(-(pa + size) // PAGE_SIZE) * PAGE_SIZE) for pa, size in found if size):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _of_bus(bus: DeviceNode, counts: Counts, up: Translate) -> Iterator[tuple[int, int]]:
    # (pa, bytes) of every reg below, whose addresses and sizes have `counts` cells; `up` makes an address on this bus
    # one of the processor's, None where it is none
    if not check_counts(*counts):
        return
    acells, scells = counts
    for node in bus.children:
        words = cells(node.properties.get("reg", b""))
        if node.properties.get("device_type", b"") != b"memory\0":
            for at in range(0, len(words) - acells - scells + 1, acells + scells):
                pa = up(read_number(words[at:at + acells]))
                if pa is not None and pa < 1 << 32:
                    yield pa, read_number(words[at + acells:at + acells + scells])
        if node.children:
            below = _counts(node, counts)
            yield from _of_bus(node, below, _through(node.properties.get("ranges"), below, acells, up))


def _counts(bus: DeviceNode, above: Counts) -> Counts:
    # a bus that does not tell has those of the bus above
    acells, scells = (bus.properties.get(name, b"") for name in ("#address-cells", "#size-cells"))
    return (cells(acells)[0] if len(acells) >= 4 else above[0], cells(scells)[0] if len(scells) >= 4 else above[1])


def _through(ranges: bytes | None, counts: Counts, above: int, up: Translate) -> Translate:
    def translate(at: int) -> int | None:
        found = translate_one(ranges, at, *counts, above)
        return None if found is None else up(found)

    return translate
