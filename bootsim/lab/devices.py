"""Where on a board something other than RAM answers, as far as its tree and the kernel know.

Pages that a reg in the tree names, through the ranges of the buses above; the kernel's static mappings; registers that
the SoC answers for. Whatever else the processor asks is an external abort.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.soc import SCU_CONFIG
from bootsim.linux.lib.fdt import cells, read_number
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.base import DeviceNode

    Translate = Callable[[int], int | None]


def devices(k: Kernel) -> list[tuple[int, int]]:
    """Return the ranges (start, end; pa) in order, in whole pages, joined."""
    found = list(_of_bus(k.of.of_root, 2, 1, lambda at: at)) if hasattr(k.of, "of_root") else []
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


def _of_bus(bus: DeviceNode, acells: int, scells: int, up: Translate) -> Iterator[tuple[int, int]]:
    # (pa, bytes) of every reg below; `up` makes an address on this bus one of the processor's, None where it is none
    acells, scells = _count(bus, "#address-cells", acells), _count(bus, "#size-cells", scells)
    for node in bus.children:
        words = cells(node.properties.get("reg", b""))
        if scells and acells and node.properties.get("device_type", b"") != b"memory\0":
            for at in range(0, len(words) - acells - scells + 1, acells + scells):
                pa = up(read_number(words[at:at + acells]))
                if pa is not None and pa < 1 << 32:
                    yield pa, read_number(words[at + acells:at + acells + scells])
        if node.children:
            yield from _of_bus(node, 2, 1, _through(node, acells, up))


def _count(bus: DeviceNode, name: str, default: int) -> int:
    value = bus.properties.get(name, b"")
    return cells(value)[0] if len(value) >= 4 else default


def _through(bus: DeviceNode, above: int, up: Translate) -> Translate:
    ranges = bus.properties.get("ranges")
    if ranges is None:
        return lambda _at: None
    if not ranges:
        return up
    acells, scells = _count(bus, "#address-cells", 2), _count(bus, "#size-cells", 1)
    words, entry = cells(ranges), acells + above + scells
    windows = [tuple(read_number(words[i + a:i + b]) for a, b in
                     ((0, acells), (acells, acells + above), (acells + above, entry)))
               for i in range(0, len(words) - entry + 1, entry)]  # fmt: skip

    def translate(at: int) -> int | None:
        for child, parent, size in windows:
            if child <= at < child + size:
                return up(parent + at - child)
        return None

    return translate
